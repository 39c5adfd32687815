/* One build from request to image: what the stages share, and the two ends of it. */
#include "builder/build.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cancel.h"
#include "base/memory.h"
#include "base/thread.h"
#include "builder/build_internal.h"
#include "builder/context_use.h"
#include "builder/finish.h"
#include "builder/foreign.h"
#include "builder/lint.h"
#include "builder/lint_build.h"
#include "builder/offline.h"
#include "builder/remote_cache.h"
#include "builder/sources.h"
#include "builder/stage.h"

void build_slot_take(struct build *build)
{
    pthread_mutex_lock(&build->lock);
    while (build->slots == 0) {
        pthread_cond_wait(&build->changed, &build->lock);
    }
    build->slots--;
    pthread_mutex_unlock(&build->lock);
}

void build_slot_give(struct build *build)
{
    pthread_mutex_lock(&build->lock);
    build->slots++;
    pthread_cond_broadcast(&build->changed);
    pthread_mutex_unlock(&build->lock);
}

uint64_t build_step_number(struct build *build)
{
    pthread_mutex_lock(&build->lock);
    uint64_t number = ++build->steps;
    pthread_mutex_unlock(&build->lock);
    return number;
}

int build_check(struct build *build, struct error *err)
{
    pthread_mutex_lock(&build->lock);
    bool failed = build->failed;
    pthread_mutex_unlock(&build->lock);
    if (failed) {
        return error_set(err, ERR_CANCELLED, "another stage failed");
    }
    return cancel_requested() ? cancel_error(err) : 0;
}

void build_fail(struct build *build, const struct error *error)
{
    pthread_mutex_lock(&build->lock);
    if (!build->failed) {
        build->failed = true;
        build->error = *error;
        /* What the other stages run is of no use any more. */
        cancel_work();
    }
    pthread_cond_broadcast(&build->changed);
    pthread_mutex_unlock(&build->lock);
}

int build_rung(struct build *build, enum sandbox_rung *out, struct error *err)
{
    AUTO(mem_freep) char *why = NULL;
    pthread_mutex_lock(&build->sources_lock);
    int r = 0;
    if (!build->rung_known) {
        r = sandbox_probe(&build->rung, &why, err);
        build->rung_known = r == 0;
    }
    *out = build->rung;
    pthread_mutex_unlock(&build->sources_lock);
    if (r == 0 && *out == RUNG_NONE) {
        return error_set(err, ERR_ISOLATION, "RUN cannot be isolated on this machine: %s",
                         why ? why : "no namespaces");
    }
    return r;
}

void build_start_stage(struct build *build, size_t index)
{
    struct stage *stage = &build->stages[index];
    pthread_mutex_lock(&build->lock);
    bool start = stage->status == STAGE_IDLE;
    if (start) {
        stage->status = STAGE_RUNNING;
        stage->started = true;
    }
    pthread_mutex_unlock(&build->lock);
    if (start) {
        thread_start(&stage->thread, stage_run, stage);
    }
}

int build_need_stage(struct build *build, size_t index, struct stage **out, struct error *err)
{
    struct stage *stage = &build->stages[index];
    build_start_stage(build, index);
    pthread_mutex_lock(&build->lock);
    while (stage->status == STAGE_RUNNING) {
        pthread_cond_wait(&build->changed, &build->lock);
    }
    bool done = stage->status == STAGE_DONE;
    pthread_mutex_unlock(&build->lock);
    if (!done) {
        return error_set(err, ERR_CANCELLED, "a stage that this one needs failed");
    }
    *out = stage;
    return 0;
}

