/*
 * The files of a layer of the store. Whoever opens one will want others: they come from an inflated
 * copy of the layer, made once. A small file that is read alone (/etc/passwd, for a name of
 * --chown) is not worth that copy, and comes from the blob itself.
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
#include "base/memory.h"
#include "oci/content_range.h"
#include "oci/incoming.h"
#include "oci/layer_internal.h"
#include "oci/store_internal.h"

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

int layer_open_inflated(struct store *store, const struct layer *layer, struct hasher *hasher,
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

int layer_check_diff_id(const struct layer *layer, struct hasher *hasher, struct error *err)
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

int layer_wrap(const struct layer *layer, struct error *err)
{
    char text[DIGEST_TEXT_SIZE];
    return error_wrap(err, "layer %s", digest_format(&layer->blob.digest, text));
}

/* A file that was read alone, and may be wanted again by the next step. */
struct kept_file {
    uint64_t handle;
    struct buf data;
};

enum { KEPT_MAX = 4 }; /* /etc/passwd, /etc/group, and what replaces them in odd images */
#define KEPT_BYTES_MAX ((size_t)64 << 10)
#define SKIP_STEP ((uint64_t)16 << 20)

struct layer_source {
    struct content_source base;
    struct store *store; /* borrowed: it outlives all trees */
    struct layer layer;
    pthread_mutex_t lock;
    int tar; /* -1 until a content was opened */
    struct kept_file kept[KEPT_MAX];
    size_t kept_len;
};

/* ---- all files of the layer: an inflated copy ---- */

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
        layer_open_inflated(store, layer, hasher, &in, err) != 0 ||
        file_open(store->fd, temp, O_WRONLY | O_CREAT | O_EXCL, STORE_FILE_MODE, &fd, err) != 0) {
        return -1;
    }
    AUTO(writer_freep) struct writer *out = writer_fd(fd_steal(&fd), path);
    int rc = stream_copy(in, out, NULL, err);
    rc = rc == 0 ? layer_check_diff_id(layer, hasher, err) : rc;
    if (rc == 0 && renameat(store->fd, temp, store->fd, path) != 0) {
        rc = error_errno(err, ERR_STORE, "rename to '%s'", path);
    }
    if (rc != 0) {
        unlinkat(store->fd, temp, 0);
    }
    return rc;
}

enum { TAR_PATH_SIZE = 80 };

