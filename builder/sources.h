/*
 * Where steps take files from besides the stage itself: the build context, other stages, images and
 * named contexts; and the images that stages start from.
 */
#ifndef SLIPWAY_BUILDER_SOURCES_H
#define SLIPWAY_BUILDER_SOURCES_H

#include "builder/build_internal.h"

/* The layers and config of the base image NAME for PLATFORM (a named context of that name counts
 * first). OUT and *CONFIG_OUT are the caller's. */
int source_base_image(struct build *build, const char *name, const struct platform *platform,
                      struct stack *out, json_t **config_out, struct error *err);

/* The tree that --from=FROM means in STAGE (waits for another stage; fetches an image); NULL: the
 * build context. Borrowed: lives as long as the build. No slot may be held. */
int source_tree(struct build *build, const struct stage *stage, const char *from, struct tree **out,
                struct error *err);

/* The chain id of the layers that --from=FROM means in STAGE, without reading any (waits for
 * another stage); *KNOWN_OUT is false where it means a context. No slot may be held. */
int source_chain(struct build *build, const struct stage *stage, const char *from, bool *known_out,
                 struct digest *out, struct error *err);

/* What --from=FROM (NULL: the build context) means in STAGE, in words: "the build context", "stage
 * 'build'". The caller's. */
char *source_describe(const struct stage *stage, const char *from);

/* The line of FROM's ignore file that took PATH (tree form) out, although it is there: "excluded by
 * .dockerignore line 3: *.o". NULL: none did; else the caller's. */
char *source_why_excluded(struct build *build, const char *from, const char *path);

/* Frees what sources were opened. */
void sources_release(struct build *build);

#endif
