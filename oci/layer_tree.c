/*
 * A layer of the store as a tree: from its index, else read once from its blob. Contents come from
 * an inflated copy of the layer, made when the first file is opened.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/ahead.h"
#include "base/cancel.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/memory.h"
#include "oci/content_range.h"
#include "oci/incoming.h"
#include "oci/layer_internal.h"
#include "oci/store_internal.h"
#include "oci/tar_read.h"
#include "oci/tree_index.h"

/* ---- what is read is hashed ---- */

struct hashing_reader {
    struct reader base;
    struct reader *in;     /* owned */
    struct hasher *hasher; /* borrowed */
};

static int hashing_read(struct reader *base, void *data, size_t cap, size_t *got_out,
                        struct error *err)
{
    struct hashing_reader *r = (struct hashing_reader *)base;
    if (cancel_requested()) {
        return cancel_error(err);
    }
    if (reader_read(r->in, data, cap, got_out, err) != 0) {
        return -1;
    }
    hasher_add(r->hasher, data, *got_out);
    return 0;
}

static void hashing_free(struct reader *base)
{
    struct hashing_reader *r = (struct hashing_reader *)base;
    reader_freep(&r->in);
    free(r);
}

static struct reader *hashing_reader(struct reader *in, struct hasher *hasher)
{
    static const struct reader_ops ops = {hashing_read, hashing_free};
    struct hashing_reader *r = mem_calloc(1, sizeof *r);
    *r = (struct hashing_reader){{&ops}, in, hasher};
    return &r->base;
}

/* Opens the inflated bytes of LAYER, hashed as they are read. */
static int open_inflated(struct store *store, const struct layer *layer, struct hasher *hasher,
                         struct reader **out, struct error *err)
{
    struct reader *blob = NULL;
    struct reader *inflated = NULL;
    if (store_blob_reader(store, &layer->blob.digest, &blob, err) != 0 ||
        inflate_reader_stream(blob, &inflated, err) != 0) {
        return -1;
    }
    /* Inflating takes longer than hashing and reading the tar, and needs not wait for them. */
    *out = hashing_reader(reader_ahead(inflated), hasher);
    return 0;
}

static int check_diff_id(const struct layer *layer, struct hasher *hasher, struct error *err)
{
    struct digest digest;
    hasher_finish(hasher, &digest);
    if (digest_equal(&digest, &layer->diff_id)) {
        return 0;
    }
    char got[DIGEST_TEXT_SIZE];
    char expected[DIGEST_TEXT_SIZE];
    return error_set(err, ERR_REMOTE, "it inflates to %s, but the image's config says %s",
                     digest_format(&digest, got), digest_format(&layer->diff_id, expected));
}

static int wrap_layer(const struct layer *layer, struct error *err)
{
    char text[DIGEST_TEXT_SIZE];
    return error_wrap(err, "layer %s", digest_format(&layer->blob.digest, text));
}

/* ---- contents ---- */

struct layer_source {
    struct content_source base;
    struct store *store; /* borrowed: it outlives all trees */
    struct layer layer;
    pthread_mutex_t lock;
    int tar; /* -1 until the first content is asked for */
};

/* Inflates the layer to a temporary file, verifies it and moves it to PATH. */
static int make_tar(struct store *store, const struct layer *layer, const char *path,
                    struct error *err)
{
    AUTO(mem_freep) char *temp = NULL;
    AUTO(hasher_freep) struct hasher *hasher = hasher_new();
    AUTO(reader_freep) struct reader *in = NULL;
    AUTO(fd_closep) int fd = -1;
    if (file_make_dirs(store->fd, "tars", STORE_DIR_MODE, err) != 0 ||
        store_temp_name(store, &temp, err) != 0 ||
        open_inflated(store, layer, hasher, &in, err) != 0 ||
        file_open(store->fd, temp, O_WRONLY | O_CREAT | O_EXCL, STORE_FILE_MODE, &fd, err) != 0) {
        return -1;
    }
    AUTO(writer_freep) struct writer *out = writer_fd(fd_steal(&fd), path);
    int rc = stream_copy(in, out, NULL, err);
    rc = rc == 0 ? check_diff_id(layer, hasher, err) : rc;
    if (rc == 0 && renameat(store->fd, temp, store->fd, path) != 0) {
        rc = error_errno(err, ERR_STORE, "rename to '%s'", path);
    }
    if (rc != 0) {
        unlinkat(store->fd, temp, 0);
    }
    return rc;
}

