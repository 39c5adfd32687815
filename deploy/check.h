/*
 * What contradicts what in a repository that is deployed: Dockerfile, slipway.json, buildspec.yml,
 * taskdef.json and appspec.yaml, read together. Nothing is built and nobody is asked.
 *
 *     struct check_inputs inputs = {.read = ..., .ctx = ...};
 *     AUTO(check_findings_release) struct check_findings findings = {0};
 *     deploy_check(&inputs, &findings, err)
 *
 * Files that are not there are not compared. A file that cannot be read as what it should be is a
 * finding like any other.
 */
#ifndef SLIPWAY_DEPLOY_CHECK_H
#define SLIPWAY_DEPLOY_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "base/strlist.h"

struct context;

enum check_level {
    CHECK_ERROR,   /* the deployment fails, or runs something else than what was meant */
    CHECK_WARNING, /* a contradiction that may be meant */
    CHECK_NOTE,    /* two values for the same: which one counts */
};

/* A side of a contradiction. */
struct check_place {
    char *file;    /* as in the repository */
    unsigned line; /* from 1; 0: the file as a whole */
    unsigned column;
    char *says; /* what stands there, in a few words; may be NULL */
};

enum { CHECK_PLACES = 2 };

struct check_finding {
    enum check_level level;
    const char *rule; /* "container-unknown"; a literal */
    char *text;
    struct check_place places[CHECK_PLACES]; /* the first is what should be changed, mostly */
    size_t places_len;
};

struct check_findings {
    struct check_finding *items; /* in the order of their first places */
    size_t len;
    struct strlist files; /* that were found and read */
};

/* Frees what FINDINGS holds. */
void check_findings_release(struct check_findings *findings);

/* Where the files are. Names are relative to what `read` reads; NULL: the usual ones. */
struct check_inputs {
    /* Reads NAME; *FOUND_OUT: whether it is there. */
    int (*read)(void *ctx, const char *name, size_t max, struct buf *out, bool *found_out,
                struct error *err);
    void *ctx;
    const char *dockerfile;           /* of an image that slipway.json does not name */
    const char *target;               /* of that image; NULL: the last stage */
    const struct strlist *build_args; /* KEY=VALUE; may be NULL */
    const char *config;               /* slipway.json; "": not read */
    const char *taskdef;              /* taskdef.json; $TASKDEF_FILE is the caller's to look up */
    const char *appspec;              /* appspec.yaml or .yml */
    const char *buildspec;            /* buildspec.yml or .yaml */
    const char *container;            /* CONTAINER_NAME of the environment; NULL: none */
};

/* Compares. Fails only where a file cannot be read at all (ERR_STORE, or as `read` says). */
int deploy_check(const struct check_inputs *inputs, struct check_findings *out, struct error *err);

/* A `read` over a context (builder/context.h), which is CTX. */
int check_read_context(void *ctx, const char *name, size_t max, struct buf *out, bool *found_out,
                       struct error *err);

/* "error", "warning", "note". */
const char *check_level_name(enum check_level level);

/* How many findings have LEVEL. */
size_t check_count(const struct check_findings *findings, enum check_level level);

/* The findings for people: "FILE:LINE:COLUMN: LEVEL: TEXT [RULE]", and indented below each what
 * stands at its places. */
void check_render_text(const struct check_findings *findings, struct buf *out);

/* The findings as a JSON array of {"level", "rule", "message", "places": [{"file", "line",
 * "column", "says"}]}; line and column are left out where they are not known. */
json_t *check_render_json(const struct check_findings *findings);

#endif
