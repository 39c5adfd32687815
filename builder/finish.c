/* Config, manifest, tags, push. */
#include "builder/finish.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "builder/stage.h"
#include "oci/config.h"
#include "oci/images.h"

int finish_open_push(struct build *build, bool part_of_index, struct error *err)
{
    const struct strlist *tags = &build->request->tags;
    for (size_t i = 0; i < tags->len; i++) {
        struct reference ref = {0};
        if (reference_parse(tags->items[i], &ref, err) != 0) {
            return -1;
        }
        int r = 0;
        if (ref.has_digest) {
            r = error_set(err, ERR_USAGE, "'%s': a build cannot be given a digest as its name",
                          tags->items[i]);
        } else if (build->request->push && i == 0 && !part_of_index) {
            r = push_open(build->registry, &ref, &build->push, err);
        }
        reference_release(&ref);
        if (r != 0) {
            return -1;
        }
    }
    if (build->request->push && tags->len == 0) {
        return error_set(err, ERR_USAGE, "a push needs a name: give one with -t");
    }
    return 0;
}

static int add_labels(struct build *build, json_t *config, struct error *err)
{
    const struct strlist *labels = &build->request->labels;
    for (size_t i = 0; i < labels->len; i++) {
        AUTO(mem_freep) char *name = mem_strdup(labels->items[i]);
        char *value = strchr(name, '=');
        if (value) {
            *value = '\0';
            value++;
        }
        if (!name[0]) {
            return error_set(err, ERR_USAGE, "--label %s: the name is empty", labels->items[i]);
        }
        config_set_in_map(config, "Labels", name, value ? value : "");
    }
    return 0;
}

static void set_media_type(struct descriptor *d, const char *media_type)
{
    memcpy(d->media_type, media_type, strlen(media_type) + 1);
}

static int put_config(struct build *build, struct stage *stage, struct image *image,
                      struct error *err)
{
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    if (!config_get_text(stage->config, "WorkingDir")[0]) {
        config_set_text(stage->config, "WorkingDir", "/");
    }
    if (add_labels(build, stage->config, err) != 0) {
        return -1;
    }
    config_render(stage->config, build->epoch, stage->stack.layers, stage->stack.len, &text);
    set_media_type(&image->config, MEDIA_OCI_CONFIG);
    image->config.size = text.len;
    return store_put_blob(build->store, text.data, text.len, &image->config.digest, err);
}

static json_t *annotations_of(const struct build_request *request)
{
    json_t *map = request->annotations.len ? json_object() : NULL;
    for (size_t i = 0; i < request->annotations.len; i++) {
        AUTO(mem_freep) char *name = mem_strdup(request->annotations.items[i]);
        char *value = strchr(name, '=');
        if (value) {
            *value = '\0';
            value++;
        }
        json_object_set_new(map, name, json_string(value ? value : ""));
    }
    return map;
}

static int put_manifest(struct build *build, struct stage *stage, struct image *image,
                        struct error *err)
{
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    AUTO(json_freep) json_t *annotations = annotations_of(build->request);
    manifest_render(&image->config, stage->stack.layers, stage->stack.len, annotations, &text);
    set_media_type(&image->manifest, MEDIA_OCI_MANIFEST);
    image->manifest.size = text.len;
    return store_put_blob(build->store, text.data, text.len, &image->manifest.digest, err);
}

/* Everything to the first name: what was pushed on the way is not sent again. */
static int push_first(struct build *build, const struct build_result *result,
                      const struct reference *ref, struct error *err)
{
    if (!build->pushing) {
        return registry_push_image(build->registry, &result->image, &result->top, ref, err);
    }
    const char *tags[] = {reference_tag(ref), NULL};
    push_add_blob(build->push, &result->image.config);
    return push_finish(build->push, &result->top, tags, err);
}

static int push_name(struct build *build, const char *name, bool first, struct build_result *result,
                     struct error *err)
{
    struct reference ref = {0};
    char digest[DIGEST_TEXT_SIZE];
    if (reference_parse(name, &ref, err) != 0) {
        return -1;
    }
    int r = first ? push_first(build, result, &ref, err)
                  : registry_push_image(build->registry, &result->image, &result->top, &ref, err);
    reference_release(&ref);
    if (r == 0) {
        strlist_addf(&result->pushed, "%s@%s", name, digest_format(&result->top.digest, digest));
    }
    return r;
}

static int tag_name(struct build *build, const char *name, const struct descriptor *top,
                    struct error *err)
{
    struct reference ref = {0};
    if (reference_parse(name, &ref, err) != 0) {
        return -1;
    }
    AUTO(mem_freep) char *key = reference_key(&ref);
    reference_release(&ref);
    return images_tag(build->store, key, top, err);
}

int finish_names(struct build *build, struct build_result *result, struct error *err)
{
    const struct strlist *tags = &build->request->tags;
    if (tags->len == 0) {
        return images_add(build->store, &result->top, err);
    }
    for (size_t i = 0; i < tags->len; i++) {
        if (tag_name(build, tags->items[i], &result->top, err) != 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < tags->len && build->request->push; i++) {
        if (push_name(build, tags->items[i], i == 0, result, err) != 0) {
            return -1;
        }
    }
    return 0;
}

int finish_image(struct build *build, struct build_result *result, struct error *err)
{
    struct stage *stage = &build->stages[build->plan.target];
    struct image image = {0};
    if (put_config(build, stage, &image, err) != 0 ||
        put_manifest(build, stage, &image, err) != 0 ||
        images_load(build->store, &image.manifest, &stage->platform, &result->image, err) != 0) {
        return -1;
    }
    result->top = result->image.manifest;
    result->created = build->epoch;
    return 0;
}

int finish_index(struct build *build, const struct image *images, size_t len,
                 struct build_result *result, struct error *err)
{
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    struct index_entry *items = mem_calloc(len, sizeof *items);
    for (size_t i = 0; i < len; i++) {
        items[i].descriptor = images[i].manifest;
        config_platform(images[i].config_json, &items[i].platform);
    }
    AUTO(json_freep) json_t *annotations = annotations_of(build->request);
    index_render(items, len, annotations, &text);
    for (size_t i = 0; i < len; i++) {
        platform_release(&items[i].platform);
    }
    free(items);
    set_media_type(&result->top, MEDIA_OCI_INDEX);
    result->top.size = text.len;
    if (store_put_blob(build->store, text.data, text.len, &result->top.digest, err) != 0) {
        return -1;
    }
    image_copy(&images[0], &result->image);
    return 0;
}
