/* What reading and writing of an index share. */
#ifndef SLIPWAY_OCI_TREE_INDEX_INTERNAL_H
#define SLIPWAY_OCI_TREE_INDEX_INTERNAL_H

#include "oci/digest.h"

#define TREE_INDEX_MAGIC "slipway tree 1\n"
#define TREE_INDEX_MAGIC_LEN (sizeof TREE_INDEX_MAGIC - 1)

/* Where the index of the layer DIFF_ID lies in the store. */
enum { TREE_INDEX_PATH_SIZE = 80 };
void tree_index_path(const struct digest *diff_id, char out[TREE_INDEX_PATH_SIZE]);

#endif
