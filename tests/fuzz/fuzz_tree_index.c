/* Any bytes as a tree index; the checksum is made right, so that what lies behind it is reached.
 * What is decoded must encode to something that decodes to the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "oci/tree_index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char magic[] = "slipway tree 1\n";
    AUTO(buf_release) struct buf index = BUF_INIT(0);
    buf_append(&index, magic, sizeof magic - 1);
    buf_append(&index, data, size);
    struct digest digest;
    digest_of(index.data, index.len, &digest);
    buf_append(&index, digest.bytes, sizeof digest.bytes);
    AUTO(tree_unrefp) struct tree *tree = tree_index_decode(index.data, index.len, NULL);
    if (!tree) {
        return 0;
    }
    AUTO(buf_release) struct buf once = BUF_INIT(0);
    tree_index_encode(tree, &once);
    AUTO(tree_unrefp) struct tree *again = tree_index_decode(once.data, once.len, NULL);
    if (!again || tree_len(again) != tree_len(tree)) {
        abort();
    }
    AUTO(buf_release) struct buf twice = BUF_INIT(0);
    tree_index_encode(again, &twice);
    if (twice.len != once.len || memcmp(twice.data, once.data, once.len) != 0) {
        abort();
    }
    return 0;
}
