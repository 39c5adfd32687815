/* What the files that write a layer share: compressing one block, and where blocks begin and end.
 */
#ifndef SLIPWAY_OCI_LAYER_INTERNAL_H
#define SLIPWAY_OCI_LAYER_INTERNAL_H

#include "base/buf.h"
#include "base/error.h"
#include "oci/gzip_blocks.h"
#include "oci/layer.h"

/* ---- layer_codec.c: blocks in the layer's compression ---- */

/* A block's bytes depend on nothing but its raw bytes, method and level; the pieces in order,
 * between head and tail, are the blob. gzip: one member (gzip_blocks.h). zstd: one frame per block,
 * which every reader of zstd takes as one stream. */
struct layer_codec;

/* LEVEL 0: the method's default. */
struct layer_codec *layer_codec_new(enum compression compression, int level);
/* Cleanup for AUTO(). */
void layer_codec_freep(struct layer_codec **codec);
/* "gzip-6", "zstd-3", "none": what the bytes depend on besides the content. Borrowed. */
const char *layer_codec_name(const struct layer_codec *codec);
const char *layer_codec_media_type(const struct layer_codec *codec);
/* Whether blocks stay as they are. */
bool layer_codec_is_none(const struct layer_codec *codec);
/* Adds LEN > 0 raw bytes, compressed, to OUT. Any thread. */
int layer_codec_block(struct layer_codec *codec, const void *raw, size_t len, struct buf *out,
                      struct error *err);
void layer_codec_head(const struct layer_codec *codec, struct buf *out);
void layer_codec_tail(const struct layer_codec *codec, const struct gzip_check *check,
                      struct buf *out);

/* ---- layer_plan.c: where blocks begin and end ---- */

/* Files above this are cut at multiples of it from their own start and share no block with others.
 */
#define LAYER_LARGE_BYTES ((uint64_t)1 << 20)
/* Blocks of whole entries are no larger, and, unless a large file follows, no smaller. */
#define LAYER_BLOCK_MAX (((size_t)1 << 20) + ((size_t)8 << 10))
#define LAYER_BLOCK_MIN ((size_t)256 << 10)

/* One block: the entries [first, end) as a whole, or a piece of the large file FIRST. */
struct layer_block {
    size_t first;
    size_t end;
    bool is_large;
    uint64_t offset;       /* of the block in the tar */
    size_t len;            /* bytes of the tar in this block */
    uint64_t content_from; /* is_large: which bytes of the content */
    size_t content_len;
};

/* Goes through the entries of a difference. */
struct layer_plan {
    const struct tree *tree;
    enum timestamps timestamps;
    size_t next;      /* the entry that comes next */
    uint64_t offset;  /* where in the tar */
    uint64_t in_file; /* bytes of the large file NEXT that are done */
    struct buf scratch;
};

void layer_plan_release(struct layer_plan *plan);
/* The next block; *MORE_OUT is false at the end. Depends on the entries' metadata only. */
int layer_plan_next(struct layer_plan *plan, struct layer_block *out, bool *more_out,
                    struct error *err);

bool layer_time_needs_content(const struct entry *entry, enum timestamps timestamps);

/* ---- layer_pack.c: the bytes of a block ---- */

/* What is learnt about the difference's files while they are read. Any thread. */
struct layer_notes;
struct layer_notes *layer_notes_new(const struct tree *diff, enum timestamps timestamps);
/* Cleanup for AUTO(). */
void layer_notes_freep(struct layer_notes **notes);
/* The content's digest of the file at INDEX, reading it where nobody knows it yet. */
int layer_notes_digest(struct layer_notes *notes, size_t index, struct digest *out,
                       struct error *err);
/* Whether the digest of the file at INDEX is known, and what it is. */
bool layer_notes_known(struct layer_notes *notes, size_t index, struct digest *out);

/* Puts all that was learnt into DIFF, the notes' own tree. */
void layer_notes_keep(struct layer_notes *notes, struct tree *diff);

/* Adds the bytes of BLOCK, whole entries with their contents, to OUT. */
int layer_pack(struct layer_notes *notes, const struct layer_block *block, struct buf *out,
               struct error *err);

/* Adds the bytes of a piece of a large file to OUT. READER is the file's content between calls:
 * NULL before the first piece and after the last. */
int layer_pack_large(struct layer_notes *notes, const struct layer_block *block,
                     struct reader **reader, struct buf *out, struct error *err);

/* ---- layer_content.c ---- */

/* What the files of LAYER's tree, whose `handle` is their offset in the inflated layer, are read
 * through. STORE must outlive it. */
struct content_source *layer_content(struct store *store, const struct layer *layer);

/* Opens the inflated bytes of LAYER; HASHER (borrowed) gets them as they are read. */
int layer_open_inflated(struct store *store, const struct layer *layer, struct hasher *hasher,
                        struct reader **out, struct error *err);

/* Whether what HASHER got is what the image's config says. ERR_REMOTE. */
int layer_check_diff_id(const struct layer *layer, struct hasher *hasher, struct error *err);

/* Says in ERR which layer it is; -1. */
int layer_wrap(const struct layer *layer, struct error *err);

/* ---- layer_tree.c ---- */

/* Adds ENTRY of a layer as the tar reader gave it. One path may be there twice: deleted or marked
 * opaque, and made anew. What is made anew counts, and if it is a folder, it hides what was below
 * it; in whatever order they come. */
struct tree_builder;
int layer_tree_add(struct tree_builder *builder, const struct entry *entry, struct error *err);

/* ---- inflate.c ---- */

/* As inflate_reader_stream(), and gzip is left to zlib even where ISA-L is there: to compare. */
int inflate_reader_zlib(struct reader *in, struct reader **out, struct error *err);

#endif
