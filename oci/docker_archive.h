/*
 * Archives of `docker save`, for `docker load` and back.
 *
 * Written is what docker 25 and later write: an OCI layout (oci/layout.h) with a "manifest.json"
 * beside it that names the config and layer blobs, so that every docker, podman, skopeo and
 * containerd reads it. Read is that, the older form (HEX.json, HEX/layer.tar, with links between
 * layers), what kaniko and crane write (compressed layers), and plain OCI layouts.
 */
#ifndef SLIPWAY_OCI_DOCKER_ARCHIVE_H
#define SLIPWAY_OCI_DOCKER_ARCHIVE_H

#include "oci/layout.h"

/* Writes IMAGES as one uncompressed tar to OUT (borrowed). Of an index, all is written and
 * "manifest.json" names the image for PLATFORM (NULL: this machine's; the index's first where it
 * has none for it). All blobs must be in the store. */
int docker_archive_write(struct store *store, struct writer *out, const struct layout_image *images,
                         size_t len, const struct platform *platform, struct error *err);

/* Reads an archive of docker's or an OCI layout (gzip, zstd or plain tar) from IN, which is taken
 * over, into the store. NAME is for messages ("app.tar", "standard input"). One item for each name
 * of each image, one without a name for an image that has none; the list is the caller's
 * (layout_images_release()). ERR_USAGE where it is neither or is damaged. */
int docker_archive_read(struct store *store, struct reader *in, const char *name,
                        struct layout_image **images_out, size_t *len_out, struct error *err);

#endif
