/*
 * What the files of the plan share: plan.c makes it, plan_check.c looks at all of its stages.
 */
#ifndef SLIPWAY_BUILDER_PLAN_INTERNAL_H
#define SLIPWAY_BUILDER_PLAN_INTERNAL_H

#include "builder/plan.h"

/* The stage that FROM, of COPY --from or RUN --mount=from, names wherever it stands; -1: none. */
int plan_source(const struct plan *plan, const char *from);

/* Whether FROM is a number, and so cannot be an image. */
bool plan_is_number(const char *from);

/* A source of a stage: what a --from, or the from= of a --mount, says. */
struct source_use {
    const struct plan *plan;
    const struct plan_inputs *inputs; /* NULL where the caller has none at hand */
    size_t stage;
    const struct instruction *in;
    const struct flag *flag;
};

typedef int (*source_use_fn)(void *ctx, const struct source_use *use, const char *from,
                             struct error *err);

/* Calls EACH for whatever USE's instruction takes from elsewhere (USE's flag is filled in for it).
 * Numbers in mounts are left out, which are refused where they are needed. What EACH fails with
 * ends it. */
int plan_each_source(struct source_use *use, source_use_fn each, void *ctx, struct error *err);

/* Checks what is wrong whether a stage is needed or not (BuildKit): --from with variables or a
 * number that no stage has, images that are named as none can be, stages that need themselves. */
int plan_check(const struct plan *plan, const struct plan_inputs *inputs, struct error *err);

#endif
