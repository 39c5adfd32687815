/*
 * What to say about a file that a step wants and that is not there: where it was looked for, which
 * line of .dockerignore took it out, and which name that exists was perhaps meant.
 */
#ifndef SLIPWAY_BUILDER_MISSING_H
#define SLIPWAY_BUILDER_MISSING_H

#include "base/error.h"
#include "builder/stage.h"
#include "oci/tree.h"

/* The path of TREE that is nearest to PATH (tree form), which is not in it: the first component
 * that is missing is replaced by the nearest name in its folder, and what follows is left out. NULL
 * where nothing is near; else the caller's. */
char *missing_nearest(const struct tree *tree, const char *path);

/* Fails with ERR_STEP: "COPY WORD: not in the build context (excluded by .dockerignore line 3: *)",
 * "COPY WORD: not in stage 'build', did you mean src/app?". SCENE is what stands in front of WORD,
 * the source after expansion; TREE is what --from=FROM means in STAGE (NULL: the build context).
 * Returns -1. */
struct missing {
    const char *scene;
    const char *word;
    const char *from;
};

/* Sets the error that says WHAT is missing in TREE. Returns -1. */
int missing_source(struct stage *stage, const struct missing *what, const struct tree *tree,
                   struct error *err);

/* ERR says why NAME could not be had as an image: adds the earlier stage that was perhaps meant. An
 * image that the registry refuses is then a mistake of the Dockerfile. Returns -1. */
int missing_image(const struct stage *stage, const char *name, struct error *err);

#endif
