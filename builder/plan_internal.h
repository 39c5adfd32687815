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

/* Checks what is wrong whether a stage is needed or not (BuildKit): --from with variables or a
 * number that no stage has, images that are named as none can be, stages that need themselves. */
int plan_check(const struct plan *plan, const struct plan_inputs *inputs, struct error *err);

#endif
