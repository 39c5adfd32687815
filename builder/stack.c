/* The layers of a stage, and the tree they add up to. */
#include "builder/stack.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/path.h"

void stack_init(struct stack *stack, struct store *store, struct registry *registry)
{
    *stack = (struct stack){.store = store, .registry = registry};
}

void stack_push(struct stack *stack, const struct layer *layer, struct tree *diff)
{
    stack->layers = mem_realloc(stack->layers, stack->len + 1, sizeof *stack->layers);
    stack->diffs = mem_realloc(stack->diffs, stack->len + 1, sizeof *stack->diffs);
    stack->layers[stack->len] = *layer;
    stack->diffs[stack->len] = diff ? tree_ref(diff) : NULL;
    stack->len++;
}

void stack_init_image(struct stack *stack, struct store *store, struct registry *registry,
                      const struct image *base)
{
    stack_init(stack, store, registry);
    image_copy(base, &stack->base);
    for (size_t i = 0; i < base->layers_len; i++) {
        stack_push(stack, &base->layers[i], NULL);
    }
}

void stack_copy(const struct stack *from, struct stack *out)
{
    stack_init(out, from->store, from->registry);
    image_copy(&from->base, &out->base);
    for (size_t i = 0; i < from->len; i++) {
        stack_push(out, &from->layers[i], from->diffs[i]);
    }
    if (from->merged) {
        out->merged = tree_ref(from->merged);
        out->merged_len = from->merged_len;
    }
    strlist_add_all(&out->unpacked, &from->unpacked);
    out->unpacked_len = from->unpacked_len;
    out->unpacked_style = from->unpacked_style;
}

void stack_release(struct stack *stack)
{
    for (size_t i = 0; i < stack->len; i++) {
        tree_unref(stack->diffs[i]);
    }
    free(stack->layers);
    free(stack->diffs);
    tree_unref(stack->merged);
    strlist_release(&stack->unpacked);
    image_release(&stack->base);
    *stack = (struct stack){0};
}

void stack_chain(const struct stack *stack, struct digest *out)
{
    chain_id(stack->layers, stack->len, out);
}

int stack_fetch(struct stack *stack, struct error *err)
{
    size_t below = stack->base.layers_len;
    if (below > 0 && registry_get_layers(stack->registry, &stack->base, 0, below, err) != 0) {
        return -1;
    }
    /* A layer from a cache in a registry: the store knows where it lies. */
    const struct image own = {.layers = stack->layers + below, .layers_len = stack->len - below};
    return own.layers_len == 0 ? 0
                               : registry_get_layers(stack->registry, &own, 0, own.layers_len, err);
}

int stack_fetch_layer(struct stack *stack, size_t index, struct error *err)
{
    size_t below = stack->base.layers_len;
    const struct image own = {.layers = stack->layers, .layers_len = stack->len};
    return registry_get_layer(stack->registry, index < below ? &stack->base : &own, index, err);
}

int stack_layer(struct stack *stack, size_t index, struct tree **out, struct error *err)
{
    if (!stack->diffs[index] &&
        (stack_fetch_layer(stack, index, err) != 0 ||
         layer_tree(stack->store, &stack->layers[index], &stack->diffs[index], err) != 0)) {
        return -1;
    }
    *out = stack->diffs[index];
    return 0;
}

int stack_tree(struct stack *stack, struct tree **out, struct error *err)
{
    if (!stack->merged) {
        stack->merged = tree_empty();
        stack->merged_len = 0;
    }
    if (stack->merged_len < stack->len && stack_fetch(stack, err) != 0) {
        return -1;
    }
    while (stack->merged_len < stack->len) {
        struct tree *diff = NULL;
        if (stack_layer(stack, stack->merged_len, &diff, err) != 0) {
            return -1;
        }
        struct tree *merged = tree_merge(stack->merged, diff);
        tree_unref(stack->merged);
        stack->merged = merged;
        stack->merged_len++;
    }
    *out = stack->merged;
    return 0;
}
