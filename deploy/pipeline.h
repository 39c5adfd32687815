/*
 * slipway.json: the images that one commit gives, and what is written for the deployment.
 *
 *     {
 *       "registry": "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
 *       "tag": "1.4",
 *       "imageUri": "digest",
 *       "imagedefinitions": "imagedefinitions.json",
 *       "taskdef": "taskdef.json",
 *       "appspec": "appspec.yaml",
 *       "placeholders": {"LOG_GROUP": "/ecs/shop"},
 *       "images": [
 *         {
 *           "name": "web",
 *           "context": "web",
 *           "dockerfile": "Dockerfile",
 *           "target": "final",
 *           "buildArgs": {"MODE": "production"},
 *           "repository": "shop/web",
 *           "tag": "1.4",
 *           "container": "web",
 *           "placeholder": "IMAGE1_NAME",
 *           "taskdef": "taskdef.json=out/taskdef.json",
 *           "imageDetail": "imageDetail.json"
 *         }
 *       ]
 *     }
 *
 * Only "images" and in each the "repository" are required. README says what each member means. A
 * member that is not known is an error that names the nearest known one.
 */
#ifndef SLIPWAY_DEPLOY_PIPELINE_H
#define SLIPWAY_DEPLOY_PIPELINE_H

#include "base/error.h"
#include "base/strlist.h"
#include "deploy/marked.h"

#define PIPELINE_FILE "slipway.json"
#define LIMIT_PIPELINE_IMAGES ((size_t)64)

/* One image. Texts are owned; NULL: not given. */
struct pipeline_image {
    char *name;       /* in messages: "name", else the first container, else repository */
    char *context;    /* folder of the repository that is its build context */
    char *dockerfile; /* relative to its context */
    char *target;
    char *repository; /* [REGISTRY/]NAME[:TAG] */
    char *tag;
    struct strlist build_args;   /* KEY=VALUE */
    struct strlist containers;   /* that get it */
    struct strlist placeholders; /* that stand for it; empty: IMAGE<N>_NAME, N counts from 1 */
    struct strlist taskdefs;     /* TEMPLATE[=OUT] */
    char *image_detail;
    unsigned line; /* in slipway.json; 0: from the command line */
};

struct pipeline {
    char *registry;
    char *tag;
    char *imagedefinitions;      /* the file; NULL: imagedefinitions.json */
    int by_digest;               /* imageUri: 1 digest, 0 tag, -1 not given */
    struct strlist taskdefs;     /* TEMPLATE[=OUT], for all images */
    struct strlist appspecs;     /* TEMPLATE[=OUT] */
    struct strlist placeholders; /* NAME=VALUE */
    struct strlist others;       /* CONTAINER=IMAGE: containers that get an image built elsewhere */
    struct pipeline_image *images;
    size_t len;
};
#define PIPELINE_INIT                                                                              \
    {                                                                                              \
        .by_digest = -1                                                                            \
    }

/* Frees what PIPELINE holds. */
void pipeline_release(struct pipeline *pipeline);

/* Reads LEN bytes of slipway.json; NAME is for messages. ERR_USAGE with line and column. */
int pipeline_parse(const char *text, size_t len, const char *name, struct pipeline *out,
                   struct error *err);

/* The same from a document that is parsed already. */
int pipeline_read(const struct marked_file *file, struct pipeline *out, struct error *err);

/* Whether all paths stay below the folder that they count from: pipeline_read() asks, as
 * slipway.json may come from anybody's repository. ERR_USAGE with the place in FILE. */
int pipeline_check_paths(const struct pipeline *pipeline, const char *file, struct error *err);

/* Adds an image (a copy of nothing: empty) and returns it, borrowed until the next. */
struct pipeline_image *pipeline_add(struct pipeline *pipeline);

/* Takes `name=web,dockerfile=web/Dockerfile,container=web,...` (the members of an image; those that
 * may be lists can be repeated; build arguments as buildArg=KEY=VALUE) as one more image. KEY and
 * VALUE come one by one; ERR_USAGE for a key that is not known. */
int pipeline_image_set(struct pipeline_image *image, const char *key, const char *value,
                       struct error *err);

/* Fills in the images' names and placeholders, and checks the whole: names of containers twice, two
 * images of one name, an image without a repository (unless NEED_REPOSITORY is false). ERR_USAGE.
 */
int pipeline_complete(struct pipeline *pipeline, const char *file, bool need_repository,
                      struct error *err);

/* The image's whole name: REGISTRY/NAME:TAG. REGISTRY and TAG are what counts where neither the
 * image nor the pipeline says (NULL: nothing). ERR_USAGE where no registry is known. The caller's.
 */
int pipeline_image_name(const struct pipeline *pipeline, const struct pipeline_image *image,
                        const char *registry, const char *tag, char **out, struct error *err);

/* TEMPLATE[=OUT]: both, the caller's; without OUT it is the template's last component. */
void pipeline_template(const char *text, char **template_out, char **file_out);

#endif
