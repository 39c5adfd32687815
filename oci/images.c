#include "oci/images.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/limits.h"
#include "base/memory.h"

/* Records of two kinds: "tags" by name, "images" by digest. */
#define KIND_TAGS "tags"
#define KIND_IMAGES "images"

enum { RECORD_MAX = 64 * 1024, NESTED_MAX = 4, PREFIX_MIN = 4 };

static int get(struct store *store, const char *kind, const char *name, struct image_tag *out,
               bool *found_out, struct error *err);

/* A name that stands for TOP already keeps the time when it was given. */
static int put(struct store *store, const char *kind, const char *name,
               const struct descriptor *top, struct error *err)
{
    struct image_tag before = {0};
    bool found = false;
    if (get(store, kind, name, &before, &found, err) != 0) {
        return -1;
    }
    bool same = found && digest_equal(&before.top.digest, &top->digest) &&
                before.top.size == top->size && strcmp(before.top.media_type, top->media_type) == 0;
    json_int_t tagged = same ? (json_int_t)before.tagged : (json_int_t)time(NULL);
    AUTO(json_freep) json_t *json = descriptor_json(top);
    json_object_set_new(json, "tagged", json_integer(tagged));
    AUTO(buf_release) struct buf text = BUF_INIT(RECORD_MAX);
    json_render(json, &text);
    return store_record_put(store, kind, name, text.data, text.len, err);
}

/* A record that does not hold what put() writes counts as missing, like a damaged one. */
static int get(struct store *store, const char *kind, const char *name, struct image_tag *out,
               bool *found_out, struct error *err)
{
    AUTO(buf_release) struct buf text = BUF_INIT(RECORD_MAX);
    bool found = false;
    if (store_record_get(store, kind, name, &text, &found, err) != 0) {
        return -1;
    }
    AUTO(json_freep) json_t *json = NULL;
    struct error ignored = {0};
    struct image_tag tag = {0};
    *found_out =
        found &&
        json_parse(buf_text(&text), text.len, RECORD_MAX, "tag", ERR_STORE, &json, &ignored) == 0 &&
        descriptor_parse(json, "tag", ERR_STORE, &tag.top, &ignored) == 0;
    if (*found_out) {
        tag.tagged = json_integer_value(json_object_get(json, "tagged"));
        *out = tag;
    }
    return 0;
}

int images_add(struct store *store, const struct descriptor *top, struct error *err)
{
    char digest[DIGEST_TEXT_SIZE];
    return put(store, KIND_IMAGES, digest_format(&top->digest, digest), top, err);
}

int images_tag(struct store *store, const char *name, const struct descriptor *top,
               struct error *err)
{
    if (images_add(store, top, err) != 0) {
        return -1;
    }
    return put(store, KIND_TAGS, name, top, err);
}

int images_untag(struct store *store, const char *name, struct error *err)
{
    return store_record_remove(store, KIND_TAGS, name, err);
}

int images_forget(struct store *store, const struct digest *digest, struct error *err)
{
    char text[DIGEST_TEXT_SIZE];
    return store_record_remove(store, KIND_IMAGES, digest_format(digest, text), err);
}

int images_resolve(struct store *store, const char *name, struct descriptor *top_out,
                   bool *found_out, struct error *err)
{
    struct image_tag tag;
    bool found = false;
    if (get(store, KIND_TAGS, name, &tag, &found, err) != 0) {
        return -1;
    }
    if (found) {
        *top_out = tag.top;
    }
    *found_out = found;
    return 0;
}

struct tag_list {
    struct image_tag *items;
    size_t len;
};

static void tag_list_release(struct tag_list *list)
{
    images_list_release(list->items, list->len);
}

void images_list_release(struct image_tag *items, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        free(items[i].name);
    }
    free(items);
}

static bool has_digest(const struct tag_list *list, const struct digest *digest)
{
    for (size_t i = 0; i < list->len; i++) {
        if (digest_equal(&list->items[i].top.digest, digest)) {
            return true;
        }
    }
    return false;
}

/* Adds the records of KIND: tags with their names, images only where LIST lacks their digest. */
static int collect(struct store *store, const char *kind, struct tag_list *list, struct error *err)
{
    AUTO(strlist_release) struct strlist names = {0};
    if (store_record_list(store, kind, &names, err) != 0) {
        return -1;
    }
    bool tags = strcmp(kind, KIND_TAGS) == 0;
    for (size_t i = 0; i < names.len; i++) {
        struct image_tag tag;
        bool found = false;
        if (get(store, kind, names.items[i], &tag, &found, err) != 0) {
            return -1;
        }
        if (!found || (!tags && has_digest(list, &tag.top.digest))) {
            continue;
        }
        tag.name = tags ? mem_strdup(names.items[i]) : NULL;
        list->items = mem_realloc(list->items, list->len + 1, sizeof *list->items);
        list->items[list->len++] = tag;
    }
    return 0;
}

int images_list(struct store *store, struct image_tag **items_out, size_t *len_out,
                struct error *err)
{
    AUTO(tag_list_release) struct tag_list list = {0};
    if (collect(store, KIND_TAGS, &list, err) != 0 ||
        collect(store, KIND_IMAGES, &list, err) != 0) {
        return -1;
    }
    *items_out = list.items;
    *len_out = list.len;
    list = (struct tag_list){0};
    return 0;
}

/* Reads the document D: a manifest (CONFIG, LAYERS) or an index (INDEX). Its digest is verified, so
 * what is wrong with it came from where the image came from. */
