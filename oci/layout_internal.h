/* What the files of oci/layout.h and oci/docker_archive.h share. */
#ifndef SLIPWAY_OCI_LAYOUT_INTERNAL_H
#define SLIPWAY_OCI_LAYOUT_INTERNAL_H

#include "oci/archive_import.h"
#include "oci/layout.h"

#define ANNOTATION_REF_NAME "org.opencontainers.image.ref.name"
#define ANNOTATION_CONTAINERD_NAME "io.containerd.image.name"

/* A growing list of images. */
struct layout_list {
    struct layout_image *items;
    size_t len;
};
void layout_list_release(struct layout_list *list);
void layout_list_add(struct layout_list *list, const struct descriptor *descriptor,
                     const char *name);

/* As layout_write_tar(), with MANIFEST_JSON (may be NULL) as the file "manifest.json". */
int layout_write_tar_with(struct store *store, struct writer *out,
                          const struct layout_image *images, size_t len,
                          const struct buf *manifest_json, struct error *err);

/* Reads the layout in IMPORT, whose files hold "index.json". NAME is for messages. */
int layout_read_import(struct store *store, struct import *import, const char *name,
                       struct layout_list *out, struct error *err);

/* The tag in NAME (HOST/REPO:TAG, or a tag alone), borrowed; NULL if it has none. */
const char *layout_tag_of(const char *name);

#endif
