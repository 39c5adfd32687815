/*
 * The stages of a Dockerfile: where each begins, what it starts from, which one is wanted.
 *
 *     plan_make(dockerfile, &inputs, &plan, err)
 *     plan_find_stage(plan, "builder", current, &index)      as COPY --from and RUN --mount=from do
 *     plan_release(&plan)
 */
#ifndef SLIPWAY_BUILDER_PLAN_H
#define SLIPWAY_BUILDER_PLAN_H

#include "base/strlist.h"
#include "builder/dockerfile.h"
#include "oci/document.h"

struct plan_stage {
    const struct instruction *from;
    size_t first, end; /* its instructions after FROM: [first, end) of the dockerfile */
    const char *name;  /* AS; NULL: none. Borrowed */
    char *base;        /* the image, after expansion */
    int parent;        /* the earlier stage that it starts from, -1: none */
    bool scratch;
    char *platform; /* --platform after expansion; NULL: none */
};

struct plan {
    const struct dockerfile *df;
    struct plan_stage *stages;
    size_t len;
    size_t target;
    struct strlist globals;   /* ARGs before the first FROM that have a value */
    struct strlist automatic; /* BUILDPLATFORM, TARGETARCH, ... */
    struct strlist declared;  /* names of all ARGs met so far: for arguments that nobody takes */
};

/* What the plan depends on besides the Dockerfile. Borrowed. */
struct plan_inputs {
    const struct strlist *build_args; /* KEY=VALUE, resolved */
    const struct strlist *contexts;   /* names that --build-context replaces */
    const struct platform *build_platform;
    const struct platform *target_platform;
    const char *target; /* NULL: the last stage */
};

/* Makes the plan. DF is borrowed and must outlive it. ERR_USAGE with the place. */
int plan_make(const struct dockerfile *df, const struct plan_inputs *inputs, struct plan *out,
              struct error *err);

/* Frees what PLAN holds. */
void plan_release(struct plan *plan);

/* As plan_make() up to the first FROM: the global and the automatic ARGs, and no stages. */
int plan_make_globals(const struct dockerfile *df, const struct plan_inputs *inputs,
                      struct plan *out, struct error *err);

/* The stage that NAME, a name or number in stage CURRENT, means; -1: none, so it is an image or
 * context. A number out of range, CURRENT itself or a later stage is ERR_USAGE. */
int plan_find_stage(const struct plan *plan, const char *name, size_t current, int *index_out,
                    struct error *err);

/* Sets NEEDED, which has a place for each stage, for stage INDEX and all that it is known to need.
 * What only a trigger or a variable tells is left out. */
void plan_mark_needed(const struct plan *plan, size_t index, bool *needed);

#endif