static int read_document(struct store *store, const struct descriptor *d,
                         enum document_kind *kind_out, struct image *image,
                         struct image_index *index, struct error *err)
{
    AUTO(buf_release) struct buf bytes = BUF_INIT(LIMIT_MANIFEST_BYTES);
    char digest[DIGEST_TEXT_SIZE];
    if (store_read_blob(store, &d->digest, LIMIT_MANIFEST_BYTES, &bytes, err) != 0) {
        return -1;
    }
    if (bytes.len != d->size) {
        return error_set(err, ERR_REMOTE, "%s has %zu bytes where its descriptor says %" PRIu64,
                         digest_format(&d->digest, digest), bytes.len, d->size);
    }
    if (document_parse(buf_text(&bytes), bytes.len, d->media_type, ERR_REMOTE, kind_out,
                       &image->config, &image->layers, &image->layers_len, index, err) != 0) {
        return error_wrap(err, "%s", digest_format(&d->digest, digest));
    }
    return 0;
}

/* Goes down from TOP, through indexes, to the manifest for PLATFORM and fills all of IMAGE but the
 * config's document. */
static int find_manifest(struct store *store, const struct descriptor *top,
                         const struct platform *platform, struct image *image, struct error *err)
{
    image->manifest = *top;
    for (int depth = 0; depth < NESTED_MAX; depth++) {
        AUTO(image_index_release) struct image_index index = {0};
        enum document_kind kind = DOCUMENT_MANIFEST;
        if (read_document(store, &image->manifest, &kind, image, &index, err) != 0) {
            return -1;
        }
        if (kind == DOCUMENT_MANIFEST) {
            return 0;
        }
        if (image_index_pick(&index, platform, &image->manifest, err) != 0) {
            return -1;
        }
    }
    return error_set(err, ERR_REMOTE, "the index is nested more than %d deep", NESTED_MAX);
}

static int read_config(struct store *store, struct image *image, struct error *err)
{
    AUTO(buf_release) struct buf bytes = BUF_INIT(LIMIT_CONFIG_BYTES);
    char digest[DIGEST_TEXT_SIZE];
    if (store_read_blob(store, &image->config.digest, LIMIT_CONFIG_BYTES, &bytes, err) != 0) {
        return -1;
    }
    if (document_parse_config(buf_text(&bytes), bytes.len, image->layers, image->layers_len,
                              ERR_REMOTE, &image->config_json, err) != 0) {
        return error_wrap(err, "%s", digest_format(&image->config.digest, digest));
    }
    return 0;
}

int images_load(struct store *store, const struct descriptor *top, const struct platform *platform,
                struct image *out, struct error *err)
{
    AUTO(platform_release) struct platform local = {0};
    platform_local(&local);
    AUTO(image_release) struct image image = {0};
    AUTO(strlist_release) struct strlist origins = {0};
    if (find_manifest(store, top, platform ? platform : &local, &image, err) != 0 ||
        read_config(store, &image, err) != 0 ||
        store_origin_list(store, &image.manifest.digest, &origins, err) != 0) {
        return -1;
    }
    /* Whoever looks at an image goes on to rely on those of its layers that are there. */
    for (size_t i = 0; i < image.layers_len; i++) {
        store_has_blob(store, &image.layers[i].blob.digest, NULL);
    }
    image.origin = origins.len > 0 ? mem_strdup(origins.items[0]) : NULL;
    *out = image;
    image = (struct image){0};
    return 0;
}

/* Whether the digest of the config of TOP (a manifest in the store) begins with PREFIX. What cannot
 * be read does not. */
static bool config_has_prefix(struct store *store, const struct descriptor *top, const char *prefix)
{
    AUTO(image_release) struct image image = {0};
    AUTO(platform_release) struct platform local = {0};
    struct error ignored = {0};
    char hex[DIGEST_HEX_SIZE];
    platform_local(&local);
    return find_manifest(store, top, &local, &image, &ignored) == 0 &&
           strncmp(digest_hex(&image.config.digest, hex), prefix, strlen(prefix)) == 0;
}

int images_find_id(struct store *store, const char *prefix, struct descriptor *top_out,
                   bool *found_out, struct error *err)
{
    prefix += strncmp(prefix, "sha256:", 7) == 0 ? 7 : 0;
    size_t len = strlen(prefix);
    if (len < PREFIX_MIN || len >= DIGEST_HEX_SIZE || strspn(prefix, "0123456789abcdef") != len) {
        *found_out = false;
        return 0;
    }
    AUTO(tag_list_release) struct tag_list list = {0};
    if (images_list(store, &list.items, &list.len, err) != 0) {
        return -1;
    }
    const struct descriptor *match = NULL;
    for (size_t i = 0; i < list.len; i++) {
        const struct descriptor *top = &list.items[i].top;
        char hex[DIGEST_HEX_SIZE];
        char other[DIGEST_HEX_SIZE];
        if ((match && digest_equal(&match->digest, &top->digest)) ||
            (strncmp(digest_hex(&top->digest, hex), prefix, len) != 0 &&
             !config_has_prefix(store, top, prefix))) {
            continue;
        }
        if (match) {
            return error_set(err, ERR_USAGE, "'%s' may be image %.16s or %.16s: write more of it",
                             prefix, digest_hex(&match->digest, other), hex);
        }
        match = top;
    }
    if (match) {
        *top_out = *match;
    }
    *found_out = match != NULL;
    return 0;
}
