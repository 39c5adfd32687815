/* Writing documents: fixed order of members, so that equal content has equal digests. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "oci/document_internal.h"

/* The OCI name of a layer's media type: an OCI manifest with docker's is refused by some. */
static const char *oci_layer_media(const char *media_type)
{
    static const struct {
        const char *docker;
        const char *oci;
    } names[] = {
        {MEDIA_DOCKER_LAYER_GZIP, MEDIA_OCI_LAYER_GZIP},
        {"application/vnd.docker.image.rootfs.diff.tar", MEDIA_OCI_LAYER},
        {"application/vnd.docker.image.rootfs.diff.tar.zstd", MEDIA_OCI_LAYER_ZSTD},
        {"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
         "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"},
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(names[i].docker, media_type) == 0) {
            return names[i].oci;
        }
    }
    return media_type;
}

json_t *descriptor_json(const struct descriptor *d)
{
    char digest[DIGEST_TEXT_SIZE];
    json_t *json = json_object();
    json_object_set_new(json, "mediaType", json_string(d->media_type));
    json_object_set_new(json, "digest", json_string(digest_format(&d->digest, digest)));
    json_object_set_new(json, "size", json_integer((json_int_t)d->size));
    return json;
}

static json_t *document_start(const char *media_type)
{
    json_t *doc = json_object();
    json_object_set_new(doc, "schemaVersion", json_integer(2));
    json_object_set_new(doc, "mediaType", json_string(media_type));
    return doc;
}

static void document_end(json_t *doc, const json_t *annotations, struct buf *out)
{
    if (annotations && json_object_size(annotations) > 0) {
        json_object_set_new(doc, "annotations", json_deep_copy(annotations));
    }
    json_render(doc, out);
}

void manifest_render(const struct descriptor *config, const struct layer *layers, size_t layers_len,
                     const json_t *annotations, struct buf *out)
{
    AUTO(json_freep) json_t *doc = document_start(MEDIA_OCI_MANIFEST);
    struct descriptor c = *config;
    if (strcmp(c.media_type, MEDIA_DOCKER_CONFIG) == 0) {
        snprintf(c.media_type, sizeof c.media_type, "%s", MEDIA_OCI_CONFIG);
    }
    json_object_set_new(doc, "config", descriptor_json(&c));
    json_t *list = json_array();
    for (size_t i = 0; i < layers_len; i++) {
        struct descriptor blob = layers[i].blob;
        snprintf(blob.media_type, sizeof blob.media_type, "%s",
                 oci_layer_media(layers[i].blob.media_type));
        json_array_append_new(list, descriptor_json(&blob));
    }
    json_object_set_new(doc, "layers", list);
    document_end(doc, annotations, out);
}

static json_t *platform_json(const struct platform *p)
{
    json_t *json = json_object();
    json_object_set_new(json, "architecture", json_string(p->architecture));
    json_object_set_new(json, "os", json_string(p->os));
    if (p->variant) {
        json_object_set_new(json, "variant", json_string(p->variant));
    }
    return json;
}

void index_render(const struct index_entry *items, size_t len, const json_t *annotations,
                  struct buf *out)
{
    AUTO(json_freep) json_t *doc = document_start(MEDIA_OCI_INDEX);
    json_t *list = json_array();
    for (size_t i = 0; i < len; i++) {
        json_t *entry = descriptor_json(&items[i].descriptor);
        if (items[i].platform.os) {
            json_object_set_new(entry, "platform", platform_json(&items[i].platform));
        }
        json_array_append_new(list, entry);
    }
    json_object_set_new(doc, "manifests", list);
    document_end(doc, annotations, out);
}

void chain_id(const struct layer *layers, size_t count, struct digest *out)
{
    struct digest chain = {0};
    for (size_t i = 0; i < count; i++) {
        if (i == 0) {
            chain = layers[0].diff_id;
            continue;
        }
        char text[2 * DIGEST_TEXT_SIZE];
        digest_format(&chain, text);
        text[DIGEST_TEXT_SIZE - 1] = ' ';
        digest_format(&layers[i].diff_id, text + DIGEST_TEXT_SIZE);
        digest_of(text, strlen(text), &chain);
    }
    *out = chain;
}
