/* The documents of an entry of the remote cache. */
#include "builder/remote_entry.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/memory.h"
#include "oci/config.h"

#define ANNOTATION_KEY "dev.slipway.step.key"
#define ANNOTATION_DIFF_ID "dev.slipway.step.diff-id"
#define ANNOTATION_CREATED_BY "dev.slipway.step.created-by"

void remote_entry_config(const struct step_result *result, const char *created_by,
                         const struct platform *platform, struct buf *out)
{
    AUTO(json_freep) json_t *config = config_new(platform);
    /* Not when it was made: the same content must be the same entry. */
    config_add_history(config, TIME_BASE, created_by, result->empty);
    config_render(config, TIME_BASE, &result->layer, result->empty ? 0 : 1, out);
}

static void annotate(json_t *annotations, const char *name, const char *value)
{
    json_t *text = json_string(value);
    json_object_set_new(annotations, name, text ? text : json_string("(not UTF-8)"));
}

void remote_entry_manifest(const struct digest *key, const struct step_result *result,
                           const char *created_by, const struct descriptor *config, struct buf *out)
{
    char text[DIGEST_TEXT_SIZE];
    AUTO(json_freep) json_t *annotations = json_object();
    annotate(annotations, ANNOTATION_KEY, digest_format(key, text));
    if (!result->empty) {
        annotate(annotations, ANNOTATION_DIFF_ID, digest_format(&result->layer.diff_id, text));
    }
    annotate(annotations, ANNOTATION_CREATED_BY, created_by);
    manifest_render(config, &result->layer, result->empty ? 0 : 1, annotations, out);
}

static int check_layer(const struct layer *layer, const json_t *annotations,
                       struct step_result *out, struct error *err)
{
    static const char *const types[] = {MEDIA_OCI_LAYER, MEDIA_OCI_LAYER_GZIP,
                                        MEDIA_OCI_LAYER_ZSTD};
    const char *diff_id = json_get_string(annotations, ANNOTATION_DIFF_ID);
    bool known = false;
    out->layer = *layer;
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        known = known || strcmp(layer->blob.media_type, types[i]) == 0;
    }
    if (!known) {
        return error_set(err, ERR_REMOTE, "its layer is a '%s'", layer->blob.media_type);
    }
    if (layer->blob.size == 0 || layer->blob.size > LIMIT_BLOB_BYTES) {
        return error_set(err, ERR_REMOTE, "its layer cannot have %llu bytes",
                         (unsigned long long)layer->blob.size);
    }
    if (!diff_id) {
        return error_set(err, ERR_REMOTE, "it does not say what its layer inflates to");
    }
    return digest_parse(diff_id, ERR_REMOTE, &out->layer.diff_id, err);
}

int remote_entry_parse(const void *data, size_t len, const struct digest *key,
                       struct step_result *out, struct error *err)
{
    AUTO(json_freep) json_t *doc = NULL;
    AUTO(image_index_release) struct image_index index = {0};
    AUTO(mem_freep) struct layer *layers = NULL;
    size_t layers_len = 0;
    struct descriptor config = {0};
    enum document_kind kind = DOCUMENT_MANIFEST;
    struct step_result result = {0};
    char wanted[DIGEST_TEXT_SIZE];
    if (json_parse(data, len, LIMIT_MANIFEST_BYTES, "its manifest", ERR_REMOTE, &doc, err) != 0 ||
        document_parse(data, len, MEDIA_OCI_MANIFEST, ERR_REMOTE, &kind, &config, &layers,
                       &layers_len, &index, err) != 0) {
        return -1;
    }
    const json_t *annotations = json_object_get(doc, "annotations");
    const char *said = json_get_string(annotations, ANNOTATION_KEY);
    if (kind != DOCUMENT_MANIFEST || layers_len > 1) {
        return error_set(err, ERR_REMOTE, "it is no step's result");
    }
    if (!said || strcmp(said, digest_format(key, wanted)) != 0) {
        return error_set(err, ERR_REMOTE, "it stands for %.100s", said ? said : "no step");
    }
    result.empty = layers_len == 0;
    if (result.empty && json_get_string(annotations, ANNOTATION_DIFF_ID)) {
        return error_set(err, ERR_REMOTE, "its layer is missing");
    }
    if (!result.empty && check_layer(&layers[0], annotations, &result, err) != 0) {
        return -1;
    }
    *out = result;
    return 0;
}
