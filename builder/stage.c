/* A stage's life: what it starts from, its triggers, its instructions one after the other. */
#include "builder/stage.h"

#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/memory.h"
#include "base/path.h"
#include "builder/context_use.h"
#include "builder/hash_ahead.h"
#include "builder/missing.h"
#include "builder/planning.h"
#include "builder/sources.h"
#include "builder/step_layer.h"
#include "oci/config.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

void stage_init(struct stage *stage, struct build *build, size_t index)
{
    stage->build = build;
    stage->index = index;
    stage->plan = &build->plan.stages[index];
    pthread_mutex_init(&stage->stack_lock, NULL);
    const struct strlist *filter = &build->request->no_cache_filter;
    stage->no_cache =
        build->request->no_cache || (stage->plan->name && strlist_has(filter, stage->plan->name));
}

void stage_release(struct stage *stage)
{
    pthread_mutex_destroy(&stage->stack_lock);
    stack_release(&stage->stack);
    json_freep(&stage->config);
    json_freep(&stage->base_config);
    platform_release(&stage->platform);
    strlist_release(&stage->env);
    strlist_release(&stage->args);
    strlist_release(&stage->unset);
    strlist_release(&stage->under);
    strlist_release(&stage->shell);
    free(stage->workdir);
    stage->workdir = NULL;
    planning_release(stage->planned, stage->planned_len);
}

const char *stage_variable(const struct stage *stage, const char *name)
{
    const char *arg = strlist_env_get(&stage->args, name);
    return arg && !strlist_has(&stage->under, name) ? arg : strlist_env_get(&stage->env, name);
}

static const char *lookup(void *ctx, const char *name)
{
    return stage_variable(ctx, name);
}

struct expander stage_expander(struct stage *stage)
{
    return (struct expander){.get = lookup, .ctx = stage, .escape = stage->build->df->escape};
}

int stage_locate(struct stage *stage, const struct instruction *in, const char *word,
                 struct error *err)
{
    const struct dockerfile *df = stage->build->df;
    return dockerfile_locate_word(err, df->file, df->text, in, word);
}

int stage_locate_flag(struct stage *stage, const struct instruction *in, const char *name,
                      struct error *err)
{
    const char *file = stage->build->df->file;
    return dockerfile_locate_flag(err, file, in, instruction_find_flag(in, name));
}

/* Names the place of an expansion's error, and the scene. */
static int expansion_failed(struct stage *stage, const struct instruction *in, const char *word,
                            struct error *err)
{
    const struct dockerfile *df = stage->build->df;
    dockerfile_locate_expansion(err, df->file, df->text, in, word);
    return error_wrap(err, "%s %.80s", instruction_name(in->type), word);
}

int stage_expand(struct stage *stage, const struct instruction *in, const char *word, char **out,
                 struct error *err)
{
    struct expander x = stage_expander(stage);
    return expand_word(&x, word, out, err) == 0 ? 0 : expansion_failed(stage, in, word, err);
}

int stage_expand_words(struct stage *stage, const struct instruction *in, const char *word,
                       struct strlist *out, struct error *err)
{
    struct expander x = stage_expander(stage);
    return expand_words(&x, word, out, err) == 0 ? 0 : expansion_failed(stage, in, word, err);
}

char *stage_path(const struct stage *stage, const char *path)
{
    AUTO(mem_freep) char *joined = path_join(stage->workdir, path);
    size_t len = strlen(path);
    bool folder = (len > 0 && path[len - 1] == '/') || strcmp(path, ".") == 0 ||
                  (len > 1 && strcmp(path + len - 2, "/.") == 0);
    return mem_printf("/%s%s", joined, folder && joined[0] ? "/" : "");
}

int stage_owner(struct stage *stage, struct tree *tree, const char *text, struct owner *out,
                struct error *err)
{
    const char *missing = NULL;
    if (!account_is_numeric(text) && (!tree || stage->stack.len == 0)) {
        return error_set(err, ERR_USAGE,
                         "'%.200s' cannot be looked up where there are no files; write numbers",
                         text);
    }
    if (account_owner(tree, text, out, &missing, err) != 0) {
        return -1;
    }
    if (missing) {
        event_warning(stage->build->events, NULL, 0,
                      "'%.200s' is not in the image's /etc/passwd or /etc/group: root takes its "
                      "place",
                      missing);
    }
    return 0;
}

void stage_note(struct stage *stage, const char *created_by)
{
    config_add_history(stage->config, stage->build->epoch, created_by, true);
}

