/* Layers unpacked into the store, each once. */
#include "oci/unpack.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/ahead.h"
#include "base/cancel.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/path.h"
#include "oci/incoming.h"
#include "oci/layer_internal.h"
#include "oci/tar_read.h"
#include "oci/tree_index.h"
#include "oci/unpack_internal.h"

#define IMPLIED_MAX (256 * MIB)

/* Passes a layer's tar on to the tar reader and hashes it, to the last byte of the stream. */
struct tee {
    struct reader *in;
    struct hasher *hasher;
};

/* What the tar reader owns of it. */
struct tee_reader {
    struct reader base;
    struct tee *tee;
};

static void tee_release(struct tee *tee)
{
    reader_freep(&tee->in);
    hasher_freep(&tee->hasher);
}

static int tee_read(struct tee *tee, void *data, size_t cap, size_t *got_out, struct error *err)
{
    size_t got = 0;
    if (reader_read(tee->in, data, cap, &got, err) != 0) {
        return -1;
    }
    hasher_add(tee->hasher, data, got);
    *got_out = got;
    return 0;
}

static int tee_reader_read(struct reader *r, void *data, size_t cap, size_t *got_out,
                           struct error *err)
{
    return tee_read(((struct tee_reader *)r)->tee, data, cap, got_out, err);
}

static void tee_reader_free(struct reader *r)
{
    free(r);
}

static const struct reader_ops tee_reader_ops = {tee_reader_read, tee_reader_free};

static int view_tar(void *ctx, const void **data_out, size_t *got_out, struct error *err)
{
    return tar_reader_view(ctx, data_out, got_out, err);
}

/* BUILDER may be NULL. */
static int write_entry(struct tar_reader *tar, struct unpacker *u, struct tree_builder *builder,
                       const struct entry *entry, struct error *err)
{
    struct unpack_content content = {view_tar, tar};
    if (builder && layer_tree_add(builder, entry, err) != 0) {
        return -1;
    }
    return unpacker_add(u, entry, entry->type == ENTRY_FILE ? &content : NULL, err);
}

static int write_entries(struct tee *tee, struct unpacker *u, struct tree_builder *builder,
                         struct error *err)
{
    AUTO(tar_reader_freep) struct tar_reader *tar = NULL;
    struct tee_reader *reader = mem_calloc(1, sizeof *reader);
    *reader = (struct tee_reader){.base = {&tee_reader_ops}, .tee = tee};
    if (tar_reader_open(&reader->base, TAR_LAYER, &tar, err) != 0) {
        return -1;
    }
    for (;;) {
        struct entry entry;
        bool more = false;
        if (cancel_requested()) {
            return cancel_error(err);
        }
        if (tar_reader_next(tar, &entry, &more, err) != 0) {
            return -1;
        }
        if (!more) {
            return unpacker_finish(u, err);
        }
        if (write_entry(tar, u, builder, &entry, err) != 0) {
            return -1;
        }
    }
}

/* Compares what was read with the diff id; the stream may go on behind the archive's end. */
static int check_diff_id(struct tee *tee, const struct layer *layer, struct error *err)
{
    AUTO(mem_freep) char *rest = mem_alloc(64 * 1024);
    size_t got = 0;
    do {
        if (tee_read(tee, rest, 64 * 1024, &got, err) != 0) {
            return -1;
        }
    } while (got > 0);
    struct digest found;
    char text[DIGEST_TEXT_SIZE];
    char wanted[DIGEST_TEXT_SIZE];
    hasher_finish(tee->hasher, &found);
    if (!digest_equal(&found, &layer->diff_id)) {
        return error_set(err, ERR_REMOTE, "the content is %s, and the image says %s",
                         digest_format(&found, text), digest_format(&layer->diff_id, wanted));
    }
    return 0;
}

static int write_blob(struct store *store, const struct layer *layer, struct unpacker *u,
                      struct error *err)
{
    AUTO(tee_release) struct tee tee = {.hasher = hasher_new()};
    struct reader *blob = NULL;
    struct reader *inflated = NULL;
    if (store_blob_reader(store, &layer->blob.digest, &blob, err) != 0 ||
        inflate_reader_stream(blob, &inflated, err) != 0) {
        return -1;
    }
    tee.in = reader_ahead(inflated);
    /* Who asks for the layer's tree later need not inflate it again. */
    AUTO(tree_builder_freep) struct tree_builder *builder = NULL;
    if (!tree_index_is_there(store, &layer->diff_id)) {
        builder = tree_builder_new();
    }
    if (write_entries(&tee, u, builder, err) != 0 || check_diff_id(&tee, layer, err) != 0) {
        return -1;
    }
    if (builder) {
        AUTO(tree_unrefp) struct tree *tree = tree_builder_finish(MEM_STEAL(builder));
        return tree_index_save(store, &layer->diff_id, tree, err);
    }
    return 0;
}

