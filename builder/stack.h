/*
 * The layers of a stage, bottom first, and the root file system they add up to, made only when
 * somebody asks for it: a step that needs no file of the base never touches the base's blobs.
 */
#ifndef SLIPWAY_BUILDER_STACK_H
#define SLIPWAY_BUILDER_STACK_H

#include "base/strlist.h"
#include "oci/layer.h"
#include "oci/unpack.h"
#include "registry/registry.h"

struct stack {
    struct store *store;
    struct registry *registry;
    struct image base;    /* where the first `base.layers_len` layers come from; none for scratch */
    struct layer *layers; /* all, bottom first */
    struct tree **diffs;  /* of each layer; NULL: not read yet */
    size_t len;
    struct tree *merged; /* the first `merged_len` layers as one tree; NULL: none yet */
    size_t merged_len;
    struct strlist unpacked; /* what stack_unpack() gave for the first `unpacked_len` layers */
    size_t unpacked_len;
    enum unpack_style unpacked_style;
};

/* An empty stack: FROM scratch. */
void stack_init(struct stack *stack, struct store *store, struct registry *registry);

/* A stack of BASE's layers (copied). */
void stack_init_image(struct stack *stack, struct store *store, struct registry *registry,
                      const struct image *base);

/* A copy of FROM: a stage that starts from another stage. */
void stack_copy(const struct stack *from, struct stack *out);

/* Frees what it holds. */
void stack_release(struct stack *stack);

/* Adds LAYER; DIFF is its tree where it is at hand (a reference is taken), else NULL. */
void stack_push(struct stack *stack, const struct layer *layer, struct tree *diff);

/* Whether LAYER has no blob yet: then its tree is at hand, with all contents. */
bool layer_is_unwritten(const struct layer *layer);

/* The chain id of all layers: the identity of the root file system. */
void stack_chain(const struct stack *stack, struct digest *out);

/* The root file system; fetches and reads layers as far as needed. Borrowed until the next
 * stack_push(). */
int stack_tree(struct stack *stack, struct tree **out, struct error *err);

/* The tree of layer INDEX alone. Borrowed. */
int stack_layer(struct stack *stack, size_t index, struct tree **out, struct error *err);

/* The layers as unpacked folders, relative to store_fd(), lowest first; fetches and unpacks as far
 * as needed. */
int stack_unpack(struct stack *stack, enum unpack_style style, struct strlist *out,
                 struct error *err);

/* The blobs that the store lacks are fetched: the base's, and those of layers that came from a
 * cache in a registry. */
int stack_fetch(struct stack *stack, struct error *err);

/* What is done with the blob of layer INDEX, opened by store_blob_reader(). Any thread. */
typedef int (*stack_use_fn)(void *ctx, size_t index, struct error *err);

/* Calls USE. Where the store lacks the layer's blob, it is fetched meanwhile, and read as it comes;
 * if that does not end well for USE, though the blob has come whole, USE is called once more. */
int stack_use_layer(struct stack *stack, size_t index, stack_use_fn use, void *ctx,
                    struct error *err);

/* Layers that are used side by side at most: more would only wait for each other, and each needs
 * about 3 MB. */
enum { STACK_AT_ONCE = 4 };

/* Calls USE for each layer from FIRST on, AT_ONCE of them at a time, but not more than
 * STACK_AT_ONCE. The first error ends it. */
int stack_each_layer(struct stack *stack, size_t first, size_t at_once, stack_use_fn use, void *ctx,
                     struct error *err);

#endif
