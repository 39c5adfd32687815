#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/memory.h"
#include "oci/images.h"
#include "registry/registry_internal.h"

/* All blobs of a manifest that lies in the store. */
static int add_blobs(struct push *push, struct registry *registry,
                     const struct descriptor *manifest, struct error *err)
{
    AUTO(buf_release) struct buf bytes = BUF_INIT(LIMIT_MANIFEST_BYTES);
    AUTO(image_index_release) struct image_index index = {0};
    AUTO(mem_freep) struct layer *layers = NULL;
    size_t layers_len = 0;
    struct descriptor config = {0};
    enum document_kind kind = DOCUMENT_MANIFEST;
    if (store_read_blob(registry->store, &manifest->digest, LIMIT_MANIFEST_BYTES, &bytes, err) !=
            0 ||
        document_parse(bytes.data, bytes.len, manifest->media_type, ERR_STORE, &kind, &config,
                       &layers, &layers_len, &index, err) != 0) {
        return -1;
    }
    if (kind == DOCUMENT_INDEX) {
        return error_set(err, ERR_STORE, "an index that lists indexes cannot be pushed");
    }
    push_add_blob(push, &config);
    for (size_t i = 0; i < layers_len; i++) {
        push_add_blob(push, &layers[i].blob);
    }
    return 0;
}

/* An index goes over with all that it lists. */
static int add_children(struct push *push, struct registry *registry, const struct descriptor *top,
                        struct error *err)
{
    AUTO(buf_release) struct buf bytes = BUF_INIT(LIMIT_MANIFEST_BYTES);
    AUTO(image_index_release) struct image_index index = {0};
    AUTO(mem_freep) struct layer *layers = NULL;
    size_t layers_len = 0;
    struct descriptor config = {0};
    enum document_kind kind = DOCUMENT_MANIFEST;
    if (store_read_blob(registry->store, &top->digest, LIMIT_MANIFEST_BYTES, &bytes, err) != 0 ||
        document_parse(bytes.data, bytes.len, top->media_type, ERR_STORE, &kind, &config, &layers,
                       &layers_len, &index, err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < index.len; i++) {
        const struct descriptor *child = &index.items[i].descriptor;
        if (!store_has_blob(registry->store, &child->digest, NULL)) {
            AUTO(mem_freep) char *platform = platform_format(&index.items[i].platform);
            return error_set(
                err, ERR_STORE,
                "the index lists an image for %s that is not in the store: pull it first",
                platform);
        }
        if (add_blobs(push, registry, child, err) != 0 || push_manifest(push, child, err) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Whether the tag holds TOP already: then nothing at all is sent. */
static int already_there(struct registry *registry, const struct reference *to,
                         const struct descriptor *top, bool *there_out, struct error *err)
{
    AUTO(place_release) struct place place = {0};
    struct descriptor holds = {0};
    bool found = false;
    registry_place(registry, to->host, to->repository, PLACE_PUSH, &place);
    if (registry_look_up(registry, &place, reference_tag(to), &found, &holds, err) != 0) {
        return -1;
    }
    *there_out = found && digest_equal(&holds.digest, &top->digest);
    return 0;
}

int registry_push_image(struct registry *registry, const struct image *image,
                        const struct descriptor *top, const struct reference *to, struct error *err)
{
    AUTO(push_freep) struct push *push = NULL;
    AUTO(mem_freep) char *shown = reference_familiar(to);
    bool there = false;
    if (to->has_digest) {
        return error_set(err, ERR_USAGE, "%s: an image is pushed under a tag, not a digest", shown);
    }
    if (push_open(registry, to, &push, err) != 0) {
        return -1;
    }
    if (already_there(registry, to, top, &there, err) != 0) {
        return error_wrap(err, "pushing %s", shown);
    }
    if (there) {
        return 0;
    }
    bool is_index = !digest_equal(&top->digest, &image->manifest.digest);
    int rc =
        is_index ? add_children(push, registry, top, err) : add_blobs(push, registry, top, err);
    if (rc != 0) {
        return error_wrap(err, "pushing %s", shown);
    }
    const char *tags[] = {reference_tag(to), NULL};
    return push_finish(push, top, tags, err);
}
