/*
 * What the files of the check share.
 *
 *   check.c            the findings; reads all files; calls the rules
 *   check_docker.c     what a Dockerfile says of ports, variables and commands
 *   check_names.c      containers' names
 *   check_ports.c      EXPOSE, containerPort, hostPort, AppSpec
 *   check_fargate.c    sizes, roles, what Fargate does not have
 *   check_template.c   placeholders
 *   check_buildspec.c  artifacts
 *   check_repeats.c    which of two values counts
 */
#ifndef SLIPWAY_DEPLOY_CHECK_INTERNAL_H
#define SLIPWAY_DEPLOY_CHECK_INTERNAL_H

#include "deploy/check.h"
#include "deploy/marked.h"
#include "deploy/pipeline.h"

/* One file. */
struct check_doc {
    char *name; /* as it was found; NULL: not there */
    struct buf text;
    struct marked_file *file; /* NULL: not there, or unreadable (which was told) */
};

/* An instruction's value and where it stands. */
struct docker_value {
    char *key; /* ENV: the name; else NULL */
    char *value;
    unsigned line;
    unsigned first, last; /* EXPOSE: ports */
    char protocol[5];
};

struct docker_values {
    struct docker_value *items;
    size_t len;
};

/* What the target stage of a Dockerfile, with the stages that it starts from, says. */
struct docker_facts {
    bool missing;    /* there is no such Dockerfile */
    char *no_target; /* why the target is not one of its stages; NULL: it is */
    char *file;      /* NULL: there is no such Dockerfile, or it cannot be read (which was told) */
    struct docker_values exposed;
    struct docker_values env; /* each name once, the last value */
    struct docker_value command, entry_point, user, workdir, healthcheck; /* line 0: not given */
};

/* A name under which a container gets an image. */
struct check_claim {
    char *container;
    size_t image; /* index */
    char *file;
    unsigned line;
    unsigned column;
};

struct check_image {
    const struct pipeline_image *wanted; /* NULL: not of slipway.json */
    struct docker_facts docker;
};

struct check {
    const struct check_inputs *inputs;
    struct check_findings *out;
    struct check_doc config, taskdef, appspec, buildspec;
    struct pipeline pipeline;
    bool have_pipeline;
    struct check_image *images;
    size_t images_len;
    struct check_claim *claims;
    size_t claims_len;
};

/* A side that stands at NODE of DOC. SAYS: made as by printf. */
struct check_place check_at(const struct check_doc *doc, const struct marked *node,
                            const char *says, ...) __attribute__((format(printf, 3, 4)));
struct check_place check_line(const char *file, unsigned line, const char *says, ...)
    __attribute__((format(printf, 3, 4)));
struct check_place check_claim_place(const struct check_claim *claim);
/* No second side. */
struct check_place check_nowhere(void);

/* Adds a finding and takes over what the places hold. */
void check_add(struct check *check, enum check_level level, const char *rule,
               struct check_place one, struct check_place other, const char *text, ...)
    __attribute__((format(printf, 6, 7)));

/* The task definition's container NAME; NULL: none. */
const struct marked *check_container(const struct check *check, const char *name);
/* Its list of containers; NULL: none. */
const struct marked *check_containers(const struct check *check);
/* The image (index) that CONTAINER of the task definition gets; false: none of ours. */
bool check_image_of(const struct check *check, const struct marked *container, size_t *image_out);
/* The Properties of the AppSpec's ECS service; NULL: none. */
const struct marked *check_service(const struct check *check);

/* Reads the Dockerfile of an image. What is wrong with it is not said here: that is the lint's. */
int docker_facts_read(struct check *check, const char *name, const char *target,
                      const struct strlist *build_args, struct docker_facts *out,
                      struct error *err);
void docker_facts_release(struct docker_facts *facts);

/* Reads all files and finds the claims; `inputs` and `out` are set. What is unreadable is a
 * finding.
 */
int check_open(struct check *check, struct error *err);
void check_release(struct check *check);

void check_claims(struct check *check);

/* The rules. */
void check_names(struct check *check);
void check_ports(struct check *check);
void check_fargate(struct check *check);
void check_placeholders(struct check *check);
void check_artifacts(struct check *check);
void check_repeats(struct check *check);

/* Whether a command of the buildspec's phases holds WORD; *NODE_OUT (may be NULL) is the first. */
bool check_commands_say(const struct check *check, const char *word,
                        const struct marked **node_out);

/* Whether a command may write files that it does not name: make, npm, a script. */
bool check_opaque_command(const struct check *check, const struct marked **node_out);

#endif
