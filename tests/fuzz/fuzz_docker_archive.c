/* Archives of strangers, read into a store that is thrown away. Nothing may be written beside it.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "oci/docker_archive.h"
#include "oci/images.h"

static char folder[64];
static struct store *store;

static void remove_folder(void)
{
    struct error err = {0};
    store_freep(&store);
    file_remove_tree(AT_FDCWD, folder, &err);
}

static void open_store(void)
{
    struct error err = {0};
    snprintf(folder, sizeof folder, "/tmp/fuzz-archive-XXXXXX");
    if (!mkdtemp(folder) || store_open(folder, &store, &err) != 0) {
        abort();
    }
    atexit(remove_folder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct layout_image *images = NULL;
    size_t len = 0;
    struct error err = {0};
    if (!store) {
        open_store();
    }
    struct reader *in = reader_memory((void *)data, size, false);
    if (docker_archive_read(store, in, "archive", &images, &len, &err) != 0) {
        if (err.code == ERR_NONE || !err.text[0]) {
            abort();
        }
        return 0;
    }
    /* What was taken is whole. */
    for (size_t i = 0; i < len; i++) {
        AUTO(image_release) struct image image = {0};
        if (images_load(store, &images[i].descriptor, NULL, &image, &err) != 0) {
            if (err.code != ERR_USAGE && err.code != ERR_STORE) {
                abort();
            }
            continue;
        }
        for (size_t k = 0; k < image.layers_len; k++) {
            if (!store_has_blob(store, &image.layers[k].blob.digest, NULL)) {
                abort();
            }
        }
    }
    layout_images_release(images, len);
    return 0;
}
