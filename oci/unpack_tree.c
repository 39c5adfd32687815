/* Writing trees, whose contents are read from their sources. */
#include <fcntl.h>
#include <stdio.h>

#include "base/cancel.h"
#include "base/memory.h"
#include "oci/unpack_internal.h"

static int read_entry(void *ctx, void *data, size_t cap, size_t *got_out, struct error *err)
{
    return reader_read(ctx, data, cap, got_out, err);
}

static int add_entry(struct unpacker *u, const struct entry *entry, struct error *err)
{
    AUTO(reader_freep) struct reader *reader = NULL;
    if (entry->type != ENTRY_FILE || entry->size == 0) {
        return unpacker_add(u, entry, NULL, err);
    }
    if (entry_open(entry, &reader, err) != 0) {
        return -1;
    }
    struct unpack_content content = {read_entry, reader};
    return unpacker_add(u, entry, &content, err);
}

int unpack_write_tree(struct unpacker *u, struct tree *tree, struct error *err)
{
    for (size_t i = 0; i < tree_len(tree); i++) {
        if (cancel_requested()) {
            return cancel_error(err);
        }
        if (add_entry(u, tree_at(tree, i), err) != 0) {
            return -1;
        }
    }
    return unpacker_finish(u, err);
}

int unpack_tree(struct tree *tree, int dirfd, enum unpack_style style, enum timestamps timestamps,
                struct error *err)
{
    AUTO(unpacker_freep) struct unpacker *u = unpacker_new(dirfd, style, -1, timestamps);
    return unpack_write_tree(u, tree, err);
}
