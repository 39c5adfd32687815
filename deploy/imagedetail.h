/*
 * imageDetail.json: what CodePipeline's CodeDeployToECS action (blue/green) reads to learn the
 * image (CodePipeline user guide, "Image definitions file reference"): one object,
 * {"ImageURI": "REGISTRY/NAME@sha256:..."}.
 */
#ifndef SLIPWAY_DEPLOY_IMAGEDETAIL_H
#define SLIPWAY_DEPLOY_IMAGEDETAIL_H

#include "base/buf.h"
#include "base/error.h"

/* Whether ECS takes IMAGE: at most 255 bytes before "@", UTF-8, no blanks. ERR_USAGE. */
int image_uri_check(const char *image, struct error *err);

/* The document, compact. ERR_USAGE where image_uri_check() fails. */
int imagedetail_render(const char *image, struct buf *out, struct error *err);

/* Replaces the file PATH by the document, atomically. ERR_USAGE, ERR_STORE. */
int imagedetail_write(const char *image, int dirfd, const char *path, struct error *err);

#endif