/* Opens PATH if it is there; *FD_OUT stays -1 else. */
static int open_existing(struct store *store, const char *path, int *fd_out, struct error *err)
{
    store_touch(store, path);
    int fd = openat(store->fd, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno != ENOENT) {
        return error_errno(err, ERR_STORE, "open '%s'", path);
    }
    *fd_out = fd;
    return 0;
}

/* Opens the inflated layer, making it where it is missing; others who want it wait. */
static int open_tar(struct store *store, const struct layer *layer, int *fd_out, struct error *err)
{
    if (digest_equal(&layer->diff_id, &layer->blob.digest)) {
        return store_open_blob(store, &layer->blob.digest, fd_out, NULL, err);
    }
    char hex[DIGEST_HEX_SIZE];
    char path[80];
    snprintf(path, sizeof path, "tars/%s", digest_hex(&layer->diff_id, hex));
    AUTO(fd_closep) int fd = -1;
    if (open_existing(store, path, &fd, err) != 0) {
        return -1;
    }
    AUTO(store_unlockp) int lock = -1;
    if (fd < 0) {
        char name[80];
        snprintf(name, sizeof name, "tar-%s", hex);
        if (store_lock(store, name, &lock, err) != 0 || open_existing(store, path, &fd, err) != 0) {
            return -1;
        }
    }
    if (fd < 0 && (make_tar(store, layer, path, err) != 0 ||
                   file_open(store->fd, path, O_RDONLY, 0, &fd, err) != 0)) {
        return -1;
    }
    *fd_out = fd_steal(&fd);
    return 0;
}

static int source_open(struct content_source *base, const struct entry *entry, struct reader **out,
                       struct error *err)
{
    struct layer_source *source = (struct layer_source *)base;
    pthread_mutex_lock(&source->lock);
    int rc = 0;
    if (source->tar < 0) {
        rc = open_tar(source->store, &source->layer, &source->tar, err);
    }
    pthread_mutex_unlock(&source->lock);
    if (rc != 0) {
        return wrap_layer(&source->layer, err);
    }
    *out = content_range_reader(base, source->tar, entry);
    return 0;
}

static void source_free(struct content_source *base)
{
    struct layer_source *source = (struct layer_source *)base;
    fd_closep(&source->tar);
    pthread_mutex_destroy(&source->lock);
    free(source);
}

static struct content_source *source_new(struct store *store, const struct layer *layer)
{
    static const struct content_ops ops = {source_open, source_free};
    struct layer_source *source = mem_calloc(1, sizeof *source);
    source->base = (struct content_source){&ops, 1};
    source->store = store;
    source->layer = *layer;
    source->tar = -1;
    pthread_mutex_init(&source->lock, NULL);
    return &source->base;
}

/* ---- entries ---- */

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
    if (open_inflated(store, layer, hasher, &in, err) != 0 ||
        tar_reader_open(in, TAR_LAYER, &tar, err) != 0 ||
        read_entries(tar, source, builder, err) != 0 || tar_reader_drain(tar, err) != 0 ||
        check_diff_id(layer, hasher, err) != 0) {
        return -1;
    }
    *out = tree_builder_finish(MEM_STEAL(builder));
    return 0;
}

int layer_tree(struct store *store, const struct layer *layer, struct tree **out, struct error *err)
{
    AUTO(content_unrefp) struct content_source *source = source_new(store, layer);
    AUTO(tree_unrefp) struct tree *tree = NULL;
    if (tree_index_load(store, &layer->diff_id, source, &tree, err) != 0) {
        return -1;
    }
    if (!tree) {
        if (tree_of_blob(store, layer, source, &tree, err) != 0) {
            return wrap_layer(layer, err);
        }
        if (tree_index_save(store, &layer->diff_id, tree, err) != 0) {
            return -1;
        }
    }
    *out = MEM_STEAL(tree);
    return 0;
}
