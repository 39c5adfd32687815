/* Writing layouts: which blobs, in which order, and the two small documents. */
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
#include "oci/tar_write.h"

#define OCI_LAYOUT_FILE "{\"imageLayoutVersion\":\"1.0.0\"}"

enum { NESTED_MAX = 4, COPY_CHUNK = 128 * 1024 };

void layout_images_release(struct layout_image *images, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        free(images[i].name);
    }
    free(images);
}

void layout_list_release(struct layout_list *list)
{
    layout_images_release(list->items, list->len);
    *list = (struct layout_list){0};
}

void layout_list_add(struct layout_list *list, const struct descriptor *descriptor,
                     const char *name)
{
    list->items = mem_realloc(list->items, list->len + 1, sizeof *list->items);
    list->items[list->len++] =
        (struct layout_image){.descriptor = *descriptor, .name = mem_strdup(name)};
}

const char *layout_tag_of(const char *name)
{
    if (!name || strchr(name, '@')) {
        return NULL;
    }
    const char *slash = strrchr(name, '/');
    const char *colon = strrchr(name, ':');
    if (colon && (!slash || colon > slash)) {
        return colon + 1;
    }
    return slash ? NULL : name; /* a tag alone */
}

/* The blobs to write. */
struct blob_list {
    struct descriptor *items;
    size_t len;
    size_t cap;
};

static void blob_list_release(struct blob_list *list)
{
    free(list->items);
}

static void blob_list_add(struct blob_list *list, const struct descriptor *blob)
{
    if (list->len == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 16;
        list->items = mem_realloc(list->items, list->cap, sizeof *list->items);
    }
    list->items[list->len++] = *blob;
}

static int by_digest(const void *a, const void *b)
{
    return digest_compare(&((const struct descriptor *)a)->digest,
                          &((const struct descriptor *)b)->digest);
}

/* Sorts, and keeps each digest once. */
static void blob_list_settle(struct blob_list *list)
{
    size_t kept = 0;
    if (list->len > 0) {
        qsort(list->items, list->len, sizeof *list->items, by_digest);
    }
    for (size_t i = 0; i < list->len; i++) {
        if (kept == 0 || by_digest(&list->items[kept - 1], &list->items[i]) != 0) {
            list->items[kept++] = list->items[i];
        }
    }
    list->len = kept;
}

