/* Reading layouts, from a folder or out of a tar that was imported. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/memory.h"
#include "oci/layout_internal.h"

enum { NESTED_MAX = 4 };

/* Where the layout lies: one of the two. */
struct layout_source {
    struct store *store;
    const char *name; /* for messages */
    int dir;          /* -1: none */
    struct import *import;
};

static int read_text(struct layout_source *source, const char *path, struct buf *out,
                     bool *found_out, struct error *err)
{
    if (source->dir >= 0) {
        return file_read(source->dir, path, LIMIT_MANIFEST_BYTES, out, found_out, err);
    }
    const struct import_file *file = import_find(source->import, path);
    *found_out = file != NULL;
    return file ? import_read(source->import, file, LIMIT_MANIFEST_BYTES, out, err) : 0;
}

static int copy_from_dir(struct layout_source *source, const struct descriptor *blob,
                         bool *found_out, struct error *err)
{
    char hex[DIGEST_HEX_SIZE];
    AUTO(mem_freep) char *path = mem_printf("blobs/sha256/%s", digest_hex(&blob->digest, hex));
    int fd = openat(source->dir, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && errno == ENOENT) {
        *found_out = false;
        return 0;
    }
    if (fd < 0) {
        return error_errno(err, ERR_USAGE, "open '%s'", path);
    }
    AUTO(reader_freep) struct reader *in = reader_fd(fd, path);
    AUTO(blob_writer_freep) struct blob_writer *out = NULL;
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != blob->size) {
        return error_set(err, ERR_USAGE, "'%s' is no file of %" PRIu64 " bytes", path, blob->size);
    }
    if (blob_writer_open(source->store, &out, err) != 0 ||
        stream_copy(in, blob_writer_stream(out), NULL, err) != 0) {
        return -1;
    }
    if (blob_writer_commit(out, &blob->digest, blob->size, NULL, NULL, err) != 0) {
        err->code = err->code == ERR_REMOTE ? ERR_USAGE : err->code;
        return -1;
    }
    *found_out = true;
    return 0;
}

/* Makes sure that the store has the blob. *FOUND_OUT is false if neither it nor the layout has. */
static int take_blob(struct layout_source *source, const struct descriptor *blob, bool *found_out,
                     struct error *err)
{
    char text[DIGEST_TEXT_SIZE];
    uint64_t size = 0;
    struct import_file *file =
        source->import ? import_find_digest(source->import, &blob->digest) : NULL;
    if (cancel_requested()) {
        return cancel_error(err);
    }
    if (file && file->size != blob->size) {
        return error_set(err, ERR_USAGE,
                         "blob %s has %" PRIu64 " bytes where its descriptor says %" PRIu64,
                         digest_format(&blob->digest, text), file->size, blob->size);
    }
    if (file) {
        *found_out = true;
        return import_keep(source->import, file, err);
    }
    if (store_has_blob(source->store, &blob->digest, &size) && size == blob->size) {
        *found_out = true;
        return 0;
    }
    *found_out = false;
    return source->dir >= 0 ? copy_from_dir(source, blob, found_out, err) : 0;
}

static int take_needed(struct layout_source *source, const struct descriptor *blob,
                       struct error *err)
{
    char text[DIGEST_TEXT_SIZE];
    bool found = false;
    if (take_blob(source, blob, &found, err) != 0) {
        return -1;
    }
    if (!found) {
        return error_set(err, ERR_USAGE, "blob %s is missing or damaged",
                         digest_format(&blob->digest, text));
    }
    return 0;
}

static int take_image(struct layout_source *source, const struct descriptor *top, int depth,
                      struct error *err);

/* The manifests of an index. Some may be left out (docker saves only what it has pulled), but not
 * all. */
static int take_children(struct layout_source *source, const struct image_index *index, int depth,
                         struct error *err)
{
    size_t present = 0;
    for (size_t i = 0; i < index->len; i++) {
        bool found = false;
        const struct descriptor *child = &index->items[i].descriptor;
        if (take_blob(source, child, &found, err) != 0) {
            return -1;
        }
        if (found && take_image(source, child, depth + 1, err) != 0) {
            return -1;
        }
        present += found;
    }
    if (index->len > 0 && present == 0) {
        return error_set(err, ERR_USAGE, "none of the images of the index is there");
    }
    return 0;
}

