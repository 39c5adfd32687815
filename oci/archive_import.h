/*
 * The files of a stranger's tar, brought into the store's tmp/ and hashed: what `load` reads.
 *
 * Names in the tar are only keys for looking up; no path is ever made of them.
 */
#ifndef SLIPWAY_OCI_ARCHIVE_IMPORT_H
#define SLIPWAY_OCI_ARCHIVE_IMPORT_H

#include "base/stream.h"
#include "oci/store.h"

struct import_file {
    char *name; /* cleaned as by path_clean() */
    char *link; /* a link's target, cleaned; NULL: a regular file */
    char *temp; /* relative to the store; NULL once it is a blob */
    size_t order;
    struct digest digest;
    uint64_t size;
};

struct import {
    struct store *store;
    struct import_file *files; /* sorted by name, each name once */
    size_t len;
    size_t cap;
};

/* Reads the tar IN (taken over; gzip, zstd, xz, bzip2 or plain). NAME is for messages. ERR_USAGE
 * where it is no tar or is damaged. */
int import_archive(struct store *store, struct reader *in, const char *name, struct import *out,
                   struct error *err);

/* Removes what was not made a blob. Cleanup for AUTO(). */
void import_release(struct import *import);

/* The regular file of that name, through links; NULL if there is none. */
struct import_file *import_find(struct import *import, const char *name);

/* The file whose bytes have that digest, NULL if there is none. */
struct import_file *import_find_digest(struct import *import, const struct digest *digest);

/* Opens the file, blob or not. */
int import_open(struct import *import, const struct import_file *file, int *fd_out,
                struct error *err);

/* Reads a small file whole. */
int import_read(struct import *import, const struct import_file *file, size_t max, struct buf *out,
                struct error *err);

/* Makes the file a blob of the store. */
int import_keep(struct import *import, struct import_file *file, struct error *err);

#endif
