/* Reading documents that strangers wrote. */
#include "oci/document.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/memory.h"
#include "oci/document_internal.h"

#define MEDIA_DOCKER_SCHEMA1 "application/vnd.docker.distribution.manifest.v1+json"
#define MEDIA_DOCKER_SCHEMA1_SIGNED "application/vnd.docker.distribution.manifest.v1+prettyjws"

void image_release(struct image *image)
{
    json_decref(image->config_json);
    free(image->layers);
    free(image->origin);
    *image = (struct image){0};
}

void image_copy(const struct image *from, struct image *out)
{
    struct image copy = *from;
    copy.config_json = json_deep_copy(from->config_json);
    copy.layers =
        from->layers_len ? mem_dup(from->layers, from->layers_len * sizeof *from->layers) : NULL;
    copy.origin = mem_strdup(from->origin);
    *out = copy;
}

void image_index_release(struct image_index *index)
{
    for (size_t i = 0; i < index->len; i++) {
        platform_release(&index->items[i].platform);
    }
    free(index->items);
    *index = (struct image_index){0};
}

int descriptor_parse(const json_t *json, const char *what, enum error_code code,
                     struct descriptor *out, struct error *err)
{
    if (!json_is_object(json)) {
        return error_set(err, code, "%s has no descriptor", what);
    }
    struct descriptor d = {0};
    const char *media_type = json_get_string(json, "mediaType");
    const char *digest = json_get_string(json, "digest");
    const json_t *size = json_object_get(json, "size");
    if (!media_type || !media_type[0] || strlen(media_type) >= sizeof d.media_type) {
        return error_set(err, code, "%s has no usable mediaType", what);
    }
    memcpy(d.media_type, media_type, strlen(media_type) + 1);
    if (!digest) {
        return error_set(err, code, "%s has no digest", what);
    }
    if (digest_parse(digest, code, &d.digest, err) != 0) {
        return error_wrap(err, "%s", what);
    }
    if (!json_is_integer(size) || json_integer_value(size) < 0 ||
        (uint64_t)json_integer_value(size) > LIMIT_BLOB_BYTES) {
        return error_set(err, code, "%s has no usable size", what);
    }
    d.size = (uint64_t)json_integer_value(size);
    *out = d;
    return 0;
}

static int parse_manifest(const json_t *doc, enum error_code code, struct descriptor *config_out,
                          struct layer **layers_out, size_t *layers_len_out, struct error *err)
{
    struct descriptor config;
    if (descriptor_parse(json_object_get(doc, "config"), "the manifest's config", code, &config,
                         err) != 0) {
        return -1;
    }
    const json_t *list = json_object_get(doc, "layers");
    if (!json_is_array(list)) {
        return error_set(err, code, "the manifest has no layers");
    }
    size_t len = json_array_size(list);
    if (len > LIMIT_LAYERS) {
        return error_set(err, code, "the manifest has %zu layers, more than %zu", len,
                         LIMIT_LAYERS);
    }
    AUTO(mem_freep) struct layer *layers = mem_calloc(len ? len : 1, sizeof *layers);
    for (size_t i = 0; i < len; i++) {
        char what[64];
        snprintf(what, sizeof what, "the manifest's layer %zu", i + 1);
        if (descriptor_parse(json_array_get(list, i), what, code, &layers[i].blob, err) != 0) {
            return -1;
        }
    }
    *config_out = config;
    *layers_out = MEM_STEAL(layers);
    *layers_len_out = len;
    return 0;
}

/* Longer words than these are nobody's platform; they are cut off from messages and memory. */
static char *short_text(const char *text)
{
    return text && text[0] && strlen(text) <= 100 ? mem_strdup(text) : NULL;
}

static void parse_platform(const json_t *json, struct platform *out)
{
    const char *variant = json_get_string(json, "variant");
    *out = (struct platform){.os = short_text(json_get_string(json, "os")),
                             .architecture = short_text(json_get_string(json, "architecture")),
                             .variant = short_text(variant)};
    if (!out->os || !out->architecture) {
        platform_release(out);
    }
}