/* TOP and all that it reaches. */
static int take_image(struct layout_source *source, const struct descriptor *top, int depth,
                      struct error *err)
{
    AUTO(buf_release) struct buf bytes = BUF_INIT(LIMIT_MANIFEST_BYTES);
    AUTO(mem_freep) struct layer *layers = NULL;
    AUTO(image_index_release) struct image_index index = {0};
    enum document_kind kind = DOCUMENT_MANIFEST;
    struct descriptor config;
    size_t len = 0;
    char text[DIGEST_TEXT_SIZE];
    if (depth > NESTED_MAX) {
        return error_set(err, ERR_USAGE, "the index is nested more than %d deep", NESTED_MAX);
    }
    if (top->size > LIMIT_MANIFEST_BYTES) {
        return error_set(err, ERR_USAGE, "manifest %s is larger than %zu bytes",
                         digest_format(&top->digest, text), LIMIT_MANIFEST_BYTES);
    }
    if (take_needed(source, top, err) != 0 ||
        store_read_blob(source->store, &top->digest, LIMIT_MANIFEST_BYTES, &bytes, err) != 0) {
        return -1;
    }
    if (document_parse(buf_text(&bytes), bytes.len, top->media_type, ERR_USAGE, &kind, &config,
                       &layers, &len, &index, err) != 0) {
        return error_wrap(err, "%s", digest_format(&top->digest, text));
    }
    if (kind == DOCUMENT_INDEX) {
        return take_children(source, &index, depth, err);
    }
    if (take_needed(source, &config, err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < len; i++) {
        if (take_needed(source, &layers[i].blob, err) != 0) {
            return -1;
        }
    }
    return 0;
}

static const char *name_of(const json_t *item)
{
    const json_t *annotations = json_object_get(item, "annotations");
    const char *name = json_get_string(annotations, ANNOTATION_CONTAINERD_NAME);
    return name ? name : json_get_string(annotations, ANNOTATION_REF_NAME);
}

static int read_index(struct layout_source *source, const json_t *index, struct layout_list *out,
                      struct error *err)
{
    const json_t *list = json_object_get(index, "manifests");
    if (!json_is_array(list) || json_array_size(list) == 0 ||
        json_array_size(list) > LIMIT_INDEX_MANIFESTS) {
        return error_set(err, ERR_USAGE, "its index.json names no images");
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        struct descriptor top;
        char what[64];
        snprintf(what, sizeof what, "index.json, manifest %zu", i + 1);
        if (descriptor_parse(item, what, ERR_USAGE, &top, err) != 0 ||
            take_image(source, &top, 0, err) != 0) {
            return -1;
        }
        layout_list_add(out, &top, name_of(item));
    }
    return 0;
}

static int check_version(struct layout_source *source, struct error *err)
{
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    AUTO(json_freep) json_t *doc = NULL;
    bool found = false;
    if (read_text(source, "oci-layout", &text, &found, err) != 0) {
        return -1;
    }
    if (!found) {
        return error_set(err, ERR_USAGE, "it has no file 'oci-layout'");
    }
    if (json_parse(buf_text(&text), text.len, LIMIT_MANIFEST_BYTES, "its file 'oci-layout'",
                   ERR_USAGE, &doc, err) != 0) {
        return -1;
    }
    const char *version = json_get_string(doc, "imageLayoutVersion");
    if (!version || strncmp(version, "1.", 2) != 0) {
        return error_set(err, ERR_USAGE, "its layout version '%.20s' is not supported",
                         version ? version : "");
    }
    return 0;
}

static int read_layout(struct layout_source *source, struct layout_list *out, struct error *err)
{
    AUTO(layout_list_release) struct layout_list list = {0};
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    AUTO(json_freep) json_t *index = NULL;
    bool found = false;
    if (check_version(source, err) != 0 ||
        read_text(source, "index.json", &text, &found, err) != 0) {
        return -1;
    }
    if (!found) {
        return error_set(err, ERR_USAGE, "it has no file 'index.json'");
    }
    if (json_parse(buf_text(&text), text.len, LIMIT_MANIFEST_BYTES, "its index.json", ERR_USAGE,
                   &index, err) != 0 ||
        read_index(source, index, &list, err) != 0) {
        return -1;
    }
    *out = list;
    list = (struct layout_list){0};
    return 0;
}

int layout_read_import(struct store *store, struct import *import, const char *name,
                       struct layout_list *out, struct error *err)
{
    struct layout_source source = {.store = store, .name = name, .dir = -1, .import = import};
    return read_layout(&source, out, err) == 0 ? 0 : error_wrap(err, "OCI layout '%s'", name);
}

int layout_read(struct store *store, const char *path, struct layout_image **images_out,
                size_t *len_out, struct error *err)
{
    AUTO(layout_list_release) struct layout_list list = {0};
    AUTO(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        return error_errno(err, ERR_USAGE, "open OCI layout '%s'", path);
    }
    if (S_ISDIR(st.st_mode)) {
        struct layout_source source = {.store = store, .name = path, .dir = fd};
        if (read_layout(&source, &list, err) != 0) {
            return error_wrap(err, "OCI layout '%s'", path);
        }
    } else {
        AUTO(import_release) struct import import = {0};
        if (import_archive(store, reader_fd(fd_steal(&fd), path), path, &import, err) != 0 ||
            layout_read_import(store, &import, path, &list, err) != 0) {
            return -1;
        }
    }
    *images_out = list.items;
    *len_out = list.len;
    list = (struct layout_list){0};
    return 0;
}
