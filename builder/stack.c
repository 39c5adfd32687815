/* The layers of a stage, and the tree they add up to. */
#include "builder/stack.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/path.h"
#include "base/thread.h"
#include "oci/incoming.h"

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

bool layer_is_unwritten(const struct layer *layer)
{
    return layer->blob.media_type[0] == '\0';
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

/* The blob of layer INDEX where only its content will do: from its origin. Any thread. */
static int fetch_layer(struct stack *stack, size_t index, struct error *err)
{
    size_t below = stack->base.layers_len;
    const struct image own = {.layers = stack->layers, .layers_len = stack->len};
    return registry_get_layer(stack->registry, index < below ? &stack->base : &own, index, err);
}

/* A layer that is being fetched while it is used. */
struct fetching {
    struct stack *stack;
    size_t index;
    struct incoming *incoming;
    int rc;
    struct error err;
};

static void *fetch_thread(void *arg)
{
    struct fetching *f = arg;
    f->rc = fetch_layer(f->stack, f->index, &f->err);
    incoming_over(f->incoming);
    return NULL;
}

int stack_use_layer(struct stack *stack, size_t index, stack_use_fn use, void *ctx,
                    struct error *err)
{
    const struct digest *digest = &stack->layers[index].blob.digest;
    if (store_has_blob(stack->store, digest, NULL)) {
        return use(ctx, index, err);
    }
    AUTO(incoming_freep) struct incoming *incoming = store_expect(stack->store, digest);
    struct fetching fetching = {.stack = stack, .index = index, .incoming = incoming};
    pthread_t thread;
    thread_start(&thread, fetch_thread, &fetching);
    int rc = use(ctx, index, err);
    pthread_join(thread, NULL);
    if (fetching.rc != 0) {
        *err = fetching.err;
        return -1;
    }
    /* What was read along may have been dropped; now it is all there. */
    incoming_freep(&incoming);
    if (rc != 0 && err->code != ERR_CANCELLED) {
        error_clear(err);
        rc = use(ctx, index, err);
    }
    return rc;
}

struct each_job {
    struct stack *stack;
    stack_use_fn use;
    void *ctx;
    atomic_size_t next;
    pthread_mutex_t lock;
    bool failed;
    struct error err;
};

static void *each_thread(void *arg)
{
    struct each_job *job = arg;
    for (;;) {
        size_t index = atomic_fetch_add(&job->next, 1);
        struct error err = {0};
        if (index >= job->stack->len) {
            return NULL;
        }
        if (job->use(job->ctx, index, &err) != 0) {
            pthread_mutex_lock(&job->lock);
            if (!job->failed) {
                job->failed = true;
                job->err = err;
            }
            pthread_mutex_unlock(&job->lock);
            atomic_store(&job->next, job->stack->len);
        }
    }
}

int stack_each_layer(struct stack *stack, size_t first, size_t at_once, stack_use_fn use, void *ctx,
                     struct error *err)
{
    struct each_job job = {.stack = stack, .use = use, .ctx = ctx, .next = first};
    pthread_t threads[STACK_AT_ONCE];
    size_t started = 0;
    pthread_mutex_init(&job.lock, NULL);
    while (started + 1 < at_once && started + 1 < STACK_AT_ONCE) {
        thread_start(&threads[started++], each_thread, &job);
    }
    each_thread(&job);
    for (size_t i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_mutex_destroy(&job.lock);
    if (job.failed) {
        *err = job.err;
        return -1;
    }
    return 0;
}

static int read_layer(void *ctx, size_t index, struct error *err)
{
    struct stack *stack = ctx;
    return layer_tree(stack->store, &stack->layers[index], &stack->diffs[index], err);
}

int stack_layer(struct stack *stack, size_t index, struct tree **out, struct error *err)
{
    if (!stack->diffs[index] && stack_use_layer(stack, index, read_layer, stack, err) != 0) {
        return -1;
    }
    *out = stack->diffs[index];
    return 0;
}

static int read_one(void *ctx, size_t index, struct error *err)
{
    struct tree *ignored = NULL;
    return stack_layer(ctx, index, &ignored, err);
}

/* Reads the layers from FIRST on that are not at hand as trees, several at once where their blobs
 * have to be fetched. */
static int read_layers(struct stack *stack, size_t first, struct error *err)
{
    size_t missing = 0;
    for (size_t i = first; i < stack->len; i++) {
        missing += !store_has_blob(stack->store, &stack->layers[i].blob.digest, NULL);
    }
    return stack_each_layer(stack, first, missing, read_one, stack, err);
}

int stack_tree(struct stack *stack, struct tree **out, struct error *err)
{
    if (!stack->merged) {
        stack->merged = tree_empty();
        stack->merged_len = 0;
    }
    if (read_layers(stack, stack->merged_len, err) != 0) {
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
