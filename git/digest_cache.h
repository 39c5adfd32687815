/*
 * The SHA-256 of blobs by their git id, remembered in one record of the store for each repository:
 * what was built once is never hashed again.
 */
#ifndef SLIPWAY_GIT_DIGEST_CACHE_H
#define SLIPWAY_GIT_DIGEST_CACHE_H

#include <stdbool.h>

#include "git/libgit2.h"
#include "oci/digest.h"
#include "oci/store.h"

struct blob_digest {
    uint8_t id[GIT_OID_RAWSZ];
    uint8_t digest[DIGEST_BYTES];
};

/* Sorted by id once loaded or sorted. */
struct digest_cache {
    struct blob_digest *items;
    size_t len;
    size_t cap;
};

/* Frees what CACHE holds. */
void digest_cache_release(struct digest_cache *cache);

/* Reads the record NAME; a missing or damaged one is an empty cache. */
void digest_cache_load(struct store *store, const char *name, struct digest_cache *out);

/* Whether ID is there, and its digest. */
bool digest_cache_find(const struct digest_cache *cache, const git_oid *id, struct digest *out);

/* Remembers that ID has DIGEST. */
void digest_cache_add(struct digest_cache *cache, const git_oid *id, const struct digest *digest);

/* Adds CACHE's items to the record NAME if it lacks one. What old builds left is dropped when it is
 * much more. Failing is no error. */
void digest_cache_save(struct store *store, const char *name, struct digest_cache *cache);

#endif
