#include "builder/step_layer.h"

#include <stdlib.h>

#include "base/limits.h"
#include "base/memory.h"
#include "base/thread.h"
#include "builder/step_internal.h"

/* Less is written before a thread has begun. */
#define LARGE_BYTES (8 * MIB)

struct later {
    struct stage *stage;
    const struct instruction *in;
    uint64_t number;
    struct tree *diff;
    struct step_result result; /* its blob: once the thread has ended */
    size_t index;              /* of the layer in the stage's stack */
    struct digest key;
    struct digest also; /* where has_also */
    bool has_also;
    char *created_by;
    int lock; /* of those who would make the same; -1: none */
    pthread_t thread;
    int rc;
    struct error err;
};

/* A layer that goes up while it is written. */
struct going_up {
    struct push_ahead *ahead;
    struct digest digest; /* where is_done */
    bool is_done;
};

static void layer_grown(void *ctx, int fd, const struct digest *like)
{
    push_ahead_grown(((struct going_up *)ctx)->ahead, fd, like);
}

static void layer_done(void *ctx, const struct digest *digest)
{
    struct going_up *up = ctx;
    up->digest = *digest;
    up->is_done = true;
}

int step_layer_write(struct stage *stage, struct tree *diff, struct layer *out, struct error *err)
{
    struct build *build = stage->build;
    struct layer_options options = build->request->layer;
    struct going_up up = {0};
    const struct layer_follower follower = {layer_grown, layer_done, &up};
    if (build->push && stage->on_target) {
        up.ahead = push_ahead_begin(build->push);
        options.follower = &follower;
    }
    int r = layer_write(build->store, build->pool, diff, &options, out, err);
    if (up.ahead) {
        push_ahead_end(up.ahead, r == 0 && up.is_done ? &up.digest : NULL);
    }
    return r;
}

bool step_layer_is_large(const struct tree *diff)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < tree_len(diff); i++) {
        const struct entry *entry = tree_at(diff, i);
        bytes += entry->type == ENTRY_FILE ? entry->size : 0;
    }
    return bytes >= LARGE_BYTES;
}

/* Triggers are of no file: none is found. */
bool step_layer_may_wait(const struct stage *stage, const struct instruction *in)
{
    const struct instruction *items = stage->build->df->items;
    bool found = false;
    bool runs = false;
    for (size_t i = stage->plan->first; i < stage->plan->end; i++) {
        runs = runs || (found && items[i].type == INSTRUCTION_RUN);
        found = found || &items[i] == in;
    }
    return runs;
}

static int write_and_remember(struct later *l, struct error *err)
{
    struct build *build = l->stage->build;
    struct layer layer = {0};
    if (step_layer_write(l->stage, l->diff, &layer, err) != 0) {
        return -1;
    }
    if (!digest_equal(&layer.diff_id, &l->result.layer.diff_id)) {
        return error_set(err, ERR_STORE, "the step's files changed while its layer was written");
    }
    l->result.layer = layer;
    if (step_cache_put(build->store, &l->key, &l->result, err) != 0) {
        return -1;
    }
    /* Before a cache in the same registry wants it, which then has it mounted. */
    if (build->push && l->stage->on_target) {
        push_add_blob(build->push, &layer.blob);
    }
    const struct step_names names = {&l->key, l->has_also ? &l->also : NULL, l->created_by};
    return step_keep_result(l->stage, &names, &l->result, err);
}

static void *later_thread(void *arg)
{
    struct later *l = arg;
    l->rc = write_and_remember(l, &l->err);
    store_unlockp(&l->lock);
    enum event_status status = l->rc == 0                     ? STATUS_DONE
                               : l->err.code == ERR_CANCELLED ? STATUS_CANCELLED
                                                              : STATUS_FAILED;
    step_post_end(l->stage, l->number, status, l->rc == 0 ? &l->result : NULL);
    return NULL;
}

void step_layer_start(struct stage *stage, const struct instruction *in, uint64_t number,
                      const struct step_names *names, struct tree *diff,
                      const struct step_result *result, int lock)
{
    struct later *l = mem_calloc(1, sizeof *l);
    *l = (struct later){.stage = stage,
                        .in = in,
                        .number = number,
                        .diff = tree_ref(diff),
                        .result = *result,
                        .index = stage->stack.len - 1,
                        .key = *names->key,
                        .has_also = names->also != NULL,
                        .created_by = mem_strdup(names->created_by),
                        .lock = lock};
    if (names->also) {
        l->also = *names->also;
    }
    stage->later = l;
    thread_start(&l->thread, later_thread, l);
}

int step_layer_settle(struct stage *stage, struct error *err)
{
    struct later *l = stage->later;
    if (!l) {
        return 0;
    }
    stage->later = NULL;
    pthread_join(l->thread, NULL);
    int rc = l->rc;
    if (rc == 0) {
        pthread_mutex_lock(&stage->stack_lock);
        stage->stack.layers[l->index].blob = l->result.layer.blob;
        pthread_mutex_unlock(&stage->stack_lock);
    } else {
        *err = l->err;
        dockerfile_locate(err, stage->build->df->file, l->in);
    }
    tree_unref(l->diff);
    free(l->created_by);
    free(l);
    return rc;
}
