/*
 * imagedefinitions.json: what CodePipeline's ECS action reads to deploy an image (CodePipeline user
 * guide, "Image definitions file reference"): an array of {"name", "imageUri"}, at most 100 KB.
 *
 *     AUTO(imagedefinitions_release) struct imagedefinitions definitions = {0};
 *     imagedefinitions_add(&definitions, "web", "registry/app@sha256:...", err)
 *     imagedefinitions_write(&definitions, AT_FDCWD, "imagedefinitions.json", err)
 */
#ifndef SLIPWAY_DEPLOY_IMAGEDEFINITIONS_H
#define SLIPWAY_DEPLOY_IMAGEDEFINITIONS_H

#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"

#define LIMIT_IMAGEDEFINITIONS_BYTES ((size_t)100000)

/* A container of the task definition and the image it gets. */
struct container_image {
    char *name;
    char *image_uri;
};

struct imagedefinitions {
    struct container_image *items;
    size_t len;
};

/* Frees what DEFINITIONS holds. */
void imagedefinitions_release(struct imagedefinitions *definitions);

/* Adds a container; both texts are copied. ERR_USAGE for a name that ECS would refuse (1 to 255 of
 * letters, digits, "-" and "_"), a name given twice, and an empty image. */
int imagedefinitions_add(struct imagedefinitions *definitions, const char *name,
                         const char *image_uri, struct error *err);

/* The document, compact, with nothing behind the closing bracket. Too large, or no container:
 * ERR_USAGE. */
int imagedefinitions_render(const struct imagedefinitions *definitions, struct buf *out,
                            struct error *err);

/* Replaces the file PATH by the document, atomically. ERR_USAGE as above, ERR_STORE. */
int imagedefinitions_write(const struct imagedefinitions *definitions, int dirfd, const char *path,
                           struct error *err);

#endif