/* BuildKit marks them by an annotation, and by a platform that nobody has. */
static bool is_attestation(const json_t *entry, const struct platform *platform)
{
    const char *type =
        json_get_string(json_object_get(entry, "annotations"), "vnd.docker.reference.type");
    return (type && strcmp(type, "attestation-manifest") == 0) ||
           (platform->os && strcmp(platform->os, "unknown") == 0 &&
            strcmp(platform->architecture, "unknown") == 0);
}

static int parse_index(const json_t *doc, enum error_code code, struct image_index *out,
                       struct error *err)
{
    const json_t *list = json_object_get(doc, "manifests");
    if (!json_is_array(list)) {
        return error_set(err, code, "the index has no manifests");
    }
    size_t len = json_array_size(list);
    if (len > LIMIT_INDEX_MANIFESTS) {
        return error_set(err, code, "the index has %zu manifests, more than %zu", len,
                         LIMIT_INDEX_MANIFESTS);
    }
    AUTO(image_index_release) struct image_index index = {0};
    index.items = mem_calloc(len ? len : 1, sizeof *index.items);
    for (size_t i = 0; i < len; i++) {
        const json_t *entry = json_array_get(list, i);
        struct index_entry *item = &index.items[i];
        char what[64];
        snprintf(what, sizeof what, "the index's manifest %zu", i + 1);
        if (descriptor_parse(entry, what, code, &item->descriptor, err) != 0) {
            return -1;
        }
        index.len = i + 1;
        parse_platform(json_object_get(entry, "platform"), &item->platform);
        item->attestation = is_attestation(entry, &item->platform);
    }
    *out = index;
    index = (struct image_index){0};
    return 0;
}

static bool same(const char *a, const char *b)
{
    return a && strcmp(a, b) == 0;
}

/* Media types may carry parameters in an HTTP header; they do not count. */
static bool same_media(const char *given, const char *type)
{
    size_t len = strlen(type);
    return given && strncmp(given, type, len) == 0 && strchr("; \t", given[len]);
}

static int find_kind(const json_t *doc, const char *media_type, enum error_code code,
                     enum document_kind *kind_out, struct error *err)
{
    const char *own = json_get_string(doc, "mediaType");
    const char *type = own ? own : media_type;
    const json_t *version = json_object_get(doc, "schemaVersion");
    if (json_integer_value(version) == 1 || same_media(type, MEDIA_DOCKER_SCHEMA1) ||
        same_media(type, MEDIA_DOCKER_SCHEMA1_SIGNED)) {
        return error_set(err, code,
                         "the manifest is of docker's schema 1, which is not supported: push the "
                         "image again with a docker of 2017 or later");
    }
    if (!json_is_integer(version) || json_integer_value(version) != 2) {
        return error_set(err, code, "the document is no image manifest (no schemaVersion 2)");
    }
    bool lists = json_object_get(doc, "manifests") != NULL;
    bool layers = json_object_get(doc, "layers") || json_object_get(doc, "config");
    /* image-spec, "ambiguous manifests" (CVE-2021-41190): one document must not be both. */
    if (lists == layers) {
        return error_set(err, code, "the manifest is %s",
                         lists ? "both an image and an index" : "neither an image nor an index");
    }
    bool says_index = same_media(type, MEDIA_OCI_INDEX) || same_media(type, MEDIA_DOCKER_LIST);
    bool says_image =
        same_media(type, MEDIA_OCI_MANIFEST) || same_media(type, MEDIA_DOCKER_MANIFEST);
    if (own && !says_index && !says_image) {
        return error_set(err, code, "the manifest has the unknown media type '%.100s'", own);
    }
    if ((says_index && !lists) || (says_image && !layers)) {
        return error_set(err, code, "the manifest is not what its media type '%.100s' says", type);
    }
    *kind_out = lists ? DOCUMENT_INDEX : DOCUMENT_MANIFEST;
    return 0;
}

int document_parse(const void *data, size_t len, const char *media_type, enum error_code code,
                   enum document_kind *kind_out, struct descriptor *config_out,
                   struct layer **layers_out, size_t *layers_len_out, struct image_index *index_out,
                   struct error *err)
{
    AUTO(json_freep) json_t *doc = NULL;
    enum document_kind kind = DOCUMENT_MANIFEST;
    if (json_parse(data, len, LIMIT_MANIFEST_BYTES, "the manifest", code, &doc, err) != 0 ||
        find_kind(doc, media_type, code, &kind, err) != 0) {
        return -1;
    }
    int result = kind == DOCUMENT_INDEX
                     ? parse_index(doc, code, index_out, err)
                     : parse_manifest(doc, code, config_out, layers_out, layers_len_out, err);
    if (result == 0) {
        *kind_out = kind;
    }
    return result;
}

