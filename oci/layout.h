/*
 * OCI image layouts (image-spec 1.1, image-layout.md) as folders and as tar archives.
 *
 * Written: "oci-layout", "index.json" and "blobs/sha256/HEX" of all that the images reach: the
 * manifests of an index, configs and layers, each once. All blobs must be in the store. What is
 * written depends only on the images: entries in fixed order, times 0, owner 0.
 *
 * Read: no name of a stranger becomes a path. Every file goes into the store under the digest of
 * its bytes, and what the documents name is looked up there; size and digest of everything that an
 * image needs are verified.
 */
#ifndef SLIPWAY_OCI_LAYOUT_H
#define SLIPWAY_OCI_LAYOUT_H

#include <stddef.h>

#include "base/stream.h"
#include "oci/document.h"
#include "oci/store.h"

/* One image of a layout. */
struct layout_image {
    struct descriptor descriptor; /* the manifest or index */
    char *name; /* HOST/REPOSITORY:TAG where it is known; only a tag where that is all that a layout
                   that was read says; NULL: none. Owned by who made the struct */
};

/* Cleanup of what the readers return. */
void layout_images_release(struct layout_image *images, size_t len);

/* Writes (makes) the layout folder PATH. A layout that is there is added to: images of the same
 * name are replaced in its index. ERR_STORE names what could not be written or is missing. */
int layout_write_dir(struct store *store, const char *path, const struct layout_image *images,
                     size_t len, struct error *err);

/* Writes a layout as an uncompressed tar. OUT is borrowed. */
int layout_write_tar(struct store *store, struct writer *out, const struct layout_image *images,
                     size_t len, struct error *err);

/* Reads the layout PATH, a folder or a tar (gzip, zstd or plain), into the store. The list is the
 * caller's, at least one image. ERR_USAGE where PATH is no layout or is damaged (the sentence names
 * the blob). */
int layout_read(struct store *store, const char *path, struct layout_image **images_out,
                size_t *len_out, struct error *err);

#endif
