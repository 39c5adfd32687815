/*
 * Folders of the store that outlive a RUN: `--mount=type=cache`.
 *
 *     cache-mounts/HEX/data    the folder (HEX: hash of the id)
 *     cache-mounts/HEX/id      the id
 *     cache-mounts/HEX/lock    held by who has it for itself
 */
#ifndef SLIPWAY_BUILDER_CACHE_MOUNT_H
#define SLIPWAY_BUILDER_CACHE_MOUNT_H

#include "builder/mount.h"
#include "oci/store.h"
#include "oci/tree.h"

/* Borrowed for the call. */
struct cache_mount_spec {
    const char *id;
    enum run_mount_sharing sharing;
    uint32_t uid, gid, mode; /* of a new folder */
    struct tree *content;    /* what a new folder starts with; NULL: nothing */
};

/* Opens (makes) the cache: its folder relative to store_fd() (the caller's), and a lock for
 * MOUNT_LOCKED (waits for others) and MOUNT_PRIVATE (takes another folder while others have it).
 * ERR_STORE, ERR_CANCELLED. */
int cache_mount_open(struct store *store, const struct cache_mount_spec *spec, char **path_out,
                     int *lock_out, struct error *err);

/* Gives the lock back; -1 is fine. */
void cache_mount_unlockp(int *lock);

#endif
