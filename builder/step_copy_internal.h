/*
 * What COPY (step_copy.c) and ADD (step_add.c) share.
 */
#ifndef SLIPWAY_BUILDER_STEP_COPY_INTERNAL_H
#define SLIPWAY_BUILDER_STEP_COPY_INTERNAL_H

#include "builder/account.h"
#include "builder/copy.h"
#include "builder/sources.h"
#include "builder/stage.h"

/* One source after expansion: some entries of a tree, or a whole archive to unpack. */
struct copy_item {
    struct tree *tree; /* a reference */
    struct copy_sources sources;
    bool archive;
};

struct copy_step {
    struct stage *stage;
    const struct instruction *in;
    struct copy_plan plan;
    struct chmod chmod;
    struct ignore *exclude;
    char *dest;
    char *chown_text; /* NULL: not given */
    bool link;
    struct copy_item *items;
    size_t items_len;
};

/* Whether the layer does not depend on what lies below (--link). */
bool copy_stands_alone(const struct copy_step *c);

/* A key of COPY --from=STAGE or IMAGE that is made without reading a layer of it: that those layers
 * are the same says as much as that the files are. *KNOWN_OUT is false where the source is no stack
 * of layers. */
int copy_layers_key(struct copy_step *c, bool *known_out, struct digest *out, struct error *err);

/* Adds ITEM, whose parts the step now owns. */
void copy_add_item(struct copy_step *c, const struct copy_item *item);

/* ADD of WORD, a URL or a git repository; *TAKEN_OUT is false where it is neither. */
int add_remote(struct copy_step *c, const char *word, bool *taken_out, struct error *err);

/* ADD of files of the context: archives among them are to be unpacked. Takes ITEM over. */
int add_local(struct copy_step *c, struct copy_item *item, struct error *err);

#endif
