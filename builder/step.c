/* A step that may make a layer: from the cache, or made, written and remembered. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "builder/explain.h"
#include "builder/planning.h"
#include "builder/remote_cache.h"
#include "builder/stage.h"
#include "builder/step_internal.h"
#include "builder/step_layer.h"
#include "oci/config.h"

struct step_key *stage_key(struct stage *stage, const char *what)
{
    struct digest chain;
    stack_chain(&stage->stack, &chain);
    return step_key_new(&chain, &stage->build->request->layer, what);
}

/* "[builder 2/5] RUN make" */
static char *title(struct stage *stage, const struct instruction *in)
{
    const char *name = stage->plan->name;
    AUTO(mem_freep) char *number = mem_printf("%zu", stage->index);
    bool several = stage->build->plan.len > 1;
    const char *label = several ? (name ? name : number) : "";
    AUTO(mem_freep)
    char *head = mem_printf("[%s%s%zu/%zu]", label, several ? " " : "", stage->step, stage->steps);
    return mem_printf("%s %s", head, in->original);
}

static void post_start(struct stage *stage, uint64_t number, const struct instruction *in)
{
    AUTO(mem_freep) char *name = title(stage, in);
    struct event event = {.type = EVENT_STEP_START, .step = number, .name = name};
    event_post(stage->build->events, &event);
}

void step_post_end(struct stage *stage, uint64_t number, enum event_status status,
                   const struct step_result *result)
{
    AUTO(mem_freep) char *text = NULL;
    if (result && !result->empty) {
        double size = (double)result->layer.blob.size;
        text = size >= 1e6 ? mem_printf("layer of %.1f MB", size / 1e6)
                           : mem_printf("layer of %.1f kB", size / 1e3);
    }
    struct event event = {.type = EVENT_STEP_END, .step = number, .status = status, .text = text};
    event_post(stage->build->events, &event);
}

/* One that is still being written comes later (step_layer.c). */
static void push_layer(struct build *build, const struct layer *layer)
{
    if (!layer_is_unwritten(layer)) {
        push_add_blob(build->push, &layer->blob);
    }
}

/* Layers of the result go to the registry as they come, from the first new one on: until then the
 * registry may well have everything. */
static void push_layers(struct stage *stage, bool is_new)
{
    struct build *build = stage->build;
    if (!build->push || !stage->on_target) {
        return;
    }
    if (is_new && !build->pushing) {
        build->pushing = true;
        for (size_t i = 0; i < stage->stack.len; i++) {
            push_layer(build, &stage->stack.layers[i]);
        }
    } else if (build->pushing) {
        push_layer(build, &stage->stack.layers[stage->stack.len - 1]);
    }
}

/* A difference at hand, and what is to be done with it. */
struct made {
    struct tree *diff; /* where its contents can still be read; else NULL */
    bool later;        /* only its diff id is known so far */
    int lock;          /* later: of those who would make the same; -1: none */
};

/* DIFF as a layer, or, where that can wait, only its diff id. */
static int make_layer(struct stage *stage, const struct step *step, struct tree *diff,
                      struct step_result *result, struct made *made, struct error *err)
{
    struct build *build = stage->build;
    struct layer *layer = &result->layer;
    bool lasts = true;
    bool large = step_layer_is_large(diff);
    /* Large ones one at a time: each takes memory of its own. */
    if (large && step_layer_settle(stage, err) != 0) {
        return -1;
    }
    made->later = large && step->keep && step_layer_may_wait(stage, step->in);
    int r = made->later ? layer_diff_id(build->pool, diff, build->request->layer.timestamps,
                                        &layer->diff_id, err)
                        : step_layer_write(stage, diff, layer, err);
    if (r == 0 && step->keep) {
        r = step->keep(step->ctx, layer, &lasts, err);
    }
    if (r == 0 && made->later && !lasts) {
        made->later = false;
        r = step_layer_write(stage, diff, layer, err);
    }
    made->diff = r == 0 && lasts ? tree_ref(diff) : NULL;
    return r;
}

static int make(struct stage *stage, const struct step *step, uint64_t number,
                struct step_result *result, struct made *made, struct error *err)
{
    struct build *build = stage->build;
    AUTO(tree_unrefp) struct tree *diff = NULL;
    build_slot_take(build);
    int r = build_check(build, err);
    if (r == 0) {
        r = step->make(step->ctx, number, &diff, err);
    }
    result->empty = !diff || tree_len(diff) == 0;
    if (r == 0 && !result->empty) {
        r = make_layer(stage, step, diff, result, made, err);
    }
    build_slot_give(build);
    return r;
}

/* The step's place, by which the inputs of the last time are found. */
static char *place_of(const struct stage *stage)
{
    AUTO(mem_freep) char *platform = platform_format(&stage->build->target_platform);
    return mem_printf("%s|%s|%s|%zu/%zu", context_name(stage->build->context),
                      stage->build->df->file, platform, stage->index, stage->step);
}

/* Why the step is made, for --explain and plan; the caller's. */
static char *why_made(const struct stage *stage, const struct step *step)
{
    if (stage->no_cache || step->no_cache) {
        return mem_strdup("--no-cache");
    }
    AUTO(mem_freep) char *place = place_of(stage);
    return explain_miss(stage->build->store, place, step_key_inputs(step->key));
}

