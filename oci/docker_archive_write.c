/* Writing for `docker load`: a layout, and the manifest.json that older readers look for. */
#include <string.h>

#include "base/limits.h"
#include "base/memory.h"
#include "oci/docker_archive.h"
#include "oci/images.h"
#include "oci/layout_internal.h"

/* "blobs/sha256/HEX" */
static json_t *blob_path(const struct digest *digest)
{
    char hex[DIGEST_HEX_SIZE];
    AUTO(mem_freep) char *path = mem_printf("blobs/sha256/%s", digest_hex(digest, hex));
    return json_string(path);
}

/* The name as docker shows it: docker.io and library/ left out. */
static const char *familiar(const char *name)
{
    static const char host[] = "docker.io/";
    static const char library[] = "library/";
    if (strncmp(name, host, sizeof host - 1) != 0) {
        return name;
    }
    name += sizeof host - 1;
    return strncmp(name, library, sizeof library - 1) == 0 ? name + sizeof library - 1 : name;
}

static bool seen_before(const struct layout_image *images, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (digest_equal(&images[i].descriptor.digest, &images[index].descriptor.digest)) {
            return true;
        }
    }
    return false;
}

/* The names of the images with the digest of IMAGES[INDEX]. */
static json_t *repo_tags(const struct layout_image *images, size_t len, size_t index)
{
    json_t *tags = json_array();
    for (size_t i = index; i < len; i++) {
        const char *name = images[i].name;
        if (digest_equal(&images[i].descriptor.digest, &images[index].descriptor.digest) &&
            layout_tag_of(name) && layout_tag_of(name) != name) {
            json_array_append_new(tags, json_string(familiar(name)));
        }
    }
    return tags;
}

/* The first image of the index TOP that is one. */
static int load_first(struct store *store, const struct descriptor *top, struct image *out,
                      struct error *err)
{
    AUTO(buf_release) struct buf bytes = BUF_INIT(LIMIT_MANIFEST_BYTES);
    AUTO(image_index_release) struct image_index index = {0};
    AUTO(mem_freep) struct layer *layers = NULL;
    enum document_kind kind = DOCUMENT_MANIFEST;
    struct descriptor config;
    size_t len = 0;
    if (store_read_blob(store, &top->digest, LIMIT_MANIFEST_BYTES, &bytes, err) != 0 ||
        document_parse(buf_text(&bytes), bytes.len, top->media_type, ERR_STORE, &kind, &config,
                       &layers, &len, &index, err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < index.len; i++) {
        if (!index.items[i].attestation) {
            return images_load(store, &index.items[i].descriptor, NULL, out, err);
        }
    }
    return error_set(err, ERR_USAGE, "the index has no images");
}

static int load(struct store *store, const struct descriptor *top, const struct platform *platform,
                struct image *out, struct error *err)
{
    if (images_load(store, top, platform, out, err) == 0) {
        return 0;
    }
    /* ERR_USAGE: the index has none for this platform; docker then takes what there is. */
    if (err->code != ERR_USAGE) {
        return -1;
    }
    error_clear(err);
    return load_first(store, top, out, err);
}

/* The item of manifest.json for IMAGE, whose names are TAGS (taken over). */
static json_t *manifest_item(const struct image *image, json_t *tags)
{
    json_t *item = json_object();
    json_t *layers = json_array();
    for (size_t i = 0; i < image->layers_len; i++) {
        json_array_append_new(layers, blob_path(&image->layers[i].blob.digest));
    }
    json_object_set_new(item, "Config", blob_path(&image->config.digest));
    json_object_set_new(item, "RepoTags", tags);
    json_object_set_new(item, "Layers", layers);
    return item;
}

int docker_archive_write(struct store *store, struct writer *out, const struct layout_image *images,
                         size_t len, const struct platform *platform, struct error *err)
{
    AUTO(json_freep) json_t *list = json_array();
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    for (size_t i = 0; i < len; i++) {
        if (seen_before(images, i)) {
            continue;
        }
        AUTO(image_release) struct image image = {0};
        if (load(store, &images[i].descriptor, platform, &image, err) != 0) {
            return -1;
        }
        json_array_append_new(list, manifest_item(&image, repo_tags(images, len, i)));
    }
    json_render(list, &text);
    return layout_write_tar_with(store, out, images, len, &text, err);
}