/* The variables that the base's config brings. */
static void take_config(struct stage *stage)
{
    config_get_list(stage->config, "Env", &stage->env);
    if (!strlist_env_get(&stage->env, "PATH")) {
        strlist_env_set(&stage->env, "PATH", DEFAULT_PATH);
        config_set_list(stage->config, "Env", &stage->env);
    }
    for (size_t i = 0; i < stage->args.len;
         i++) { /* the config's ENV comes after the parent's ARG */
        AUTO(mem_freep) char *name = mem_strdup(stage->args.items[i]);
        *strchrnul(name, '=') = '\0';
        if (strlist_env_get(&stage->env, name)) {
            strlist_add(&stage->under, name);
        }
    }
    config_get_list(stage->config, "Shell", &stage->shell);
    if (stage->shell.len == 0) {
        strlist_add(&stage->shell, "/bin/sh");
        strlist_add(&stage->shell, "-c");
    }
    stage->workdir = path_clean_absolute(config_get_text(stage->config, "WorkingDir"));
    platform_release(&stage->platform);
    config_platform(stage->config, &stage->platform);
}

static int from_parent(struct stage *stage, struct error *err)
{
    struct stage *parent = NULL;
    if (build_need_stage(stage->build, (size_t)stage->plan->parent, &parent, err) != 0) {
        return -1;
    }
    pthread_mutex_lock(&parent->stack_lock);
    stack_copy(&parent->stack, &stage->stack);
    pthread_mutex_unlock(&parent->stack_lock);
    stage->config = config_inherit(parent->config);
    strlist_add_all(&stage->args, &parent->args);
    strlist_add_all(&stage->unset, &parent->unset);
    stage->stale = parent->stale;
    return 0;
}

static int from_image(struct stage *stage, struct error *err)
{
    struct platform platform = {0};
    if (stage->plan->platform && !stage->plan->scratch) {
        if (platform_parse(stage->plan->platform, &platform, err) != 0) {
            stage_locate_flag(stage, stage->plan->from, "platform", err);
            return error_wrap(err, "FROM --platform");
        }
    } else {
        platform_copy(&stage->build->target_platform, &platform);
    }
    int r = 0;
    if (stage->plan->scratch) {
        stack_init(&stage->stack, stage->build->store, stage->build->registry);
        stage->config = config_new(&platform);
    } else {
        AUTO(json_freep) json_t *config = NULL;
        r = source_base_image(stage->build, stage->plan->base, &platform, &stage->stack, &config,
                              err);
        if (r == 0) {
            stage->config = config_inherit(config);
            stage->base_config = MEM_STEAL(config);
        } else {
            missing_image(stage, stage->plan->base, err);
        }
    }
    platform_release(&platform);
    return r;
}

static int start_from(struct stage *stage, struct error *err)
{
    int r = stage->plan->parent >= 0 ? from_parent(stage, err) : from_image(stage, err);
    if (r != 0) {
        return stage_locate(stage, stage->plan->from, stage->plan->from->args.items[0], err);
    }
    take_config(stage);
    return 0;
}

static int dispatch(struct stage *stage, const struct instruction *in, struct error *err)
{
    switch (in->type) {
    case INSTRUCTION_ARG:
        return stage_arg(stage, in, err);
    case INSTRUCTION_COPY:
    case INSTRUCTION_ADD:
        return stage_copy(stage, in, err);
    case INSTRUCTION_RUN:
        return stage_run_command(stage, in, err);
    case INSTRUCTION_WORKDIR:
        return stage_workdir(stage, in, err);
    default:
        return stage_meta(stage, in, err);
    }
}

static int one_instruction(struct stage *stage, const struct instruction *in, struct error *err)
{
    bool skip = false;
    if (build_check(stage->build, err) != 0) {
        return -1;
    }
    if ((stage->build->dry && planning_waits(stage, in, &skip, err) != 0) ||
        (!skip && dispatch(stage, in, err) != 0)) {
        return dockerfile_locate(err, stage->build->df->file, in);
    }
    return 0;
}

void stage_leave_context(struct stage *stage)
{
    if (stage->uses_context) {
        stage->uses_context = false;
        context_use_end(stage->build);
    }
}

/* The ONBUILD of this file behind the trigger TEXT; NULL: it is an image's. */
static const struct instruction *find_onbuild(const struct stage *stage, const char *text)
{
    const struct plan *plan = &stage->build->plan;
    const struct plan_stage *parent =
        stage->plan->parent >= 0 ? &plan->stages[stage->plan->parent] : NULL;
    for (size_t i = parent ? parent->first : 0; parent && i < parent->end; i++) {
        const struct instruction *in = &stage->build->df->items[i];
        if (in->type == INSTRUCTION_ONBUILD && strcmp(in->trigger_text, text) == 0) {
            return in;
        }
    }
    return NULL;
}

