/* A layer of the store as a tree: from its index, else read once from its blob. */
#include "base/limits.h"
#include "base/memory.h"
#include "oci/layer_internal.h"
#include "oci/store_internal.h"
#include "oci/tar_read.h"
#include "oci/tree_index.h"

int layer_tree_add(struct tree_builder *builder, const struct entry *entry, struct error *err)
{
    if (tree_builder_len(builder) >= LIMIT_ENTRIES) {
        return error_set(err, ERR_REMOTE, "more than %zu entries", LIMIT_ENTRIES);
    }
    struct entry added = *entry;
    const struct entry *there = tree_builder_get(builder, entry->path);
    bool is_mark = entry->type == ENTRY_WHITEOUT || entry->mode == UINT32_MAX;
    if (there) {
        bool there_is_mark = there->type == ENTRY_WHITEOUT || there->mode == UINT32_MAX;
        if (is_mark && !there_is_mark) {
            added = *there;
        }
        bool hides = is_mark || there_is_mark || (there->flags & ENTRY_OPAQUE);
        if (added.type == ENTRY_DIR && hides) {
            added.flags |= ENTRY_OPAQUE;
        }
    }
    tree_builder_add(builder, &added);
    return 0;
}

static int read_entries(struct tar_reader *tar, struct content_source *source,
                        struct tree_builder *builder, struct error *err)
{
    bool more = true;
    while (more) {
        struct entry entry;
        if (tar_reader_next(tar, &entry, &more, err) != 0) {
            return -1;
        }
        if (!more) {
            break;
        }
        entry.source = entry.type == ENTRY_FILE && entry.size > 0 ? source : NULL;
        if (layer_tree_add(builder, &entry, err) != 0) {
            return -1;
        }
    }
    return 0;
}

static int tree_of_blob(struct store *store, const struct layer *layer,
                        struct content_source *source, struct tree **out, struct error *err)
{
    AUTO(hasher_freep) struct hasher *hasher = hasher_new();
    struct reader *in = NULL;
    AUTO(tar_reader_freep) struct tar_reader *tar = NULL;
    AUTO(tree_builder_freep) struct tree_builder *builder = tree_builder_new();
    if (layer_open_inflated(store, layer, hasher, &in, err) != 0 ||
        tar_reader_open(in, TAR_LAYER, &tar, err) != 0 ||
        read_entries(tar, source, builder, err) != 0 || tar_reader_drain(tar, err) != 0 ||
        layer_check_diff_id(layer, hasher, err) != 0) {
        return -1;
    }
    *out = tree_builder_finish(MEM_STEAL(builder));
    return 0;
}

int layer_tree(struct store *store, const struct layer *layer, struct tree **out, struct error *err)
{
    AUTO(content_unrefp) struct content_source *source = layer_content(store, layer);
    AUTO(tree_unrefp) struct tree *tree = NULL;
    if (tree_index_load(store, &layer->diff_id, source, &tree, err) != 0) {
        return -1;
    }
    if (!tree) {
        if (tree_of_blob(store, layer, source, &tree, err) != 0) {
            return layer_wrap(layer, err);
        }
        if (tree_index_save(store, &layer->diff_id, tree, err) != 0) {
            return -1;
        }
    }
    *out = MEM_STEAL(tree);
    return 0;
}
