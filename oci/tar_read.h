/*
 * Tar archives and layers as entries: every name and link of a stranger is checked here and nowhere
 * else.
 *
 *     tar_reader_open(stream, TAR_LAYER, &t, err);
 *     while (tar_reader_next(t, &entry, &more, err) == 0 && more) { ... tar_reader_data(t, ...) ...
 * }
 */
#ifndef SLIPWAY_OCI_TAR_READ_H
#define SLIPWAY_OCI_TAR_READ_H

#include "base/stream.h"
#include "oci/tree.h"

struct tar_reader;

enum tar_flavour {
    TAR_LAYER,   /* ".wh.NAME" gives ENTRY_WHITEOUT of NAME, ".wh..wh..opq" an ENTRY_DIR with only
                    ENTRY_OPAQUE meaning for its folder */
    TAR_ARCHIVE, /* an archive of the user's (ADD): names are taken as they are, ".." and absolute
                    names are cut to the root as BuildKit does */
};

/* Reads from IN (taken over), an uncompressed tar: ustar, pax, GNU, star, old. Sparse files are
 * refused. Names are bytes. */
int tar_reader_open(struct reader *in, enum tar_flavour flavour, struct tar_reader **out,
                    struct error *err);

/* The next entry: *MORE_OUT is false at the end. ENTRY's strings are borrowed until the next call;
 * source is NULL; handle is the offset of the content in the uncompressed tar. Names with NUL,
 * "..", more than LIMIT_PATH_BYTES, links out of the root (hard links), unknown types: ERR_REMOTE
 * for layers, ERR_STEP for archives. An opaque marker is returned as ENTRY_DIR with flag
 * ENTRY_OPAQUE, its folder's path, and mode UINT32_MAX (metadata unknown). */
int tar_reader_next(struct tar_reader *t, struct entry *entry, bool *more_out, struct error *err);

/* Reads content of the current FILE entry; *GOT_OUT 0 at its end. */
int tar_reader_data(struct tar_reader *t, void *data, size_t cap, size_t *got_out,
                    struct error *err);

/* As tar_reader_data() without a copy: *DATA_OUT is borrowed until the next call of any function.
 */
int tar_reader_view(struct tar_reader *t, const void **data_out, size_t *got_out,
                    struct error *err);

/* Reads what follows the archive's end, so that all of IN was read (a layer's digest covers that
 * too). */
int tar_reader_drain(struct tar_reader *t, struct error *err);

/* Cleanup for AUTO(). */
void tar_reader_freep(struct tar_reader **t);

struct store;

/* A whole archive as a tree whose contents lie in the file FD (borrowed until the tree is freed: it
 * is dup'ed), which holds the archive in any compression libarchive or inflate_reader_stream know
 * (gzip, bzip2, xz, zstd, plain); compressed ones are inflated into a temporary file of STORE. NAME
 * is for errors: ERR_STEP for a damaged archive, ERR_STORE. What is no archive is no error:
 * *IS_ARCHIVE_OUT is false then, and *OUT untouched. */
int tar_file_tree(struct store *store, int fd, const char *name, struct tree **out,
                  bool *is_archive_out, struct error *err);

#endif
