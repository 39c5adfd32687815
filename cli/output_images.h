/* The images that a build made: one, or one for each platform of an index. */
#ifndef SLIPWAY_CLI_OUTPUT_IMAGES_H
#define SLIPWAY_CLI_OUTPUT_IMAGES_H

#include "oci/images.h"

struct output_image {
    char *folder; /* "linux_arm64", as docker names the folders of several platforms; NULL: the only
                     one */
    struct image image;
};

struct output_images {
    struct output_image *items;
    size_t len;
};

/* Frees what IMAGES holds. */
void output_images_release(struct output_images *images);

/* All images below TOP, which is IMAGE's manifest, or an index in the store. */
int output_images_load(struct store *store, const struct image *image, const struct descriptor *top,
                       struct output_images *out, struct error *err);

#endif
