/* The config document: getters, edits, and its one way of being written. */
#include "oci/config.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"

/* The order in which members are written; what is not named here follows, sorted. */
static const char *const document_order[] = {"created", "author",     "architecture", "variant",
                                             "os",      "os.version", "os.features",  "config",
                                             "rootfs",  "history"};
static const char *const config_order[] = {
    "Hostname",   "User",   "ExposedPorts", "Env",         "Entrypoint", "Cmd",  "Volumes",
    "WorkingDir", "Labels", "StopSignal",   "Healthcheck", "OnBuild",    "Shell"};

/* What only tells how a base was built. */
static const char *const forgotten[] = {
    "container", "container_config",           "docker_version",        "id", "parent",
    "throwaway", "moby.buildkit.buildinfo.v1", "moby.buildkit.cache.v0"};

json_t *config_new(const struct platform *platform)
{
    json_t *config = json_object();
    json_object_set_new(config, "architecture", json_string(platform->architecture));
    if (platform->variant) {
        json_object_set_new(config, "variant", json_string(platform->variant));
    }
    json_object_set_new(config, "os", json_string(platform->os));
    json_object_set_new(config, "config", json_object());
    json_object_set_new(config, "history", json_array());
    return config;
}

json_t *config_inherit(const json_t *base)
{
    json_t *config = json_deep_copy(base);
    for (size_t i = 0; i < ARRAY_LEN(forgotten); i++) {
        json_object_del(config, forgotten[i]);
    }
    if (!json_is_object(json_object_get(config, "config"))) {
        json_object_set_new(config, "config", json_object());
    }
    if (!json_is_array(json_object_get(config, "history"))) {
        json_object_set_new(config, "history", json_array());
    }
    json_object_del(json_object_get(config, "config"), "Image");
    return config;
}

void config_platform(const json_t *config, struct platform *out)
{
    const char *os = json_get_string(config, "os");
    const char *architecture = json_get_string(config, "architecture");
    const char *variant = json_get_string(config, "variant");
    out->os = mem_strdup(os ? os : "linux");
    out->architecture = mem_strdup(architecture ? architecture : "amd64");
    out->variant = variant && variant[0] ? mem_strdup(variant) : NULL;
}

static json_t *inner(const json_t *config)
{
    return json_object_get(config, "config");
}

void config_get_list(const json_t *config, const char *key, struct strlist *out)
{
    size_t index = 0;
    json_t *item = NULL;
    json_array_foreach(json_object_get(inner(config), key), index, item)
    {
        if (json_is_string(item)) {
            strlist_add(out, json_string_value(item));
        }
    }
}

void config_set_list(json_t *config, const char *key, const struct strlist *list)
{
    if (!list || list->len == 0) {
        json_object_del(inner(config), key);
        return;
    }
    json_t *array = json_array();
    for (size_t i = 0; i < list->len; i++) {
        /* What a Dockerfile holds need not be UTF-8; JSON must. */
        json_t *item = json_string(list->items[i]);
        json_array_append_new(array, item ? item : json_string(""));
    }
    json_object_set_new(inner(config), key, array);
}

bool config_has(const json_t *config, const char *key)
{
    const json_t *value = json_object_get(inner(config), key);
    return value && !json_is_null(value);
}

const char *config_get_text(const json_t *config, const char *key)
{
    const char *text = json_get_string(inner(config), key);
    return text ? text : "";
}

void config_set_text(json_t *config, const char *key, const char *text)
{
    if (!text) {
        json_object_del(inner(config), key);
        return;
    }
    json_object_set_new(inner(config), key, json_string(text));
}

void config_set_in_map(json_t *config, const char *key, const char *name, const char *value)
{
    json_t *map = json_object_get(inner(config), key);
    if (!json_is_object(map)) {
        map = json_object();
        json_object_set_new(inner(config), key, map);
    }
    json_object_set_new(map, name, value ? json_string(value) : json_object());
}

void config_set_json(json_t *config, const char *key, json_t *value)
{
    if (!value) {
        json_object_del(inner(config), key);
        return;
    }
    json_object_set_new(inner(config), key, value);
}

char *config_time(int64_t seconds, char out[32])
{
    struct tm tm = {0};
    time_t time = (time_t)seconds;
    if (!gmtime_r(&time, &tm) || strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0) {
        memcpy(out, "1970-01-01T00:00:00Z", 21);
    }
    return out;
}

void config_add_history(json_t *config, int64_t created, const char *created_by, bool empty)
{
    char time[32];
    json_t *line = json_object();
    json_object_set_new(line, "created", json_string(config_time(created, time)));
    json_t *by = json_string(created_by);
    json_object_set_new(line, "created_by", by ? by : json_string("(not UTF-8)"));
    json_object_set_new(line, "comment", json_string("slipway"));
    if (empty) {
        json_object_set_new(line, "empty_layer", json_true());
    }
    json_array_append_new(json_object_get(config, "history"), line);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The members of FROM that ORDER names, in that order, then all others sorted. */
static json_t *ordered(const json_t *from, const char *const *order, size_t order_len)
{
    json_t *out = json_object();
    for (size_t i = 0; i < order_len; i++) {
        json_t *value = json_object_get(from, order[i]);
        if (value && !json_is_null(value)) {
            json_object_set(out, order[i], value);
        }
    }
    size_t count = 0;
    const char **keys = mem_calloc(json_object_size(from) + 1, sizeof *keys);
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach((json_t *)from, key, value)
    {
        if (!json_is_null(value) && !json_object_get(out, key)) {
            keys[count] = key;
            count++;
        }
    }
    qsort(keys, count, sizeof *keys, by_text);
    for (size_t i = 0; i < count; i++) {
        json_object_set(out, keys[i], json_object_get(from, keys[i]));
    }
    free(keys);
    return out;
}

static json_t *render_inner(const json_t *config)
{
    static const char *const maps[] = {"ExposedPorts", "Volumes", "Labels"};
    json_t *out = ordered(inner(config), config_order, ARRAY_LEN(config_order));
    for (size_t i = 0; i < ARRAY_LEN(maps); i++) {
        json_t *map = json_object_get(out, maps[i]);
        if (json_is_object(map) && json_object_size(map) > 0) {
            json_object_set_new(out, maps[i], ordered(map, NULL, 0));
        } else if (map) {
            json_object_del(out, maps[i]);
        }
    }
    return out;
}

void config_render(const json_t *config, int64_t created, const struct layer *layers,
                   size_t layers_len, struct buf *out)
{
    char time[32];
    AUTO(json_freep) json_t *copy = json_copy((json_t *)config);
    json_object_set_new(copy, "created", json_string(config_time(created, time)));
    json_object_set_new(copy, "config", render_inner(config));
    json_t *diff_ids = json_array();
    for (size_t i = 0; i < layers_len; i++) {
        char text[DIGEST_TEXT_SIZE];
        json_array_append_new(diff_ids, json_string(digest_format(&layers[i].diff_id, text)));
    }
    json_object_set_new(copy, "rootfs",
                        json_pack("{s:s, s:o}", "type", "layers", "diff_ids", diff_ids));
    AUTO(json_freep)
    json_t *document = ordered(copy, document_order, ARRAY_LEN(document_order));
    json_render(document, out);
}
