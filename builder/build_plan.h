/*
 * What a build would do: stages and steps with what the cache knows of them. Nothing is run and
 * nothing is written but what finding out needs (manifests of bases, a git fetch, file hashes).
 *
 *     struct build_plan plan = {0};
 *     build_plan_make(&request, &plan, err);
 *     build_plan_release(&plan);
 */
#ifndef SLIPWAY_BUILDER_BUILD_PLAN_H
#define SLIPWAY_BUILDER_BUILD_PLAN_H

#include "builder/build.h"

enum planned_state {
    PLANNED_CACHED,
    PLANNED_RUN,    /* would be made: `reason` says which input differs */
    PLANNED_WAITS,  /* depends on a step that would be made: `reason` says on which */
    PLANNED_CONFIG, /* only changes the config */
};

struct planned_step {
    char *text; /* the instruction */
    unsigned line;
    enum planned_state state;
    char *reason; /* NULL: none */
};

struct planned_stage {
    char *name;             /* its name, else its number */
    char *base;             /* the image or stage that it starts from */
    char *digest;           /* of the base image's manifest; NULL: a stage, scratch */
    bool needed;            /* by the target */
    struct strlist sources; /* stages and images that it copies from, each once */
    struct planned_step *steps;
    size_t steps_len;
};

struct build_plan {
    struct planned_stage *stages;
    size_t len;
    size_t target;
    /* The Dockerfile's name and text, set also where planning fails. */
    char *dockerfile_name;
    char *dockerfile_text;
};

/* Plans REQUEST; errors as build_run(). The plan is the caller's. */
int build_plan_make(const struct build_request *request, struct build_plan *out, struct error *err);

/* Frees what PLAN holds. */
void build_plan_release(struct build_plan *plan);

#endif