static const char *tar_path(const struct layer *layer, char path[TAR_PATH_SIZE])
{
    char hex[DIGEST_HEX_SIZE];
    snprintf(path, TAR_PATH_SIZE, "tars/%s", digest_hex(&layer->diff_id, hex));
    return path;
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

/* Opens the inflated layer where there is one; *FD_OUT stays -1 else. */
static int open_inflated_already(struct store *store, const struct layer *layer, int *fd_out,
                                 struct error *err)
{
    char path[TAR_PATH_SIZE];
    return digest_equal(&layer->diff_id, &layer->blob.digest)
               ? store_open_blob(store, &layer->blob.digest, fd_out, NULL, err)
               : open_existing(store, tar_path(layer, path), fd_out, err);
}

/* Opens the inflated layer, making it where it is missing; others who want it wait. */
static int open_tar(struct store *store, const struct layer *layer, int *fd_out, struct error *err)
{
    AUTO(fd_closep) int fd = -1;
    if (open_inflated_already(store, layer, &fd, err) != 0) {
        return -1;
    }
    AUTO(store_unlockp) int lock = -1;
    char path[TAR_PATH_SIZE];
    tar_path(layer, path);
    if (fd < 0) {
        char name[TAR_PATH_SIZE];
        snprintf(name, sizeof name, "tar-%s", path + strlen("tars/"));
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
        return layer_wrap(&source->layer, err);
    }
    *out = content_range_reader(base, source->tar, entry);
    return 0;
}

/* ---- one small file alone ---- */

/* Adds the content of ENTRY if it was read before. */
static bool take_kept(const struct layer_source *source, const struct entry *entry, struct buf *out)
{
    for (size_t i = 0; i < source->kept_len; i++) {
        const struct kept_file *kept = &source->kept[i];
        if (kept->handle == entry->handle && kept->data.len == entry->size) {
            buf_append(out, kept->data.data, kept->data.len);
            return true;
        }
    }
    return false;
}

static void keep(struct layer_source *source, const struct entry *entry, const char *data)
{
    pthread_mutex_lock(&source->lock);
    if (source->kept_len < KEPT_MAX && entry->size <= KEPT_BYTES_MAX) {
        struct kept_file *kept = &source->kept[source->kept_len++];
        *kept = (struct kept_file){.handle = entry->handle, .data = BUF_INIT(0)};
        buf_append(&kept->data, data, (size_t)entry->size);
    }
    pthread_mutex_unlock(&source->lock);
}

/* reader_skip() in steps between which one may be interrupted. */
static int skip_to(struct reader *in, uint64_t offset, struct error *err)
{
    for (uint64_t left = offset; left > 0;) {
        uint64_t step = left < SKIP_STEP ? left : SKIP_STEP;
        if (cancel_requested()) {
            return cancel_error(err);
        }
        if (reader_skip(in, step, err) != 0) {
            return -1;
        }
        left -= step;
    }
    return 0;
}

/* Inflates the blob up to the end of ENTRY. The diff id is not looked at again: it was when the
 * offsets were found. */
static int read_from_blob(struct layer_source *source, const struct entry *entry, struct buf *out,
                          struct error *err)
{
    struct reader *blob = NULL;
    AUTO(reader_freep) struct reader *in = NULL;
    size_t got = 0;
    if (store_blob_reader(source->store, &source->layer.blob.digest, &blob, err) != 0 ||
        inflate_reader_stream(blob, &in, err) != 0 || skip_to(in, entry->handle, err) != 0) {
        return -1;
    }
    char *at = buf_reserve(out, (size_t)entry->size);
    if (reader_read_full(in, at, (size_t)entry->size, &got, err) != 0) {
        return -1;
    }
    if (got < entry->size) {
        return error_set(err, ERR_STORE, "unexpected end of data");
    }
    out->len += got;
    out->data[out->len] = '\0';
    keep(source, entry, at);
    return 0;
}

static int source_read(struct content_source *base, const struct entry *entry, struct buf *out,
                       struct error *err)
{
    struct layer_source *source = (struct layer_source *)base;
    pthread_mutex_lock(&source->lock);
    bool done = take_kept(source, entry, out);
    int rc = done || source->tar >= 0
                 ? 0
                 : open_inflated_already(source->store, &source->layer, &source->tar, err);
    int tar = source->tar;
    pthread_mutex_unlock(&source->lock);
    if (rc == 0 && !done && tar >= 0) {
        AUTO(reader_freep) struct reader *in = content_range_reader(base, tar, entry);
        return reader_read_all(in, entry->path, (size_t)entry->size, out, err);
    }
    if (rc == 0 && !done) {
        rc = read_from_blob(source, entry, out, err);
    }
    return rc == 0 ? 0 : layer_wrap(&source->layer, err);
}

static void source_free(struct content_source *base)
{
    struct layer_source *source = (struct layer_source *)base;
    for (size_t i = 0; i < source->kept_len; i++) {
        buf_release(&source->kept[i].data);
    }
    fd_closep(&source->tar);
    pthread_mutex_destroy(&source->lock);
    free(source);
}

struct content_source *layer_content(struct store *store, const struct layer *layer)
{
    static const struct content_ops ops = {
        .open = source_open, .read = source_read, .free = source_free};
    struct layer_source *source = mem_calloc(1, sizeof *source);
    source->base = (struct content_source){&ops, 1};
    source->store = store;
    source->layer = *layer;
    source->tar = -1;
    pthread_mutex_init(&source->lock, NULL);
    return &source->base;
}
