/* The layers of a stage as folders: several at once, each fetched and unpacked by one thread. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/path.h"
#include "builder/stack.h"

static int merge_up_to(struct stack *stack, size_t count, struct tree **out, struct error *err)
{
    AUTO(tree_unrefp) struct tree *merged = tree_empty();
    for (size_t i = 0; i < count; i++) {
        struct tree *diff = NULL;
        if (stack_layer(stack, i, &diff, err) != 0) {
            return -1;
        }
        struct tree *more = tree_merge(merged, diff);
        tree_unref(merged);
        merged = more;
    }
    *out = MEM_STEAL(merged);
    return 0;
}

static void add_with_parents(struct tree_builder *b, const struct tree *merged, const char *path)
{
    AUTO(mem_freep) char *at = mem_strdup(path);
    while (at[0]) {
        const struct entry *entry = tree_find(merged, at);
        if (entry && entry->type == ENTRY_DIR) {
            tree_builder_add(b, entry);
        }
        char *up = path_parent(at);
        free(at);
        at = up;
    }
}

/* Layer INDEX has files in folders that it has no entries for. An overlay would show such a folder
 * as the layer's unpacked form has it; what it really is, the layers below say. One more layer
 * with nothing but these folders puts that right. */
static int unpack_implied_folders(struct stack *stack, size_t index, enum unpack_style style,
                                  const struct strlist *implied, struct strlist *out,
                                  struct error *err)
{
    AUTO(tree_unrefp) struct tree *merged = NULL;
    if (merge_up_to(stack, index + 1, &merged, err) != 0) {
        return -1;
    }
    struct tree_builder *b = tree_builder_new();
    for (size_t i = 0; i < implied->len; i++) {
        add_with_parents(b, merged, implied->items[i]);
    }
    AUTO(tree_unrefp) struct tree *folders = tree_builder_finish(b);
    if (tree_len(folders) == 0) {
        return 0;
    }
    struct digest chain;
    char hex[DIGEST_HEX_SIZE];
    struct layer layer = {0};
    char *path = NULL;
    chain_id(stack->layers, index + 1, &chain);
    AUTO(mem_freep) char *name = mem_printf("implied folders of %s", digest_hex(&chain, hex));
    digest_of(name, strlen(name), &layer.diff_id);
    if (unpack_layer(stack->store, &layer, folders, style, &path, err) != 0) {
        return -1;
    }
    strlist_take(out, path);
    return 0;
}

struct unpack_job {
    struct stack *stack;
    enum unpack_style style;
    char **paths; /* of each layer */
};

/* A layer of this build is at hand as a tree; others come from their blobs. */
static int unpack_blob(void *ctx, size_t index, struct error *err)
{
    struct unpack_job *job = ctx;
    struct stack *stack = job->stack;
    struct tree *diff = index < stack->base.layers_len ? NULL : stack->diffs[index];
    return unpack_layer(stack->store, &stack->layers[index], diff, job->style, &job->paths[index],
                        err);
}

static int unpack_one(void *ctx, size_t index, struct error *err)
{
    struct unpack_job *job = ctx;
    struct stack *stack = job->stack;
    return unpack_is_there(stack->store, &stack->layers[index], job->style) ||
                   layer_is_unwritten(&stack->layers[index])
               ? unpack_blob(job, index, err)
               : stack_use_layer(stack, index, unpack_blob, job, err);
}

/* Fills job->paths from FIRST on. */
static int unpack_from(struct unpack_job *job, size_t first, struct error *err)
{
    struct stack *stack = job->stack;
    size_t missing = 0;
    for (size_t i = first; i < stack->len; i++) {
        missing += !unpack_is_there(stack->store, &stack->layers[i], job->style);
    }
    return stack_each_layer(stack, first, missing, unpack_one, job, err);
}

/* Adds layer INDEX, and what stands for its implied folders, to stack->unpacked. */
static int add_unpacked(struct stack *stack, size_t index, enum unpack_style style,
                        const char *path, struct error *err)
{
    AUTO(strlist_release) struct strlist implied = {0};
    struct strlist *out = &stack->unpacked;
    const size_t before = out->len;
    strlist_add(out, path);
    if (unpack_implied(stack->store, path, &implied, err) != 0 ||
        (index > 0 && implied.len > 0 &&
         unpack_implied_folders(stack, index, style, &implied, out, err) != 0)) {
        while (out->len > before) {
            free(MEM_STEAL(out->items[--out->len]));
        }
        return -1;
    }
    stack->unpacked_len = index + 1;
    return 0;
}

/* What the last call found need not be looked for again, but somebody may have made room since. */
static void check_unpacked(struct stack *stack, enum unpack_style style)
{
    bool good = stack->unpacked_style == style;
    for (size_t i = 0; i < stack->unpacked.len && good; i++) {
        good = faccessat(store_fd(stack->store), stack->unpacked.items[i], F_OK, 0) == 0;
    }
    if (!good) {
        strlist_release(&stack->unpacked);
        stack->unpacked_len = 0;
    }
    stack->unpacked_style = style;
}

int stack_unpack(struct stack *stack, enum unpack_style style, struct strlist *out,
                 struct error *err)
{
    struct unpack_job job = {
        .stack = stack, .style = style, .paths = mem_calloc(stack->len + 1, sizeof *job.paths)};
    check_unpacked(stack, style);
    int rc = unpack_from(&job, stack->unpacked_len, err);
    for (size_t i = stack->unpacked_len; i < stack->len && rc == 0; i++) {
        rc = add_unpacked(stack, i, style, job.paths[i], err);
    }
    for (size_t i = 0; i < stack->len; i++) {
        free(job.paths[i]);
    }
    free(job.paths);
    if (rc == 0) {
        strlist_add_all(out, &stack->unpacked);
    }
    return rc;
}
