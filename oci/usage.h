/*
 * What the store holds: every thing in it with its size, when it was last used, and whether an
 * image with a tag needs it.
 *
 *     AUTO(usage_release) struct usage usage = {0};
 *     usage_read(store, &usage, err);
 *     usage_mark_needed(store, &usage, err);
 *
 * Nothing is locked: what comes or goes meanwhile is counted or not. Looking is no use
 * (oci/store.h, "Making room") as long as this process does not hold the store.
 */
#ifndef SLIPWAY_OCI_USAGE_H
#define SLIPWAY_OCI_USAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "oci/images.h"
#include "oci/store.h"

enum usage_kind {
    USAGE_BLOB,        /* layers, configs, manifests */
    USAGE_UNPACKED,    /* layers unpacked for RUN */
    USAGE_TAR,         /* layers inflated for COPY --from */
    USAGE_TREE,        /* lists of what layers hold */
    USAGE_GIT,         /* mirrors of repositories */
    USAGE_CACHE_MOUNT, /* RUN --mount=type=cache */
    USAGE_RECORD,      /* what is known about steps, files, images */
    USAGE_TEMP,        /* unfinished work of running processes */
    USAGE_KINDS
};

/* "blobs", "unpacked layers", ... */
const char *usage_kind_name(enum usage_kind kind);

struct usage_item {
    enum usage_kind kind;
    char *path;      /* relative to store_fd(); owned */
    char *name;      /* for people: a digest, a cache mount's id, a repository's URL; owned */
    uint64_t bytes;  /* on disk; of a file with several links this name's part */
    int64_t used_ns; /* when it was last used, in ns since 1970 */
    unsigned needed; /* how many images with tags are made of it (usage_mark_needed) */
};

struct usage {
    struct usage_item *items; /* by kind, then by path */
    size_t len;
    uint64_t bytes; /* of all items */
};

/* Frees what USAGE holds. */
void usage_release(struct usage *usage);

/* Lists everything but locks. ERR_STORE, ERR_CANCELLED. */
int usage_read(struct store *store, struct usage *out, struct error *err);

/* Marks the blobs that the images with tags are made of: manifests, configs, layers, and the
 * records of the tags. A document that cannot be read is needed and leads nowhere. */
int usage_mark_needed(struct store *store, struct usage *usage, struct error *err);

/* Takes back what usage_mark_needed() marked for TAG: as if it were not there any more. */
void usage_unmark_tag(struct store *store, struct usage *usage, const struct image_tag *tag);

/* The item of PATH, borrowed; NULL if there is none. */
struct usage_item *usage_find(const struct usage *usage, enum usage_kind kind, const char *path);

#endif
