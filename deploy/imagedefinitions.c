#include "deploy/imagedefinitions.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"

enum { CONTAINER_NAME_MAX = 255 };

void imagedefinitions_release(struct imagedefinitions *definitions)
{
    for (size_t i = 0; i < definitions->len; i++) {
        free(definitions->items[i].name);
        free(definitions->items[i].image_uri);
    }
    free(definitions->items);
    *definitions = (struct imagedefinitions){0};
}

/* The API's words for containerDefinitions[].name: letters, digits, hyphens and underscores. */
static bool valid_name(const char *name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    size_t len = strlen(name);
    return len > 0 && len <= CONTAINER_NAME_MAX && strspn(name, allowed) == len;
}

int imagedefinitions_add(struct imagedefinitions *definitions, const char *name,
                         const char *image_uri, struct error *err)
{
    if (!valid_name(name)) {
        return error_set(err, ERR_USAGE,
                         "container '%s': a name has 1 to %d letters, digits, '-' and '_'", name,
                         CONTAINER_NAME_MAX);
    }
    if (*image_uri == '\0') {
        return error_set(err, ERR_USAGE, "container '%s': its image is empty", name);
    }
    for (size_t i = 0; i < definitions->len; i++) {
        if (strcmp(definitions->items[i].name, name) == 0) {
            return error_set(err, ERR_USAGE, "container '%s' is given twice", name);
        }
    }
    definitions->items =
        mem_realloc(definitions->items, definitions->len + 1, sizeof *definitions->items);
    definitions->items[definitions->len++] =
        (struct container_image){.name = mem_strdup(name), .image_uri = mem_strdup(image_uri)};
    return 0;
}

int imagedefinitions_render(const struct imagedefinitions *definitions, struct buf *out,
                            struct error *err)
{
    if (definitions->len == 0) {
        return error_set(err, ERR_USAGE, "imagedefinitions: no container is named");
    }
    AUTO(json_freep) json_t *array = json_array();
    for (size_t i = 0; i < definitions->len; i++) {
        const struct container_image *item = &definitions->items[i];
        json_t *object = json_object();
        json_object_set_new(object, "name", json_string(item->name));
        if (json_object_set_new(object, "imageUri", json_string(item->image_uri)) != 0) {
            json_decref(object);
            return error_set(err, ERR_USAGE, "container '%s': its image is no UTF-8", item->name);
        }
        json_array_append_new(array, object);
    }
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    json_render(array, &text);
    if (text.len > LIMIT_IMAGEDEFINITIONS_BYTES) {
        return error_set(err, ERR_USAGE,
                         "imagedefinitions: %zu bytes, and CodePipeline takes at most %zu",
                         text.len, LIMIT_IMAGEDEFINITIONS_BYTES);
    }
    buf_append(out, text.data, text.len);
    return 0;
}

int imagedefinitions_write(const struct imagedefinitions *definitions, int dirfd, const char *path,
                           struct error *err)
{
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    if (imagedefinitions_render(definitions, &text, err) != 0) {
        return -1;
    }
    return file_write_atomic(dirfd, path, text.data, text.len, 0644, true, err);
}