/* Notes the folders that no entry spoke of in the file TEMP/implied, each ended by a zero byte. */
static int note_implied(struct store *store, const struct unpacker *u, const char *temp,
                        struct error *err)
{
    const struct strlist *implied = unpacker_implied(u);
    AUTO(mem_freep) char *path = mem_printf("%s/implied", temp);
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    for (size_t i = 0; i < implied->len; i++) {
        buf_append(&text, implied->items[i], strlen(implied->items[i]) + 1);
    }
    if (text.len == 0) {
        return 0;
    }
    return file_write_atomic(store_fd(store), path, text.data, text.len, 0644, false, err);
}

int unpack_implied(struct store *store, const char *path, struct strlist *out, struct error *err)
{
    AUTO(mem_freep) char *folder = path_parent(path);
    AUTO(mem_freep) char *name = mem_printf("%s/implied", folder);
    AUTO(buf_release) struct buf text = BUF_INIT(IMPLIED_MAX);
    bool found = false;
    if (file_read(store_fd(store), name, IMPLIED_MAX, &text, &found, err) != 0) {
        return -1;
    }
    for (size_t at = 0; at < text.len; at += strlen(text.data + at) + 1) {
        strlist_add(out, text.data + at);
    }
    return 0;
}

/* Writes the files into the folder TEMP/root. */
static int write_root(struct store *store, const struct layer *layer, struct tree *diff,
                      enum unpack_style style, const char *temp, int64_t stamp, struct error *err)
{
    AUTO(mem_freep) char *root = mem_printf("%s/root", temp);
    AUTO(fd_closep) int fd = -1;
    if (mkdirat(store_fd(store), root, 0755) != 0) {
        return error_errno(err, ERR_STORE, "make folder '%s'", root);
    }
    if (file_open(store_fd(store), root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, &fd, err) != 0) {
        return -1;
    }
    AUTO(unpacker_freep) struct unpacker *u = unpacker_new(fd, style, stamp, TIMES_KEEP);
    struct entry top = {.path = "", .type = ENTRY_DIR, .mode = 0755, .mtime = TIME_BASE};
    if (unpacker_add(u, &top, NULL, err) != 0) {
        return -1;
    }
    if ((diff ? unpack_write_tree(u, diff, err) : write_blob(store, layer, u, err)) != 0) {
        return -1;
    }
    return note_implied(store, u, temp, err);
}

static int unpack_new(struct store *store, const struct layer *layer, struct tree *diff,
                      enum unpack_style style, const char *folder, struct error *err)
{
    AUTO(mem_freep) char *temp = NULL;
    int64_t stamp = (int64_t)time(NULL);
    bool moved = false;
    if (store_temp_dir(store, &temp, err) != 0) {
        return -1;
    }
    int result = write_root(store, layer, diff, style, temp, stamp, err);
    if (result == 0) {
        result = unpack_publish(store, temp, folder, stamp, &moved, err);
    }
    if (!moved) {
        struct error ignored = {0};
        file_remove_tree(store_fd(store), temp, &ignored);
    }
    return result;
}

int unpack_layer(struct store *store, const struct layer *layer, struct tree *diff,
                 enum unpack_style style, char **path_out, struct error *err)
{
    AUTO(mem_freep) char *folder = unpack_folder(&layer->diff_id, style);
    AUTO(store_unlockp) int lock = -1;
    char text[DIGEST_TEXT_SIZE];
    bool found = false;
    AUTO(mem_freep) char *lock_name = mem_printf("%s", folder);
    for (char *c = lock_name; *c; c++) {
        *c = *c == '/' ? '-' : *c;
    }
    if (store_lock(store, lock_name, &lock, err) != 0 ||
        unpack_find(store, folder, &found, err) != 0) {
        return -1;
    }
    if (!found && unpack_new(store, layer, diff, style, folder, err) != 0) {
        return error_wrap(err, "layer %s", digest_format(&layer->diff_id, text));
    }
    *path_out = mem_printf("%s/root", folder);
    return 0;
}
