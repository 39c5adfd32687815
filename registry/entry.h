/*
 * Small images that serve as the entries of a table: one tag, one manifest, never changed.
 *
 *     registry_get_entry(registry, &place, &found, &bytes, err);
 *     registry_put_entry(registry, &place, &entry, &there, err);
 *
 * Nothing is locked. Registries do not compare and swap, so between two who put the same tag at
 * the same moment the later one may win; each has looked just before, and servers that know
 * If-None-Match refuse the second.
 */
#ifndef SLIPWAY_REGISTRY_ENTRY_H
#define SLIPWAY_REGISTRY_ENTRY_H

#include <stdatomic.h>

#include "registry/registry.h"

/* Where an entry stands. Borrowed parts. */
struct entry_place {
    const char *host;
    const char *repository;
    const char *tag;
};

/* The manifest under the tag, not verified; *FOUND_OUT false where there is none. */
int registry_get_entry(struct registry *registry, const struct entry_place *at, bool *found_out,
                       struct buf *out, struct error *err);

/* What is to stand there. Borrowed parts. */
struct registry_entry {
    const struct descriptor *blobs; /* in the store, or where the store knows them to be */
    size_t blobs_len;
    const struct buf *manifest; /* MEDIA_OCI_MANIFEST */
    bool replace;               /* whatever stands there */
    const atomic_bool *stop;    /* NULL: none */
    _Atomic uint64_t *moved;    /* raised with every sign of progress */
    _Atomic uint64_t *bytes_sent;
};

/* Brings blobs (mounted where another repository of the registry has them) and manifest over,
 * unless the tag is there already (*THERE_OUT): then nothing is sent. ERR_AUTH, ERR_REMOTE. */
int registry_put_entry(struct registry *registry, const struct entry_place *at,
                       const struct registry_entry *entry, bool *there_out, struct error *err);

#endif
