/*
 * The cache of steps: a map from the hash of everything that a step depends on to the layer it
 * made.
 *
 *     struct hasher *key = step_key_new(build options..., chain);
 *     hasher_add_text(key, ...);  hasher_add_field(key, ...);
 *     step_cache_get(store, &digest, &found, &result, err)
 *     step_cache_put(store, &digest, &result, err)
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

/* Begins a key: the root file system that the step starts from, how layers are written, and WHAT
 * kind of step it is. The hasher is the caller's. */
struct hasher *step_key_new(const struct digest *chain, const struct layer_options *options,
                            const char *what);

/* Adds an entry (a hard link with its file) under the name that it will have: type, mode, owner,
 * link, attributes, the time that a layer gives it, and the content's digest (which must be there:
 * tree_hash_files()). */
void step_key_entry(struct hasher *key, const char *name, const struct entry *link,
                    enum timestamps timestamps);

/* The result that was made under KEY before; found only where its blob is still in the store. */
int step_cache_get(struct store *store, const struct digest *key, bool *found_out,
                   struct step_result *out, struct error *err);

/* Remembers RESULT under KEY. */
int step_cache_put(struct store *store, const struct digest *key, const struct step_result *result,
                   struct error *err);

#endif