/* A RUN that this machine cannot execute ends the build before it starts. */
static int check_runs(struct build *build, const struct plan_stage *plan, struct error *err)
{
    struct platform platform = {0};
    int r = 0;
    for (size_t i = plan->first; i < plan->end; i++) {
        if (build->df->items[i].type != INSTRUCTION_RUN) {
            continue;
        }
        /* The platform of a stage is that of the image below it. */
        const struct plan_stage *root = plan;
        while (root->parent >= 0) {
            root = &build->plan.stages[root->parent];
        }
        if (root->platform && platform_parse(root->platform, &platform, err) != 0) {
            return dockerfile_locate(err, build->df->file, root->from);
        }
        r = foreign_check(root->platform ? &platform : &build->target_platform, err);
        platform_release(&platform);
        return r == 0 ? 0 : dockerfile_locate(err, build->df->file, &build->df->items[i]);
    }
    return 0;
}

/* Starts all stages that the target needs, so that they run side by side from the beginning. */
static int start_needed(struct build *build, struct error *err)
{
    AUTO(mem_freep) bool *needed = mem_calloc(build->plan.len, sizeof *needed);
    plan_mark_needed(&build->plan, build->plan.target, needed);
    for (size_t i = 0; i < build->plan.len; i++) {
        if (needed[i] && check_runs(build, &build->plan.stages[i], err) != 0) {
            return -1;
        }
    }
    if (build->request->offline && offline_check(build, needed, err) != 0) {
        return -1;
    }
    context_use_count(build, needed);
    for (size_t i = 0; i < build->plan.len; i++) {
        if (needed[i]) {
            build_start_stage(build, i);
        }
    }
    return 0;
}

/* KEY=VALUE as given, KEY from the environment. */
static void resolve_build_args(struct build *build)
{
    const struct strlist *given = &build->request->build_args;
    for (size_t i = 0; i < given->len; i++) {
        AUTO(mem_freep) char *name = mem_strdup(given->items[i]);
        char *equals = strchr(name, '=');
        if (equals) {
            *equals = '\0';
        }
        const char *value = equals ? equals + 1 : getenv(name);
        if (value) {
            strlist_env_set(&build->build_args, name, value);
        }
    }
}

/* SOURCE_DATE_EPOCH, else the commit's time, else 0. */
static int find_epoch(struct build *build, struct error *err)
{
    const char *text = strlist_env_get(&build->build_args, "SOURCE_DATE_EPOCH");
    text = text ? text : getenv("SOURCE_DATE_EPOCH");
    if (!text || !text[0]) {
        build->epoch = 0;
        context_commit_time(build->context, &build->epoch);
        return 0;
    }
    char *end = NULL;
    long long value = strtoll(text, &end, 10);
    if (*end != '\0' || value < 0 || value > 253402300799LL) {
        return error_set(err, ERR_USAGE,
                         "SOURCE_DATE_EPOCH='%s' is no number of seconds since 1970", text);
    }
    build->epoch = value;
    return 0;
}

static int find_platforms(struct build *build, const char *platform, struct error *err)
{
    platform_local(&build->build_platform);
    if (platform) {
        return platform_parse(platform, &build->target_platform, err);
    }
    platform_local(&build->target_platform);
    return 0;
}

static int make_plan(struct build *build, struct error *err)
{
    AUTO(strlist_release) struct strlist contexts = {0};
    for (size_t i = 0; i < build->request->contexts_len; i++) {
        strlist_add(&contexts, build->request->contexts[i].name);
    }
    struct plan_inputs inputs = {.build_args = &build->build_args,
                                 .contexts = &contexts,
                                 .build_platform = &build->build_platform,
                                 .target_platform = &build->target_platform,
                                 .target = build->request->target};
    return plan_make(build->df, &inputs, &build->plan, err);
}

int build_read(struct build *build, const char *platform, struct error *err)
{
    resolve_build_args(build);
    if (find_platforms(build, platform, err) != 0 ||
        context_open(build->request, &build->context, err) != 0) {
        return -1;
    }
    const struct buf *text = context_dockerfile(build->context);
    return find_epoch(build, err) != 0
               ? -1
               : dockerfile_parse(buf_text(text), text->len,
                                  context_dockerfile_name(build->context), &build->df, err);
}

