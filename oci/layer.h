/*
 * Layers: a difference tree written as one canonical tar, compressed in parallel blocks, into the
 * store; and read back.
 *
 * Canonical (design, "Layer content"): entries in byte order of their paths; ustar headers, pax
 * records (path, linkpath, size, uid, gid, mtime < 0 or large, SCHILY.xattr.*) only where ustar
 * cannot say it; folder names end in "/"; numeric owners, no names; hard links relative, after
 * their file; whiteouts as empty files ".wh.NAME" mode 0, owner 0:0, mtime 0 ... The same
 * difference gives the same bytes on any machine.
 */
#ifndef SLIPWAY_OCI_LAYER_H
#define SLIPWAY_OCI_LAYER_H

#include "base/pool.h"
#include "oci/document.h"
#include "oci/store.h"
#include "oci/tree.h"

enum compression { COMPRESS_GZIP, COMPRESS_ZSTD, COMPRESS_NONE };
enum timestamps {
    TIMES_CONTENT, /* design, "Times": volatile times of files come from the content's hash, others
                      are 2000-01-01 */
    TIMES_FIXED,   /* all volatile times are 2000-01-01 */
    TIMES_KEEP,    /* all times as they are */
};

/* 2000-01-01T00:00:00Z, and the width of the window of times made from content hashes: [BASE, BASE
 * + SPAN) reaches to 2008. */
#define TIME_BASE ((int64_t)946684800)
#define TIME_SPAN ((int64_t)252460800)

/* The time that stands for a content (design, "Times"): TIME_BASE + (first 8 bytes of the digest,
 * big endian) mod TIME_SPAN. */
int64_t layer_time_of(const struct digest *content);

/* The time that a layer written with TIMESTAMPS gives to ENTRY; CONTENT, the digest of its file's
 * content, is only looked at where a file's time is volatile and TIMESTAMPS is TIMES_CONTENT. */
int64_t layer_entry_time(const struct entry *entry, enum timestamps timestamps,
                         const struct digest *content);

/* Who wants to know of a layer's blob while it is written; called from the thread that calls
 * layer_write(). */
struct layer_follower {
    /* More was written to FD, borrowed. LIKE: a blob that it has blocks of; NULL: none so far. */
    void (*grown)(void *ctx, int fd, const struct digest *like);
    /* What was written is the blob DIGEST. Not called where it is not kept. */
    void (*done)(void *ctx, const struct digest *digest);
    void *ctx;
};

struct layer_options {
    enum compression compression;
    int level; /* 0: the default of the method (gzip 1 of libdeflate, zstd 3) */
    enum timestamps timestamps;
    const struct layer_follower *follower; /* NULL: nobody */
};

/* Writes DIFF. When its diff id turns out to be known in this compression and level, the blob that
 * is there is used. Fills OUT (blob descriptor with OCI media type, and diff id), and saves the
 * layer's record and tree index. Errors of reading content name the entry's path. POOL does the
 * compressing. Memory is bounded whatever the size: some 4 MiB for each of 2 * threads + 1 blocks.
 * Compressed blocks of layers written before are copied where their raw bytes are the same
 * (oci/layer_reuse.h). What a layer cannot say (names ".wh.X", ENTRY_OPAQUE, hard links to nothing)
 * is ERR_STEP. */
int layer_write(struct store *store, struct pool *pool, struct tree *diff,
                const struct layer_options *options, struct layer *out, struct error *err);

/* The diff id that layer_write() will give DIFF, at a fraction of its time: for who needs to know
 * it before the layer is there. Also notes in DIFF, which nobody else may use meanwhile, the
 * digests of the files that were read. POOL does the reading. Errors as of layer_write(). */
int layer_diff_id(struct pool *pool, struct tree *diff, enum timestamps timestamps,
                  struct digest *out, struct error *err);

/* Writes DIFF as an uncompressed canonical tar to OUT (for `-o type=tar`). */
int layer_write_tar(struct tree *diff, enum timestamps timestamps, struct writer *out,
                    struct error *err);

/* The tree of a layer that lies in the store: from its index, else by inflating the blob once
 * (which verifies the diff id) and saving the index. Entries' contents are readable (through an
 * inflated copy under tars/, made when first needed); STORE must outlive the tree. ENTRY_HAS_DIGEST
 * is set where this store wrote the layer itself: a short cut, not a promise. No entry is
 * ENTRY_TIME_VOLATILE. Corrupt or hostile layers: ERR_REMOTE naming the entry. */
int layer_tree(struct store *store, const struct layer *layer, struct tree **out,
               struct error *err);

/* Inflates a blob as its first bytes say (gzip of any number of members, zstd, plain). IN is taken
 * over. */
int inflate_reader_stream(struct reader *in, struct reader **out, struct error *err);

#endif