/* Adds TOP and all that it reaches. */
static int collect(struct store *store, const struct descriptor *top, int depth,
                   struct blob_list *list, struct error *err)
{
    if (depth > NESTED_MAX) {
        return error_set(err, ERR_STORE, "the index is nested more than %d deep", NESTED_MAX);
    }
    AUTO(buf_release) struct buf bytes = BUF_INIT(LIMIT_MANIFEST_BYTES);
    AUTO(mem_freep) struct layer *layers = NULL;
    AUTO(image_index_release) struct image_index index = {0};
    enum document_kind kind = DOCUMENT_MANIFEST;
    struct descriptor config;
    size_t len = 0;
    blob_list_add(list, top);
    if (store_read_blob(store, &top->digest, LIMIT_MANIFEST_BYTES, &bytes, err) != 0 ||
        document_parse(buf_text(&bytes), bytes.len, top->media_type, ERR_STORE, &kind, &config,
                       &layers, &len, &index, err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < index.len; i++) {
        if (collect(store, &index.items[i].descriptor, depth + 1, list, err) != 0) {
            return -1;
        }
    }
    if (kind == DOCUMENT_MANIFEST) {
        blob_list_add(list, &config);
    }
    for (size_t i = 0; i < len; i++) {
        blob_list_add(list, &layers[i].blob);
    }
    return 0;
}

static int collect_all(struct store *store, const struct layout_image *images, size_t len,
                       struct blob_list *list, struct error *err)
{
    for (size_t i = 0; i < len; i++) {
        if (collect(store, &images[i].descriptor, 0, list, err) != 0) {
            return images[i].name ? error_wrap(err, "%s", images[i].name) : -1;
        }
    }
    blob_list_settle(list);
    return 0;
}

/* Copies a blob to OUT; its size and digest must be what its descriptor says. */
static int copy_blob(struct store *store, const struct descriptor *blob, struct writer *out,
                     struct error *err)
{
    char text[DIGEST_TEXT_SIZE];
    digest_format(&blob->digest, text);
    int fd = -1;
    uint64_t size = 0;
    if (store_open_blob(store, &blob->digest, &fd, &size, err) != 0) {
        return -1;
    }
    AUTO(reader_freep) struct reader *in = reader_fd(fd, text);
    AUTO(hasher_freep) struct hasher *hasher = hasher_new();
    AUTO(mem_freep) char *chunk = mem_alloc(COPY_CHUNK);
    if (size != blob->size) {
        return error_set(err, ERR_STORE, "blob %s has %" PRIu64 " bytes instead of %" PRIu64, text,
                         size, blob->size);
    }
    for (uint64_t left = size; left > 0;) {
        size_t got = 0;
        size_t want = left < COPY_CHUNK ? (size_t)left : COPY_CHUNK;
        if (cancel_requested()) {
            return cancel_error(err);
        }
        if (reader_read(in, chunk, want, &got, err) != 0) {
            return -1;
        }
        if (got == 0) {
            return error_set(err, ERR_STORE, "blob %s ended early", text);
        }
        hasher_add(hasher, chunk, got);
        if (writer_write(out, chunk, got, err) != 0) {
            return -1;
        }
        left -= got;
    }
    struct digest actual;
    hasher_finish(hasher, &actual);
    if (!digest_equal(&actual, &blob->digest)) {
        return error_set(err, ERR_STORE, "blob %s is damaged", text);
    }
    return 0;
}

/* An entry of index.json. */
static json_t *index_item(const struct layout_image *image)
{
    json_t *item = descriptor_json(&image->descriptor);
    const char *tag = layout_tag_of(image->name);
    json_t *annotations = json_object();
    if (image->name && tag != image->name) {
        json_object_set_new(annotations, ANNOTATION_CONTAINERD_NAME, json_string(image->name));
    }
    if (tag) {
        json_object_set_new(annotations, ANNOTATION_REF_NAME, json_string(tag));
    }
    if (json_object_size(annotations) > 0) {
        json_object_set(item, "annotations", annotations);
    }
    json_decref(annotations);
    return item;
}

static json_t *new_index(void)
{
    json_t *doc = json_object();
    json_object_set_new(doc, "schemaVersion", json_integer(2));
    json_object_set_new(doc, "mediaType", json_string(MEDIA_OCI_INDEX));
    json_object_set_new(doc, "manifests", json_array());
    return doc;
}

static int put_header(struct writer *out, enum entry_type type, const char *path, uint64_t size,
                      struct error *err)
{
    AUTO(buf_release) struct buf header = BUF_INIT(0);
    struct entry entry = {
        .path = path, .type = (uint8_t)type, .mode = type == ENTRY_DIR ? 0755 : 0644, .size = size};
    if (tar_header_append(&entry, 0, &header, err) != 0) {
        return -1;
    }
    return writer_write(out, header.data, header.len, err);
}

static int put_padding(struct writer *out, uint64_t size, struct error *err)
{
    static const char zeros[TAR_BLOCK];
    return writer_write(out, zeros, tar_padding(size), err);
}

static int put_text(struct writer *out, const char *path, const void *data, size_t len,
                    struct error *err)
{
    if (put_header(out, ENTRY_FILE, path, len, err) != 0 ||
        writer_write(out, data, len, err) != 0) {
        return -1;
    }
    return put_padding(out, len, err);
}

static int put_blobs(struct store *store, struct writer *out, const struct blob_list *list,
                     struct error *err)
{
    if (put_header(out, ENTRY_DIR, "blobs", 0, err) != 0 ||
        put_header(out, ENTRY_DIR, "blobs/sha256", 0, err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < list->len; i++) {
        const struct descriptor *blob = &list->items[i];
        char hex[DIGEST_HEX_SIZE];
        AUTO(mem_freep) char *path = mem_printf("blobs/sha256/%s", digest_hex(&blob->digest, hex));
        if (put_header(out, ENTRY_FILE, path, blob->size, err) != 0 ||
            copy_blob(store, blob, out, err) != 0 || put_padding(out, blob->size, err) != 0) {
            return -1;
        }
    }
    return 0;
}

int layout_write_tar_with(struct store *store, struct writer *out,
                          const struct layout_image *images, size_t len,
                          const struct buf *manifest_json, struct error *err)
{
    AUTO(blob_list_release) struct blob_list list = {0};
    AUTO(json_freep) json_t *index = new_index();
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    static const char end[TAR_END_BYTES];
    if (collect_all(store, images, len, &list, err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < len; i++) {
        json_array_append_new(json_object_get(index, "manifests"), index_item(&images[i]));
    }
    json_render(index, &text);
    if (put_blobs(store, out, &list, err) != 0 ||
        put_text(out, "index.json", text.data, text.len, err) != 0 ||
        (manifest_json &&
         put_text(out, "manifest.json", manifest_json->data, manifest_json->len, err) != 0) ||
        put_text(out, "oci-layout", OCI_LAYOUT_FILE, strlen(OCI_LAYOUT_FILE), err) != 0) {
        return -1;
    }
    return writer_write(out, end, sizeof end, err);
}

int layout_write_tar(struct store *store, struct writer *out, const struct layout_image *images,
                     size_t len, struct error *err)
{
    return layout_write_tar_with(store, out, images, len, NULL, err);
}

/* One blob into the folder DIR of a layout. */
static int write_blob_file(struct store *store, int dir, const struct descriptor *blob,
                           struct error *err)
{
    char hex[DIGEST_HEX_SIZE];
    char random[17];
    struct stat st;
    AUTO(mem_freep) char *path = mem_printf("blobs/sha256/%s", digest_hex(&blob->digest, hex));
    if (fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
        (uint64_t)st.st_size == blob->size) {
        return 0;
    }
    file_random_name(random);
    AUTO(mem_freep) char *temp = mem_printf("blobs/sha256/.tmp-%s", random);
    int fd = -1;
    if (file_open(dir, temp, O_WRONLY | O_CREAT | O_EXCL, 0644, &fd, err) != 0) {
        return -1;
    }
    AUTO(writer_freep) struct writer *out = writer_fd(fd, path);
    int result = copy_blob(store, blob, out, err);
    if (result == 0 && renameat(dir, temp, dir, path) != 0) {
        result = error_errno(err, ERR_STORE, "rename to '%s'", path);
    }
    if (result != 0) {
        unlinkat(dir, temp, 0);
    }
    return result;
}

/* Whether the entry OLD of an index.json gives way to NEW: the same name, or the same image where
 * neither has one. */
static bool is_replaced(const json_t *old, const json_t *new)
{
    static const char *const keys[] = {ANNOTATION_CONTAINERD_NAME, ANNOTATION_REF_NAME};
    const json_t *a = json_object_get(old, "annotations");
    const json_t *b = json_object_get(new, "annotations");
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        const char *x = json_get_string(a, keys[i]);
        const char *y = json_get_string(b, keys[i]);
        if (x && y) {
            return strcmp(x, y) == 0;
        }
        if (x && i == 1) {
            return false;
        }
    }
    const char *x = json_get_string(old, "digest");
    return x && strcmp(x, json_get_string(new, "digest")) == 0 && !json_object_get(b, keys[1]);
}

/* The index.json that is in the folder, or a new one. */
static int read_old_index(int dir, json_t **out, struct error *err)
{
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    AUTO(json_freep) json_t *old = NULL;
    bool found = false;
    if (file_read(dir, "index.json", LIMIT_MANIFEST_BYTES, &text, &found, err) != 0) {
        return -1;
    }
    if (!found) {
        *out = new_index();
        return 0;
    }
    if (json_parse(buf_text(&text), text.len, LIMIT_MANIFEST_BYTES, "index.json", ERR_USAGE, &old,
                   err) != 0) {
        return -1;
    }
    if (!json_is_array(json_object_get(old, "manifests"))) {
        return error_set(err, ERR_USAGE, "index.json is not that of an OCI layout");
    }
    *out = MEM_STEAL(old);
    return 0;
}

static int write_index(int dir, const struct layout_image *images, size_t len, struct error *err)
{
    AUTO(json_freep) json_t *index = NULL;
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    if (read_old_index(dir, &index, err) != 0) {
        return -1;
    }
    json_t *list = json_object_get(index, "manifests");
    for (size_t i = 0; i < len; i++) {
        json_t *item = index_item(&images[i]);
        for (size_t k = json_array_size(list); k > 0; k--) {
            if (is_replaced(json_array_get(list, k - 1), item)) {
                json_array_remove(list, k - 1);
            }
        }
        json_array_append_new(list, item);
    }
    json_render(index, &text);
    return file_write_atomic(dir, "index.json", text.data, text.len, 0644, false, err);
}

static int write_dir(struct store *store, int dir, const struct layout_image *images, size_t len,
                     struct error *err)
{
    AUTO(blob_list_release) struct blob_list list = {0};
    if (file_make_dirs(dir, "blobs/sha256", 0755, err) != 0 ||
        collect_all(store, images, len, &list, err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < list.len; i++) {
        if (write_blob_file(store, dir, &list.items[i], err) != 0) {
            return -1;
        }
    }
    if (file_write_atomic(dir, "oci-layout", OCI_LAYOUT_FILE, strlen(OCI_LAYOUT_FILE), 0644, false,
                          err) != 0) {
        return -1;
    }
    return write_index(dir, images, len, err);
}

int layout_write_dir(struct store *store, const char *path, const struct layout_image *images,
                     size_t len, struct error *err)
{
    AUTO(fd_closep) int dir = -1;
    if (file_make_dirs(AT_FDCWD, path, 0755, err) != 0 ||
        file_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, &dir, err) != 0) {
        return -1;
    }
    return write_dir(store, dir, images, len, err) == 0 ? 0 : error_wrap(err, "layout '%s'", path);
}