int build_open(struct build *build, const char *platform, bool part_of_index, struct error *err)
{
    if (build_read(build, platform, err) != 0 || make_plan(build, err) != 0) {
        return -1;
    }
    build->stages = mem_calloc(build->plan.len, sizeof *build->stages);
    for (size_t i = 0; i < build->plan.len; i++) {
        stage_init(&build->stages[i], build, i);
    }
    for (int i = (int)build->plan.target; i >= 0; i = build->plan.stages[i].parent) {
        build->stages[i].on_target = true;
    }
    return finish_open_push(build, part_of_index, err);
}

int build_run_stages(struct build *build, struct error *err)
{
    struct stage *target = NULL;
    struct error own = {0};
    int r = start_needed(build, &own);
    if (r != 0) {
        build_fail(build, &own);
    } else {
        r = build_need_stage(build, build->plan.target, &target, &own);
    }
    for (size_t i = 0; i < build->plan.len; i++) {
        if (build->stages[i].started) {
            pthread_join(build->stages[i].thread, NULL);
        }
    }
    cancel_withdraw();
    if (r != 0 || build->failed) {
        *err = build->failed ? build->error : own;
        return -1;
    }
    return 0;
}

static void warn_unused_arguments(struct build *build)
{
    static const char *const known[] = {"SOURCE_DATE_EPOCH", "HTTP_PROXY",     "HTTPS_PROXY",
                                        "FTP_PROXY",         LINT_OPTIONS_ARG, "NO_PROXY",
                                        "ALL_PROXY"};
    for (size_t i = 0; i < build->build_args.len; i++) {
        AUTO(mem_freep) char *name = mem_strdup(build->build_args.items[i]);
        *strchrnul(name, '=') = '\0';
        bool used = strlist_has(&build->plan.declared, name) ||
                    strlist_env_get(&build->plan.automatic, name);
        for (size_t j = 0; j < ARRAY_LEN(known); j++) {
            used = used || strcasecmp(name, known[j]) == 0;
        }
        if (!used) {
            event_warning(build->events, build->df->file, 0, "no ARG takes the build argument '%s'",
                          name);
        }
    }
}

void build_release(struct build *build)
{
    for (size_t i = 0; build->stages && i < build->plan.len; i++) {
        stage_release(&build->stages[i]);
    }
    free(build->stages);
    /* Saving needs room of its own: the stages' trees are gone by now. */
    if (build->context) {
        context_save(build->context);
    }
    push_freep(&build->push);
    sources_release(build);
    plan_release(&build->plan);
    dockerfile_freep(&build->df);
    context_freep(&build->context);
    platform_release(&build->build_platform);
    platform_release(&build->target_platform);
    strlist_release(&build->build_args);
    pool_freep(&build->pool);
    pthread_mutex_destroy(&build->lock);
    pthread_mutex_destroy(&build->sources_lock);
    pthread_mutex_destroy(&build->hash_lock);
    pthread_cond_destroy(&build->changed);
}

void build_init(struct build *build, const struct build_request *request)
{
    unsigned jobs = request->jobs ? request->jobs : cpu_count();
    *build = (struct build){.request = request,
                            .store = request->store,
                            .registry = request->registry,
                            .events = request->events,
                            .slots = jobs,
                            .pool = pool_new(jobs)};
    pthread_mutex_init(&build->lock, NULL);
    pthread_mutex_init(&build->sources_lock, NULL);
    pthread_mutex_init(&build->hash_lock, NULL);
    pthread_cond_init(&build->changed, NULL);
}

static void keep_dockerfile(const struct build *build, struct build_result *result)
{
    if (build->context && !result->dockerfile_text) {
        const struct buf *text = context_dockerfile(build->context);
        result->dockerfile_name = mem_strdup(context_dockerfile_name(build->context));
        result->dockerfile_text = mem_strndup(buf_text(text), text->len);
    }
}

