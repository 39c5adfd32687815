/* Writing trees, whose contents are read from their sources. */
#include <fcntl.h>
#include <stdio.h>

#include "base/cancel.h"
#include "base/memory.h"
#include "oci/unpack_internal.h"

enum { COPY_BYTES = 128 * 1024 };

/* A file's content on its way. */
struct tree_content {
    struct reader *reader;
    char *space; /* COPY_BYTES */
};

static int view_entry(void *ctx, const void **data_out, size_t *got_out, struct error *err)
{
    struct tree_content *content = ctx;
    *data_out = content->space;
    return reader_read(content->reader, content->space, COPY_BYTES, got_out, err);
}

static int add_entry(struct unpacker *u, const struct entry *entry, char *space, struct error *err)
{
    AUTO(reader_freep) struct reader *reader = NULL;
    if (entry->type != ENTRY_FILE || entry->size == 0) {
        return unpacker_add(u, entry, NULL, err);
    }
    if (entry_open(entry, &reader, err) != 0) {
        return -1;
    }
    struct tree_content source = {reader, space};
    struct unpack_content content = {view_entry, &source};
    return unpacker_add(u, entry, &content, err);
}

int unpack_write_tree(struct unpacker *u, struct tree *tree, struct error *err)
{
    AUTO(mem_freep) char *space = mem_alloc(COPY_BYTES);
    for (size_t i = 0; i < tree_len(tree); i++) {
        if (cancel_requested()) {
            return cancel_error(err);
        }
        if (add_entry(u, tree_at(tree, i), space, err) != 0) {
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