static int find_or_make(struct stage *stage, const struct step *step, const struct digest *key,
                        uint64_t number, struct step_result *result, struct made *made,
                        bool *cached_out, struct error *err)
{
    struct store *store = stage->build->store;
    bool use = !stage->no_cache && !step->no_cache;
    bool found = false;
    if (use && step_cache_get(store, key, &found, result, err) != 0) {
        return -1;
    }
    AUTO(store_unlockp) int lock = -1;
    /* Builds that share their context share most of their steps, too. */
    if (use && !found && (step->exclusive || stage->build->request->shared)) {
        char name[DIGEST_HEX_SIZE];
        digest_hex(key, name);
        if (store_lock(store, name, &lock, err) != 0 ||
            step_cache_get(store, key, &found, result, err) != 0) {
            return -1;
        }
    }
    if (use && !found) {
        remote_cache_get(stage->build->remote, key, &found, result);
    }
    *cached_out = found;
    if (found) {
        return 0;
    }
    if (stage->build->request->explain) {
        AUTO(mem_freep) char *why = why_made(stage, step);
        event_note(stage->build->events, "line %u is not cached: %s", step->in->line, why);
    }
    if (make(stage, step, number, result, made, err) != 0 ||
        (!made->later && step_cache_put(store, key, result, err) != 0)) {
        return -1;
    }
    if (made->later) {
        made->lock = fd_steal(&lock);
    }
    AUTO(mem_freep) char *place = place_of(stage);
    explain_remember(store, place, step_key_inputs(step->key));
    return 0;
}

/* Planning: takes what the cache has, or notes why it has nothing. */
static int plan_step(struct stage *stage, const struct step *step, struct error *err)
{
    struct digest key;
    struct step_result result = {0};
    bool found = false;
    if (stage->stale) {
        planning_note(stage, step->in, PLANNED_WAITS, NULL);
        return 0;
    }
    step_key_finish(step->key, &key);
    if (!stage->no_cache && !step->no_cache &&
        step_cache_get(stage->build->store, &key, &found, &result, err) != 0) {
        return -1;
    }
    if (!found) {
        AUTO(mem_freep) char *why = why_made(stage, step);
        planning_note(stage, step->in, PLANNED_RUN, why);
        stage->stale = true;
        return 0;
    }
    if (!result.empty) {
        stack_push(&stage->stack, &result.layer, NULL);
    }
    planning_note(stage, step->in, PLANNED_CACHED, NULL);
    return 0;
}

/* Adds RESULT to the stage. DIFF may be NULL. */
static void add_result(struct stage *stage, const struct step *step,
                       const struct step_result *result, struct tree *diff, bool cached)
{
    if (!result->empty) {
        stack_push(&stage->stack, &result->layer, diff);
        push_layers(stage, !cached);
    }
    config_add_history(stage->config, stage->build->epoch, step->created_by, result->empty);
}

int step_keep_result(struct stage *stage, const struct step_names *names,
                     const struct step_result *result, struct error *err)
{
    struct remote_result made = {names->key, result, names->created_by, &stage->platform};
    remote_cache_put(stage->build->remote, &made);
    if (!names->also) {
        return 0;
    }
    made.key = names->also;
    remote_cache_put(stage->build->remote, &made);
    return step_cache_put(stage->build->store, names->also, result, err);
}

int stage_step_known(struct stage *stage, const struct step *step, const struct digest *key,
                     bool *taken_out, struct error *err)
{
    struct step_result result = {0};
    bool found = false;
    *taken_out = false;
    if (stage->build->dry || stage->no_cache || step->no_cache) {
        return 0;
    }
    if (step_cache_get(stage->build->store, key, &found, &result, err) != 0) {
        return -1;
    }
    if (!found) {
        remote_cache_get(stage->build->remote, key, &found, &result);
    }
    if (!found) {
        return 0;
    }
    uint64_t number = build_step_number(stage->build);
    stage->step++;
    post_start(stage, number, step->in);
    add_result(stage, step, &result, NULL, true);
    step_post_end(stage, number, STATUS_CACHED, &result);
    *taken_out = true;
    const struct step_names names = {key, step->also, step->created_by};
    return step_keep_result(stage, &names, &result, err);
}

int stage_step(struct stage *stage, const struct step *step, struct error *err)
{
    struct digest key;
    struct step_result result = {0};
    struct made made = {.lock = -1};
    bool cached = false;
    stage->step++;
    if (stage->build->dry) {
        return plan_step(stage, step, err);
    }
    uint64_t number = build_step_number(stage->build);
    step_key_finish(step->key, &key);
    post_start(stage, number, step->in);
    if (find_or_make(stage, step, &key, number, &result, &made, &cached, err) != 0) {
        tree_unref(made.diff);
        step_post_end(stage, number, err->code == ERR_CANCELLED ? STATUS_CANCELLED : STATUS_FAILED,
                      NULL);
        return -1;
    }
    const struct step_names names = {&key, step->also, step->created_by};
    add_result(stage, step, &result, made.diff, cached);
    int r = 0;
    if (made.later) {
        step_layer_start(stage, step->in, number, &names, made.diff, &result, made.lock);
    } else {
        step_post_end(stage, number, cached ? STATUS_CACHED : STATUS_DONE, &result);
        r = step_keep_result(stage, &names, &result, err);
    }
    tree_unref(made.diff);
    return r;
}
