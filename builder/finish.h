/*
 * The end of a build: config, manifest, tags, push.
 */
#ifndef SLIPWAY_BUILDER_FINISH_H
#define SLIPWAY_BUILDER_FINISH_H

#include "builder/build_internal.h"

/* Checks the names that the result will have, and readies the push to the first of them, so that
 * layers can go up while later steps run. Opens no socket. ERR_USAGE. */
int finish_open_push(struct build *build, struct error *err);

/* Writes config and manifest of the target stage into the store, tags and pushes them. */
int finish_image(struct build *build, struct build_result *result, struct error *err);

#endif