/* Says of the trigger IN that it stands where ONBUILD has it. */
static void place_trigger(struct instruction *in, const struct instruction *onbuild)
{
    const struct instruction *written = onbuild->trigger;
    if (!written || written->flags_len != in->flags_len) {
        return;
    }
    in->line = written->line;
    in->column = written->column;
    in->end_line = written->end_line;
    for (size_t i = 0; i < in->flags_len; i++) {
        in->flags[i].line = written->flags[i].line;
        in->flags[i].column = written->flags[i].column;
        in->flags[i].width = written->flags[i].width;
    }
}

/* Where a trigger comes from, and what it is. ONBUILD is of this file, or NULL: then the place is
 * the base's in FROM. */
static int trigger_failed(struct stage *stage, const char *text, const struct instruction *onbuild,
                          struct error *err)
{
    const struct instruction *from = stage->plan->from;
    if (onbuild && onbuild->trigger_fault) {
        *err = *onbuild->trigger_fault;
    } else if (!err->column) {
        err->line = 0;
        if (onbuild) {
            stage_locate(stage, onbuild, onbuild->args.items[0], err);
        } else {
            stage_locate(stage, from, from->args.items[0], err);
        }
    }
    if (onbuild) {
        return error_wrap(err, "ONBUILD of '%s', triggered by FROM in line %u", stage->plan->base,
                          from->line);
    }
    int first = (int)strcspn(text, "\n");
    return error_wrap(err, "trigger '%.*s%s' of the base '%s'", first < 200 ? first : 200, text,
                      first < 200 && !text[first] ? "" : " ...", stage->plan->base);
}

/* ONBUILD instructions of the base come before the stage's own. */
static int run_triggers(struct stage *stage, struct error *err)
{
    AUTO(strlist_release) struct strlist triggers = {0};
    config_get_list(stage->config, "OnBuild", &triggers);
    config_set_list(stage->config, "OnBuild", NULL);
    stage->steps += triggers.len;
    const struct instruction *from = stage->plan->from;
    for (size_t i = 0; i < triggers.len; i++) {
        AUTO(dockerfile_freep) struct dockerfile *df = NULL;
        const char *text = triggers.items[i];
        const struct instruction *onbuild = find_onbuild(stage, text);
        if (dockerfile_parse_trigger(text, stage->build->df->file, from->line, &df, err) != 0) {
            return trigger_failed(stage, text, onbuild, err);
        }
        if (onbuild) {
            place_trigger(&df->items[0], onbuild);
        }
        if (one_instruction(stage, &df->items[0], err) != 0) {
            return trigger_failed(stage, text, onbuild, err);
        }
    }
    return 0;
}

/* How many steps the display counts: those that may make a layer. */
static size_t count_steps(const struct stage *stage)
{
    size_t count = 0;
    for (size_t i = stage->plan->first; i < stage->plan->end; i++) {
        enum instruction_type type = stage->build->df->items[i].type;
        count += type == INSTRUCTION_COPY || type == INSTRUCTION_ADD || type == INSTRUCTION_RUN ||
                 type == INSTRUCTION_WORKDIR;
    }
    return count;
}

static int run_all(struct stage *stage, struct error *err)
{
    const struct dockerfile *df = stage->build->df;
    stage->steps = count_steps(stage);
    hash_ahead_of_base(stage);
    if (start_from(stage, err) != 0) {
        return -1;
    }
    hash_ahead_of_workdir(stage);
    if (run_triggers(stage, err) != 0) {
        return -1;
    }
    if (!stage->build->dry) {
        context_use_end(stage->build);
    }
    for (size_t i = stage->plan->first; i < stage->plan->end; i++) {
        stage->uses_context = !stage->build->dry && context_use_is_one(&df->items[i]);
        if (one_instruction(stage, &df->items[i], err) != 0) {
            return -1;
        }
        stage_leave_context(stage);
    }
    return 0;
}

void *stage_run(void *arg)
{
    struct stage *stage = arg;
    struct build *build = stage->build;
    struct error err = {0};
    struct error also = {0};
    int r = run_all(stage, &err);
    /* Also where a later step failed: what a long command made is there for the next time. */
    int settled = step_layer_settle(stage, r == 0 ? &err : &also);
    r = r == 0 ? settled : r;
    hash_ahead_wait(stage);
    if (r != 0) {
        build_fail(build, &err);
    }
    pthread_mutex_lock(&build->lock);
    stage->status = r == 0 ? STAGE_DONE : STAGE_FAILED;
    pthread_cond_broadcast(&build->changed);
    pthread_mutex_unlock(&build->lock);
    return NULL;
}
