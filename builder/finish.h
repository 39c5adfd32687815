/*
 * The end of a build: config, manifest, tags, push.
 */
#ifndef SLIPWAY_BUILDER_FINISH_H
#define SLIPWAY_BUILDER_FINISH_H

#include "builder/build_internal.h"

/* Checks the names that the result will have, and readies the push to the first of them, so that
 * layers can go up while later steps run (not those of an index, PART_OF_INDEX). Opens no socket.
 * ERR_USAGE. */
int finish_open_push(struct build *build, bool part_of_index, struct error *err);

/* Writes config and manifest of the target stage into the store. */
int finish_image(struct build *build, struct build_result *result, struct error *err);

/* Writes the index over IMAGES, one for each platform; BUILD gives request and store. */
int finish_index(struct build *build, const struct image *images, size_t len,
                 struct build_result *result, struct error *err);

/* Tags RESULT's top in the store, and pushes it where the request says so. */
int finish_names(struct build *build, struct build_result *result, struct error *err);

#endif
