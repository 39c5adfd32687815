/*
 * Making room in the store, what was used longest ago first.
 *
 * What images with tags are made of stays, unless ALL. Nothing goes that was used since the oldest
 * process that holds the store began (oci/store.h, "Making room"), so builds may run meanwhile. A
 * kill leaves a sound store: what is left is removed by the next.
 */
#ifndef SLIPWAY_OCI_PRUNE_H
#define SLIPWAY_OCI_PRUNE_H

#include "oci/usage.h"

struct prune_options {
    bool has_keep;
    uint64_t keep_bytes;   /* with has_keep: stop once the store is not larger than this */
    int64_t older_than_ns; /* only what was not used for so long; 0: whenever */
    bool all;              /* images with tags too, after all that is in no image; cache mounts */
    bool cache_mounts;     /* folders of RUN --mount=type=cache too */
    bool dry_run;          /* remove nothing, only say what would be */
    /* Called for each thing that was removed (would be), may be NULL. */
    void (*removed)(void *ctx, const struct usage_item *item);
    void *ctx;
};

struct prune_result {
    uint64_t freed_bytes;
    size_t removed;
    uint64_t left_bytes; /* what the store holds afterwards */
    unsigned others;     /* processes that held the store meanwhile */
};

/* Removes. RESULT is filled even where it fails midway. ERR_STORE, ERR_CANCELLED. */
int prune(struct store *store, const struct prune_options *options, struct prune_result *result,
          struct error *err);

#endif
