/* A store in a temporary folder and small images in it, for the tests of images and archives. */
#ifndef SLIPWAY_TESTS_OCI_IMAGE_FIXTURE_H
#define SLIPWAY_TESTS_OCI_IMAGE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/file.h"
#include "base/memory.h"
#include "oci/document.h"
#include "oci/store.h"

struct fixture {
    char folder[64];
    struct store *store;  /* the images are made here */
    struct store *second; /* and read into this one */
};

static inline int setup(void **state)
{
    struct fixture *f = mem_calloc(1, sizeof *f);
    struct error err = {0};
    snprintf(f->folder, sizeof f->folder, "/tmp/test-images-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    AUTO(mem_freep) char *one = mem_printf("%s/one", f->folder);
    AUTO(mem_freep) char *two = mem_printf("%s/two", f->folder);
    assert_int_equal(store_open(one, &f->store, &err), 0);
    assert_int_equal(store_open(two, &f->second, &err), 0);
    *state = f;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    store_freep(&f->store);
    store_freep(&f->second);
    assert_int_equal(file_remove_tree(AT_FDCWD, f->folder, &err), 0);
    free(f);
    return 0;
}

static inline struct descriptor put(struct store *store, const char *media, const void *data,
                                    size_t len)
{
    struct descriptor d = {.size = len};
    struct error err = {0};
    snprintf(d.media_type, sizeof d.media_type, "%s", media);
    assert_int_equal(store_put_blob(store, data, len, &d.digest, &err), 0);
    return d;
}

/* The config of an image with one layer. */
static inline char *config_text(const char *arch, const struct digest *diff_id)
{
    char text[DIGEST_TEXT_SIZE];
    return mem_printf("{\"architecture\":\"%s\",\"os\":\"linux\",\"config\":{},\"rootfs\":{"
                      "\"type\":\"layers\",\"diff_ids\":[\"%s\"]}}",
                      arch, digest_format(diff_id, text));
}

/* An image of one layer: the bytes CONTENT, stored with MEDIA as its type. */
static inline struct descriptor put_image(struct store *store, const char *arch,
                                          const char *content, const char *media)
{
    struct layer layer;
    layer.blob = put(store, media, content, strlen(content));
    layer.diff_id = layer.blob.digest;
    AUTO(mem_freep) char *config = config_text(arch, &layer.diff_id);
    struct descriptor c = put(store, MEDIA_OCI_CONFIG, config, strlen(config));
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    manifest_render(&c, &layer, 1, NULL, &text);
    return put(store, MEDIA_OCI_MANIFEST, text.data, text.len);
}

/* An index over amd64 and arm64. */
static inline struct descriptor put_index(struct store *store)
{
    char os[] = "linux";
    char amd[] = "amd64";
    char arm[] = "arm64";
    struct index_entry items[2] = {
        {.descriptor = put_image(store, "amd64", "layer amd64", MEDIA_OCI_LAYER_GZIP),
         .platform = {os, amd, NULL}},
        {.descriptor = put_image(store, "arm64", "layer arm64", MEDIA_OCI_LAYER_GZIP),
         .platform = {os, arm, NULL}},
    };
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    index_render(items, 2, NULL, &text);
    return put(store, MEDIA_OCI_INDEX, text.data, text.len);
}

#endif
