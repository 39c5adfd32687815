/*
 * A first slipway.json, from what a repository has: Dockerfiles, buildspec.yml, taskdef.json,
 * appspec.yaml.
 *
 *     AUTO(init_result_release) struct init_result result = {0};
 *     pipeline_init(&inputs, &result, err)
 */
#ifndef SLIPWAY_DEPLOY_INIT_H
#define SLIPWAY_DEPLOY_INIT_H

#include "base/buf.h"
#include "base/error.h"
#include "base/strlist.h"
#include "deploy/check.h"

struct init_inputs {
    struct check_inputs files;  /* `read` and `ctx`; the names are the usual ones */
    struct strlist dockerfiles; /* in tree form, "web/Dockerfile" */
    const char *name;           /* the folder's, for an image that nothing names */
};

struct init_result {
    struct buf text;          /* slipway.json */
    struct strlist concluded; /* "taskdef.json:9: container 'web' gets the image" */
    struct strlist open;      /* what must be filled in by hand, or set in the environment */
};

/* Frees what RESULT holds. */
void init_result_release(struct init_result *result);

/* Makes it: a slipway.json that pipeline_parse() and pipeline_complete() take. ERR_USAGE where
 * there is no Dockerfile, there are too many, or a file is not what its name says. */
int pipeline_init(const struct init_inputs *inputs, struct init_result *out, struct error *err);

#endif
