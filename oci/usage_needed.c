/* What the images with tags are made of. */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/memory.h"
#include "oci/images.h"
#include "oci/store_internal.h"
#include "oci/usage.h"

/* DOCUMENTS_MAX: of one tag; an index can name the same documents again and again. */
enum { NESTED_MAX = 4, DOCUMENTS_MAX = 10000 };

/* What one tag leads to, counted up or down. */
struct marking {
    struct store *store;
    const struct usage *usage;
    bool up;
    unsigned documents; /* read so far */
};

static void count(const struct marking *m, struct usage_item *item)
{
    if (item && (m->up || item->needed > 0)) {
        item->needed += m->up ? 1U : -1U;
    }
}

static void mark_record(const struct marking *m, const char *kind, const char *name)
{
    AUTO(mem_freep) char *file = store_file_name(name);
    AUTO(mem_freep) char *path = mem_printf("records/%s/%s", kind, file);
    count(m, usage_find(m->usage, USAGE_RECORD, path));
}

/* Where it comes from is needed above all where the blob itself is not here. */
static void mark_blob(const struct marking *m, const struct digest *digest)
{
    char path[STORE_BLOB_PATH_SIZE];
    char hex[DIGEST_HEX_SIZE];
    count(m, usage_find(m->usage, USAGE_BLOB, store_blob_path(digest, path)));
    mark_record(m, "origins", digest_hex(digest, hex));
}

static int read_document(struct marking *m, const struct descriptor *top, enum document_kind *kind,
                         struct image *image, struct image_index *index)
{
    struct error ignored = {0};
    AUTO(buf_release) struct buf bytes = BUF_INIT(LIMIT_MANIFEST_BYTES);
    m->documents++;
    if (store_read_blob(m->store, &top->digest, LIMIT_MANIFEST_BYTES, &bytes, &ignored) != 0) {
        return -1;
    }
    return document_parse(buf_text(&bytes), bytes.len, top->media_type, ERR_STORE, kind,
                          &image->config, &image->layers, &image->layers_len, index, &ignored);
}

/* TOP and what it speaks of. */
static void mark_document(struct marking *m, const struct descriptor *top, int depth)
{
    AUTO(image_index_release) struct image_index index = {0};
    AUTO(image_release) struct image image = {0};
    enum document_kind kind = DOCUMENT_MANIFEST;
    mark_blob(m, &top->digest);
    if (depth == NESTED_MAX || m->documents == DOCUMENTS_MAX ||
        !store_has_blob(m->store, &top->digest, NULL) ||
        read_document(m, top, &kind, &image, &index) != 0) {
        return;
    }
    if (kind == DOCUMENT_INDEX) {
        for (size_t i = 0; i < index.len; i++) {
            mark_document(m, &index.items[i].descriptor, depth + 1);
        }
        return;
    }
    mark_blob(m, &image.config.digest);
    for (size_t i = 0; i < image.layers_len; i++) {
        mark_blob(m, &image.layers[i].blob.digest);
    }
}

static void mark_tag(struct store *store, const struct usage *usage, const struct image_tag *tag,
                     bool up)
{
    struct marking m = {.store = store, .usage = usage, .up = up};
    char digest[DIGEST_TEXT_SIZE];
    mark_document(&m, &tag->top, 0);
    mark_record(&m, "tags", tag->name);
    mark_record(&m, "images", digest_format(&tag->top.digest, digest));
}

void usage_unmark_tag(struct store *store, struct usage *usage, const struct image_tag *tag)
{
    mark_tag(store, usage, tag, false);
}

int usage_mark_needed(struct store *store, struct usage *usage, struct error *err)
{
    struct image_tag *tags = NULL;
    size_t len = 0;
    if (images_list(store, &tags, &len, err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < usage->len; i++) {
        usage->items[i].needed = 0;
    }
    for (size_t i = 0; i < len && tags[i].name; i++) {
        mark_tag(store, usage, &tags[i], true);
    }
    images_list_release(tags, len);
    return 0;
}
