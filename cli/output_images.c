#include "cli/output_images.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/memory.h"

void output_images_release(struct output_images *images)
{
    for (size_t i = 0; i < images->len; i++) {
        free(images->items[i].folder);
        image_release(&images->items[i].image);
    }
    free(images->items);
    *images = (struct output_images){0};
}

static struct output_image *add_image(struct output_images *images)
{
    images->items = mem_realloc(images->items, images->len + 1, sizeof *images->items);
    struct output_image *item = &images->items[images->len++];
    *item = (struct output_image){0};
    return item;
}

static char *folder_name(const struct platform *platform)
{
    char *name = platform_format(platform);
    for (char *p = name; *p; p++) {
        *p = *p == '/' ? '_' : *p;
    }
    return name;
}

static int load_index(struct store *store, const struct image_index *index,
                      struct output_images *out, struct error *err)
{
    for (size_t i = 0; i < index->len; i++) {
        const struct index_entry *entry = &index->items[i];
        if (entry->attestation || !entry->platform.os) {
            continue;
        }
        struct output_image *item = add_image(out);
        item->folder = folder_name(&entry->platform);
        if (images_load(store, &entry->descriptor, NULL, &item->image, err) != 0) {
            return -1;
        }
    }
    return 0;
}

int output_images_load(struct store *store, const struct image *image, const struct descriptor *top,
                       struct output_images *out, struct error *err)
{
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    struct image_index index = {0};
    struct descriptor config;
    struct layer *layers = NULL;
    size_t layers_len = 0;
    enum document_kind kind = DOCUMENT_MANIFEST;
    if (digest_equal(&top->digest, &image->manifest.digest)) {
        image_copy(image, &add_image(out)->image);
        return 0;
    }
    if (store_read_blob(store, &top->digest, LIMIT_MANIFEST_BYTES, &text, err) != 0 ||
        document_parse(text.data, text.len, top->media_type, ERR_STORE, &kind, &config, &layers,
                       &layers_len, &index, err) != 0) {
        return -1;
    }
    free(layers);
    int result = load_index(store, &index, out, err);
    image_index_release(&index);
    return result;
}
