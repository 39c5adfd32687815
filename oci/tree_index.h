/*
 * A layer's tree kept under trees/HEX, so that a step needs no blob to know what its base holds.
 *
 * Only metadata: the content of a file is where `handle` says, an offset in the inflated layer. A
 * damaged or unknown index counts as missing.
 */
#ifndef SLIPWAY_OCI_TREE_INDEX_H
#define SLIPWAY_OCI_TREE_INDEX_H

#include <stdbool.h>

#include "oci/store.h"
#include "oci/tree.h"

/* Writes what `trees/HEX` holds for TREE to OUT: the bytes depend on the entries only. */
void tree_index_encode(const struct tree *tree, struct buf *out);

/* Reads it. Files with content get SOURCE (may be NULL), which is borrowed. Returns NULL if it is
 * damaged. */
struct tree *tree_index_decode(const void *data, size_t len, struct content_source *source);

/* Writes the index of a layer while its entries are found, in order; a tree of them need not be. */
struct tree_index_writer;

/* An index of exactly COUNT entries, in an unfinished file of STORE. */
int tree_index_writer_open(struct store *store, size_t count, struct tree_index_writer **out,
                           struct error *err);

/* The next entry; its strings are borrowed for the call. */
int tree_index_writer_add(struct tree_index_writer *writer, const struct entry *entry,
                          struct error *err);

/* All entries were added: it is the index of the layer DIFF_ID. */
int tree_index_writer_commit(struct tree_index_writer *writer, const struct digest *diff_id,
                             struct error *err);

/* Cleanup for AUTO(): drops what was not committed. */
void tree_index_writer_freep(struct tree_index_writer **writer);

/* Saves the index of the layer DIFF_ID, all of it at once. */
int tree_index_save(struct store *store, const struct digest *diff_id, const struct tree *tree,
                    struct error *err);

/* Whether there is one, good or damaged. */
bool tree_index_is_there(struct store *store, const struct digest *diff_id);

/* *OUT becomes NULL where there is none. */
int tree_index_load(struct store *store, const struct digest *diff_id,
                    struct content_source *source, struct tree **out, struct error *err);

#endif
