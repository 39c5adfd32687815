/*
 * Why a step is not cached: the inputs that differ from the last time it was made.
 *
 * The inputs of the last time are a record of kind "inputs-3", by the step's place: context,
 * Dockerfile, stage and number. Secrets are never inputs.
 */
#ifndef SLIPWAY_BUILDER_EXPLAIN_H
#define SLIPWAY_BUILDER_EXPLAIN_H

#include "base/buf.h"
#include "oci/store.h"

/* Says in words why the step at PLACE is not cached though it has INPUTS (step_key_inputs()):
 * "file src/app.js changed", "never made before", ... The caller's. */
char *explain_miss(struct store *store, const char *place, const struct buf *inputs);

/* Remembers what the step at PLACE was made from. Failing to is no error. */
void explain_remember(struct store *store, const char *place, const struct buf *inputs);

#endif