/* Whether MEMBER of the config has one of the types that Go would take for it. */
static bool is_object_or_nothing(const json_t *config, const char *member)
{
    const json_t *value = json_object_get(config, member);
    return !value || json_is_null(value) || json_is_object(value);
}

int document_parse_config(const void *data, size_t len, struct layer *layers, size_t layers_len,
                          enum error_code code, json_t **config_out, struct error *err)
{
    AUTO(json_freep) json_t *config = NULL;
    if (json_parse(data, len, LIMIT_CONFIG_BYTES, "the image's config", code, &config, err) != 0) {
        return -1;
    }
    const json_t *rootfs = json_object_get(config, "rootfs");
    const json_t *ids = json_object_get(rootfs, "diff_ids");
    if (!json_is_object(rootfs) || !is_object_or_nothing(config, "config") ||
        (json_object_get(rootfs, "type") && !same(json_get_string(rootfs, "type"), "layers"))) {
        return error_set(err, code, "the config is not that of an image (no rootfs of layers)");
    }
    /* docker leaves out an empty list */
    if (!json_is_array(ids) && !(layers_len == 0 && (!ids || json_is_null(ids)))) {
        return error_set(err, code, "the image's config has no diff_ids");
    }
    if (json_array_size(ids) != layers_len) {
        return error_set(err, code, "the image's config names %zu layers, its manifest %zu",
                         json_array_size(ids), layers_len);
    }
    AUTO(mem_freep) struct digest *parsed = mem_calloc(layers_len ? layers_len : 1, sizeof *parsed);
    for (size_t i = 0; i < layers_len; i++) {
        const char *text = json_string_value(json_array_get(ids, i));
        if (digest_parse(text ? text : "", code, &parsed[i], err) != 0) {
            return error_wrap(err, "the image's config: diff id %zu", i + 1);
        }
    }
    for (size_t i = 0; i < layers_len; i++) {
        layers[i].diff_id = parsed[i];
    }
    *config_out = MEM_STEAL(config);
    return 0;
}

static int no_platform(const struct image_index *index, const struct platform *wanted,
                       struct error *err)
{
    enum { SHOWN = 20 };
    AUTO(buf_release) struct buf there = BUF_INIT(0);
    size_t count = 0;
    for (size_t i = 0; i < index->len; i++) {
        const struct index_entry *item = &index->items[i];
        if (item->attestation || !item->platform.os) {
            continue;
        }
        if (count++ < SHOWN) {
            AUTO(mem_freep) char *text = platform_format(&item->platform);
            buf_printf(&there, "%s%s", count > 1 ? ", " : "", text);
        }
    }
    AUTO(mem_freep) char *text = platform_format(wanted);
    if (count == 0) {
        return error_set(err, ERR_USAGE, "there is no image for %s: the index names no platform",
                         text);
    }
    return error_set(err, ERR_USAGE, "there is no image for %s, only for %s%s", text,
                     buf_text(&there), count > SHOWN ? " and others" : "");
}

int image_index_pick(const struct image_index *index, const struct platform *wanted,
                     struct descriptor *out, struct error *err)
{
    const struct index_entry *best = NULL;
    const struct index_entry *unnamed = NULL;
    int best_distance = 0;
    size_t candidates = 0;
    for (size_t i = 0; i < index->len; i++) {
        const struct index_entry *item = &index->items[i];
        if (item->attestation) {
            continue;
        }
        candidates++;
        unnamed = item->platform.os ? unnamed : item;
        int distance = platform_distance(wanted, &item->platform);
        if (distance >= 0 && (!best || distance < best_distance)) {
            best = item;
            best_distance = distance;
        }
    }
    /* A lone manifest without a platform: the layouts of simple tools have that. */
    best = !best && candidates == 1 ? unnamed : best;
    if (!best) {
        return no_platform(index, wanted, err);
    }
    *out = best->descriptor;
    return 0;
}
