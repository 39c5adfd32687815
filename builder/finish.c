/* Config, manifest, tags, push. */
#include "builder/finish.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "builder/stage.h"
#include "oci/config.h"
#include "oci/images.h"

int finish_open_push(struct build *build, struct error *err)
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
        } else if (build->request->push && i == 0) {
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
static int push_first(struct build *build, const struct image *image, const struct reference *ref,
                      struct error *err)
{
    if (!build->pushing) {
        return registry_push_image(build->registry, image, &image->manifest, ref, err);
    }
    const char *tags[] = {reference_tag(ref), NULL};
    push_add_blob(build->push, &image->config);
    return push_finish(build->push, &image->manifest, tags, err);
}

static int push_names(struct build *build, struct build_result *result, struct error *err)
{
    const struct strlist *tags = &build->request->tags;
    for (size_t i = 0; i < tags->len; i++) {
        struct reference ref = {0};
        if (reference_parse(tags->items[i], &ref, err) != 0) {
            return -1;
        }
        int r = i == 0 ? push_first(build, &result->image, &ref, err)
                       : registry_push_image(build->registry, &result->image,
                                             &result->image.manifest, &ref, err);
        if (r == 0) {
            char digest[DIGEST_TEXT_SIZE];
            strlist_addf(&result->pushed, "%s@%s", tags->items[i],
                         digest_format(&result->image.manifest.digest, digest));
        } else {
            error_wrap(err, "pushing %s", tags->items[i]);
        }
        reference_release(&ref);
        if (r != 0) {
            return -1;
        }
    }
    return 0;
}

static int tag_names(struct build *build, const struct descriptor *top, struct error *err)
{
    const struct strlist *tags = &build->request->tags;
    for (size_t i = 0; i < tags->len; i++) {
        struct reference ref = {0};
        if (reference_parse(tags->items[i], &ref, err) != 0) {
            return -1;
        }
        if (!ref.tag) {
            ref.tag = mem_strdup(reference_tag(&ref));
        }
        AUTO(mem_freep) char *name = reference_format(&ref);
        reference_release(&ref);
        if (images_tag(build->store, name, top, err) != 0) {
            return -1;
        }
    }
    return tags->len > 0 ? 0 : images_add(build->store, top, err);
}

int finish_image(struct build *build, struct build_result *result, struct error *err)
{
    struct stage *stage = &build->stages[build->plan.target];
    struct image image = {0};
    if (put_config(build, stage, &image, err) != 0 ||
        put_manifest(build, stage, &image, err) != 0 ||
        tag_names(build, &image.manifest, err) != 0) {
        return -1;
    }
    if (images_load(build->store, &image.manifest, &stage->platform, &result->image, err) != 0) {
        return -1;
    }
    result->top = result->image.manifest;
    result->created = build->epoch;
    return build->request->push ? push_names(build, result, err) : 0;
}
