/* The cache of steps: records by key. */
#include "builder/step_cache.h"

#include <string.h>

#include "base/json.h"
#include "base/limits.h"
#include "base/memory.h"

static bool read_descriptor(const json_t *json, struct descriptor *out)
{
    struct error ignored = {0};
    const char *media = json_get_string(json, "mediaType");
    const char *digest = json_get_string(json, "digest");
    const json_t *size = json_object_get(json, "size");
    if (!media || strlen(media) >= sizeof out->media_type || !digest || !json_is_integer(size) ||
        digest_parse(digest, ERR_STORE, &out->digest, &ignored) != 0) {
        return false;
    }
    memcpy(out->media_type, media, strlen(media) + 1);
    out->size = (uint64_t)json_integer_value(size);
    return true;
}

/* A record that cannot be read is no record. */
static bool read_record(const struct buf *data, struct step_result *out)
{
    struct error ignored = {0};
    AUTO(json_freep) json_t *json = NULL;
    if (json_parse(data->data, data->len, LIMIT_JSON_BYTES, "step record", ERR_STORE, &json,
                   &ignored) != 0) {
        return false;
    }
    out->empty = json_is_true(json_object_get(json, "empty"));
    if (out->empty) {
        return true;
    }
    const char *diff_id = json_get_string(json, "diffId");
    return read_descriptor(json, &out->layer.blob) && diff_id &&
           digest_parse(diff_id, ERR_STORE, &out->layer.diff_id, &ignored) == 0;
}

int step_cache_get(struct store *store, const struct digest *key, bool *found_out,
                   struct step_result *out, struct error *err)
{
    char name[DIGEST_HEX_SIZE];
    AUTO(buf_release) struct buf data = BUF_INIT(LIMIT_JSON_BYTES);
    struct step_result result = {0};
    bool found = false;
    if (store_record_get(store, "steps", digest_hex(key, name), &data, &found, err) != 0) {
        return -1;
    }
    uint64_t size = 0;
    *found_out = found && read_record(&data, &result) &&
                 (result.empty || (store_has_blob(store, &result.layer.blob.digest, &size) &&
                                   size == result.layer.blob.size));
    if (*found_out) {
        *out = result;
    }
    return 0;
}

int step_cache_put(struct store *store, const struct digest *key, const struct step_result *result,
                   struct error *err)
{
    char name[DIGEST_HEX_SIZE];
    AUTO(buf_release) struct buf data = BUF_INIT(0);
    AUTO(json_freep) json_t *json = json_object();
    if (result->empty) {
        json_object_set_new(json, "empty", json_true());
    } else {
        char text[DIGEST_TEXT_SIZE];
        const struct layer *layer = &result->layer;
        json_object_set_new(json, "mediaType", json_string(layer->blob.media_type));
        json_object_set_new(json, "digest", json_string(digest_format(&layer->blob.digest, text)));
        json_object_set_new(json, "size", json_integer((json_int_t)layer->blob.size));
        json_object_set_new(json, "diffId", json_string(digest_format(&layer->diff_id, text)));
    }
    json_render(json, &data);
    return store_record_put(store, "steps", digest_hex(key, name), data.data, data.len, err);
}
