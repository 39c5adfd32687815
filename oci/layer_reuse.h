/*
 * Compressed blocks of layers written before, found by their raw bytes: the next build of nearly
 * the same layer copies them instead of compressing again.
 *
 * Every larger layer leaves a table of its blocks in records/blocks/, and the newest tables of a
 * compression are listed in records/block-lists/. Both only save time: what is missing, damaged or
 * points into a blob that is gone is compressed anew, to the same bytes.
 */
#ifndef SLIPWAY_OCI_LAYER_REUSE_H
#define SLIPWAY_OCI_LAYER_REUSE_H

#include "oci/layer_internal.h"

/* Smaller blocks are compressed sooner than found. */
#define LAYER_REUSE_MIN ((size_t)64 << 10)

struct layer_reuse;

/* For one layer that is written with CODEC; tables are read when the first block is looked for.
 * STORE and CODEC are borrowed. */
struct layer_reuse *layer_reuse_new(struct store *store, const struct layer_codec *codec);
/* Cleanup for AUTO(). */
void layer_reuse_freep(struct layer_reuse **reuse);

/* Adds the compressed form of the RAW_LEN bytes with digest RAW to OUT where it is known. Returns
 * whether it was. Any thread. */
bool layer_reuse_find(struct layer_reuse *reuse, const struct digest *raw, size_t raw_len,
                      struct buf *out);

/* The blob that the first block found lies in; false where none was found yet. Any thread. */
bool layer_reuse_like(struct layer_reuse *reuse, struct digest *out);

/* Notes a block of the layer that is written: LEN compressed bytes at OFFSET of its blob. */
void layer_reuse_note(struct layer_reuse *reuse, const struct digest *raw, size_t raw_len,
                      uint64_t offset, const void *packed, size_t len);

/* Saves the table of the layer's blob. */
int layer_reuse_save(struct layer_reuse *reuse, const struct digest *blob, struct error *err);

#endif
