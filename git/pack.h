/*
 * A pack and its index (gitformat-pack(5), version 2 of both) of given objects, the same bytes
 * whenever and wherever they are made: every object whole and not as a difference, in the order of
 * the ids.
 *
 *     struct pack pack = PACK_INIT;
 *     pack_make(store, repo, ids, len, &pack, err);
 *     pack_release(&pack);
 */
#ifndef SLIPWAY_GIT_PACK_H
#define SLIPWAY_GIT_PACK_H

#include "base/buf.h"
#include "git/libgit2.h"
#include "oci/digest.h"
#include "oci/store.h"

struct pack {
    int fd;                       /* a nameless file of the store */
    uint64_t size;                /* bytes */
    struct digest digest;         /* SHA-256 */
    char name[GIT_OID_HEXSZ + 1]; /* what stands behind "pack-" in the names of both files */
    struct buf index;
};
#define PACK_INIT                                                                                  \
    {                                                                                              \
        .fd = -1                                                                                   \
    }

/* Frees what PACK holds and closes its file. */
void pack_release(struct pack *pack);

/* Packs the LEN objects IDS of REPO, which are sorted here and each packed once. ERR_STORE where
 * one is missing or damaged, or the disk is full. */
int pack_make(struct store *store, git_repository *repo, git_oid *ids, size_t len, struct pack *out,
              struct error *err);

#endif
