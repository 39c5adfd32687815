/* What the tar reader's files share: bytes and headers below, entries and checks above. */
#ifndef SLIPWAY_OCI_TAR_READ_INTERNAL_H
#define SLIPWAY_OCI_TAR_READ_INTERNAL_H

#include "base/limits.h"
#include "oci/tar_parse.h"
#include "oci/tar_read.h"

enum { TAR_BUFFER_BYTES = 256 * 1024 };

struct tar_reader {
    struct reader *in;
    enum tar_flavour flavour;
    uint8_t *buffer;
    size_t at;
    size_t len;
    uint64_t offset;  /* of buffer[at] in the tar */
    uint64_t content; /* bytes of the current file that are left */
    uint64_t padding; /* bytes behind them */
    bool ended;
    struct tar_header header;
    struct buf pax;       /* the current entry's records */
    struct buf long_name; /* GNU's */
    struct buf long_link;
    char *path; /* the current entry's */
    char *link;
    struct xattr xattrs[LIMIT_XATTRS_PER_ENTRY];
    size_t xattrs_len;
};

/* What the pax records of one entry change. */
struct tar_overrides {
    const char *name; /* in the header, GNU's buffers or `path` and `link` */
    const char *link;
    char *own_name;
    char *own_link;
    bool is_sparse;
};

/* Sets an error about the entry NAME, or about the archive at the current byte. Return -1. */
int tar_refuse(const struct tar_reader *t, const char *name, const char *what, struct error *err);
int tar_damaged(const struct tar_reader *t, const char *what, struct error *err);

/* At most CAP bytes of the archive; DATA may be NULL for fewer than the buffer holds. *GOT_OUT 0 at
 * the end. */
int tar_some(struct tar_reader *t, void *data, size_t cap, size_t *got_out, struct error *err);

/* Drops LEN bytes. */
int tar_skip(struct tar_reader *t, uint64_t len, struct error *err);

/* Reads headers up to that of an entry, collecting the extended ones in front of it. */
int tar_read_headers(struct tar_reader *t, bool *more_out, struct error *err);

/* Applies the extended headers to t->header, t->xattrs and O. */
int tar_resolve_overrides(struct tar_reader *t, struct tar_overrides *o, struct error *err);
void tar_overrides_release(struct tar_overrides *o);
void tar_drop_xattrs(struct tar_reader *t);

#endif