/* With a cache in a registry the layers may all lie elsewhere. */
static int get_contents(struct build *build, struct error *err)
{
    struct stack *stack = &build->stages[build->plan.target].stack;
    if (!build->remote || !build->request->contents) {
        return 0;
    }
    int r = stack_fetch(stack, err);
    for (size_t i = stack->base.layers_len; i < stack->len && r == 0; i++) {
        struct tree *ignored = NULL;
        r = stack_layer(stack, i, &ignored, err);
    }
    return r;
}

/* What build_one() is to make. */
struct build_order {
    const struct build_request *request;
    struct remote_cache *remote;
    const char *platform; /* NULL: this machine's */
    bool part_of_index;
    bool first; /* of several platforms */
};

/* The image for one platform. */
static int build_one(const struct build_order *order, struct build_result *result,
                     struct error *err)
{
    struct build build;
    build_init(&build, order->request);
    build.remote = order->remote;
    int r = build_open(&build, order->platform, order->part_of_index, err);
    keep_dockerfile(&build, result);
    if (r == 0) {
        r = lint_before_build(&build, err);
    }
    if (r == 0) {
        r = build_run_stages(&build, err);
        if (order->first && (r == 0 || err->code != ERR_CANCELLED)) {
            lint_after_build(&build);
        }
    }
    if (r == 0) {
        r = get_contents(&build, err);
    }
    if (r == 0) {
        warn_unused_arguments(&build);
        r = finish_image(&build, result, err);
    }
    if (r == 0 && !order->part_of_index) {
        r = finish_names(&build, result, err);
    }
    build_release(&build);
    return r;
}

/* One image for each platform, and the index over them. */
static int build_several(const struct build_request *request, struct remote_cache *remote,
                         struct build_result *result, struct error *err)
{
    const struct strlist *platforms = &request->platforms;
    struct image *images = mem_calloc(platforms->len, sizeof *images);
    struct build build;
    int r = 0;
    for (size_t i = 0; i < platforms->len && r == 0; i++) {
        const struct build_order order = {request, remote, platforms->items[i], true, i == 0};
        struct build_result one = {0};
        r = build_one(&order, &one, err);
        if (r == 0) {
            image_copy(&one.image, &images[i]);
            result->created = one.created;
        }
        if (!result->dockerfile_text) {
            result->dockerfile_name = MEM_STEAL(one.dockerfile_name);
            result->dockerfile_text = MEM_STEAL(one.dockerfile_text);
        }
        build_result_release(&one);
    }
    build_init(&build, request);
    if (r == 0) {
        r = finish_index(&build, images, platforms->len, result, err);
    }
    if (r == 0) {
        r = finish_names(&build, result, err);
    }
    build_release(&build);
    for (size_t i = 0; i < platforms->len; i++) {
        image_release(&images[i]);
    }
    free(images);
    return r;
}

static int build_all(const struct build_request *request, struct remote_cache *remote,
                     struct build_result *result, struct error *err)
{
    const struct strlist *platforms = &request->platforms;
    if (platforms->len > 1) {
        return build_several(request, remote, result, err);
    }
    const struct build_order order = {request, remote, platforms->len ? platforms->items[0] : NULL,
                                      false, true};
    return build_one(&order, result, err);
}

int build_run(const struct build_request *request, struct build_result *result, struct error *err)
{
    AUTO(remote_cache_freep) struct remote_cache *remote = NULL;
    if (remote_cache_open(request, &remote, err) != 0) {
        return -1;
    }
    int r = build_all(request, remote, result, err);
    while (r != 0 && err->code != ERR_CANCELLED && remote_cache_blame(remote)) {
        build_result_release(result);
        error_clear(err);
        r = build_all(request, remote, result, err);
    }
    remote_cache_finish(remote);
    return r;
}

void build_result_release(struct build_result *result)
{
    image_release(&result->image);
    strlist_release(&result->pushed);
    free(result->dockerfile_name);
    free(result->dockerfile_text);
    *result = (struct build_result){0};
}
