/*
 * The cache of steps: a map from a key (builder/step_key.h) to the layer that the step made.
 */
#ifndef SLIPWAY_BUILDER_STEP_CACHE_H
#define SLIPWAY_BUILDER_STEP_CACHE_H

#include "oci/document.h"
#include "oci/layer.h"
#include "oci/store.h"
#include "oci/tree.h"

/* What a step came to. */
struct step_result {
    bool empty; /* nothing changed: no layer */
    struct layer layer;
};

/* The result that was made under KEY before; found only where its blob is still in the store. */
int step_cache_get(struct store *store, const struct digest *key, bool *found_out,
                   struct step_result *out, struct error *err);

/* Remembers RESULT under KEY. */
int step_cache_put(struct store *store, const struct digest *key, const struct step_result *result,
                   struct error *err);

#endif
