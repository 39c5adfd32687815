/* The stages of a Dockerfile. */
#include "builder/plan.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "builder/expand.h"
#include "builder/mount.h"
#include "builder/plan_internal.h"

void plan_release(struct plan *plan)
{
    for (size_t i = 0; i < plan->len; i++) {
        free(plan->stages[i].base);
        free(plan->stages[i].platform);
    }
    free(plan->stages);
    strlist_release(&plan->globals);
    strlist_release(&plan->automatic);
    strlist_release(&plan->declared);
    *plan = (struct plan){0};
}

static void add_platform(struct strlist *out, const char *prefix, const struct platform *p)
{
    AUTO(mem_freep) char *text = platform_format(p);
    strlist_addf(out, "%sPLATFORM=%s", prefix, text);
    strlist_addf(out, "%sOS=%s", prefix, p->os);
    strlist_addf(out, "%sARCH=%s", prefix, p->architecture);
    strlist_addf(out, "%sVARIANT=%s", prefix, p->variant ? p->variant : "");
    strlist_addf(out, "%sOSVERSION=", prefix); /* Windows has one */
}

/* FROM and global ARGs see the global ARGs, then the automatic ones. */
static const char *lookup_global(void *ctx, const char *name)
{
    const struct plan *plan = ctx;
    const char *value = strlist_env_get(&plan->globals, name);
    return value ? value : strlist_env_get(&plan->automatic, name);
}

static int expand_global(struct plan *plan, const struct instruction *in, const char *word,
                         char **out, struct error *err)
{
    struct expander x = {.get = lookup_global, .ctx = plan, .escape = plan->df->escape};
    if (expand_word(&x, word, out, err) != 0) {
        dockerfile_locate_expansion(err, plan->df->file, plan->df->text, in, word);
        return error_wrap(err, "%s %.80s", instruction_name(in->type), word);
    }
    return 0;
}

static int global_arg(struct plan *plan, const struct instruction *in,
                      const struct plan_inputs *inputs, struct error *err)
{
    for (size_t i = 0; i < in->pairs_len; i++) {
        const struct pair *pair = &in->pairs[i];
        AUTO(mem_freep) char *value = NULL;
        /* The name is as it stands; a default that does not count is not looked at. */
        const char *given = strlist_env_get(inputs->build_args, pair->key);
        if (!given && pair->value && expand_global(plan, in, pair->value, &value, err) != 0) {
            return -1;
        }
        strlist_add(&plan->declared, pair->key);
        if (given || value) {
            strlist_env_set(&plan->globals, pair->key, given ? given : value);
        }
    }
    return 0;
}

/* The latest stage before LIMIT that is called NAME in whatever case, -1 if none. */
static int stage_by_name(const struct plan *plan, const char *name, size_t limit)
{
    for (size_t i = limit; i > 0; i--) {
        const char *have = plan->stages[i - 1].name;
        if (have && strcasecmp(have, name) == 0) {
            return (int)(i - 1);
        }
    }
    return -1;
}

/* The stage that FROM NAME starts from, -1: none. Unlike --from, FROM looks at the case. */
static int parent_by_name(const struct plan *plan, const char *name)
{
    for (size_t i = plan->len; i > 0; i--) {
        const char *have = plan->stages[i - 1].name;
        if (have && strcmp(have, name) == 0) {
            return (int)(i - 1);
        }
    }
    return -1;
}

/* --platform as it is after expansion, which must be one. */
static int read_platform(struct plan *plan, const struct instruction *in, char **out,
                         struct error *err)
{
    AUTO(mem_freep) char *text = NULL;
    struct platform platform = {0};
    if (!in->platform || !in->platform[0]) {
        return 0;
    }
    if (expand_global(plan, in, in->platform, &text, err) != 0) {
        return -1;
    }
    int r = text[0] ? platform_parse(text, &platform, err)
                    : error_set(err, ERR_USAGE, "'%.80s' is empty", in->platform);
    platform_release(&platform);
    if (r != 0) {
        dockerfile_locate_flag(err, plan->df->file, in, instruction_find_flag(in, "platform"));
        return error_wrap(err, "FROM --platform");
    }
    *out = MEM_STEAL(text);
    return 0;
}

static int from_stage(struct plan *plan, const struct instruction *in,
                      const struct plan_inputs *inputs, struct error *err)
{
    if (in->args.len != 1) {
        error_set(err, ERR_USAGE, "FROM needs one image");
        return dockerfile_locate(err, plan->df->file, in);
    }
    AUTO(mem_freep) char *base = NULL;
    AUTO(mem_freep) char *platform = NULL;
    if (expand_global(plan, in, in->args.items[0], &base, err) != 0 ||
        read_platform(plan, in, &platform, err) != 0) {
        return -1;
    }
    if (!base[0]) {
        error_set(err, ERR_USAGE,
                  "FROM %s: the name of the image is empty; give the ARG a default before the "
                  "first FROM or pass --build-arg",
                  in->args.items[0]);
        return dockerfile_locate_word(err, plan->df->file, plan->df->text, in, in->args.items[0]);
    }
    plan->stages = mem_realloc(plan->stages, plan->len + 1, sizeof *plan->stages);
    struct plan_stage *stage = &plan->stages[plan->len];
    *stage = (struct plan_stage){.from = in, .name = in->stage_name, .parent = -1};
    if (!strlist_has(inputs->contexts, base)) {
        stage->parent = parent_by_name(plan, base);
        stage->scratch = stage->parent < 0 && strcmp(base, "scratch") == 0;
    }
    stage->base = MEM_STEAL(base);
    stage->platform = MEM_STEAL(platform);
    plan->len++;
    return 0;
}

static bool read_number(const char *text, size_t *out)
{
    size_t value = 0;
    for (const char *p = text; *p; p++) {
        if (!isdigit((unsigned char)*p) || value > 100000) {
            return false;
        }
        value = value * 10 + (size_t)(*p - '0');
    }
    *out = value;
    return text[0] != '\0';
}

static int find_target(struct plan *plan, const char *target, struct error *err)
{
    plan->target = plan->len - 1;
    if (!target || !target[0]) {
        return 0;
    }
    size_t number = 0;
    int index = stage_by_name(plan, target, plan->len);
    if (index < 0 && read_number(target, &number) && number < plan->len) {
        index = (int)number;
    }
    if (index >= 0) {
        plan->target = (size_t)index;
        return 0;
    }
    AUTO(strlist_release) struct strlist names = {0};
    for (size_t i = 0; i < plan->len; i++) {
        if (plan->stages[i].name) {
            strlist_add(&names, plan->stages[i].name);
        }
    }
    const char *near = nearest_name(target, (const char *const *)names.items, names.len);
    error_set(err, ERR_USAGE, "%s has no stage '%s'%s%s%s", plan->df->file, target,
              near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    return -1;
}

/* What TARGETSTAGE is: the target as given, else the last stage's name. */
static const char *target_name(const struct plan *plan, const struct plan_inputs *inputs)
{
    if (inputs->target && inputs->target[0]) {
        return inputs->target;
    }
    for (size_t i = plan->df->len; i > 0; i--) {
        const struct instruction *in = &plan->df->items[i - 1];
        if (in->type == INSTRUCTION_FROM) {
            return in->stage_name ? in->stage_name : "default";
        }
    }
    return "default";
}

/* The automatic value of TARGETSTAGE, and platforms. */
static void set_automatic(struct plan *plan, const struct plan_inputs *inputs)
{
    add_platform(&plan->automatic, "BUILD", inputs->build_platform);
    add_platform(&plan->automatic, "TARGET", inputs->target_platform);
    strlist_addf(&plan->automatic, "TARGETSTAGE=%s", target_name(plan, inputs));
    for (size_t i = 0; i < inputs->build_args->len; i++) {
        AUTO(mem_freep) char *name = mem_strdup(inputs->build_args->items[i]);
        *strchrnul(name, '=') = '\0';
        if (strlist_env_get(&plan->automatic, name)) {
            strlist_env_set(&plan->automatic, name, strlist_env_get(inputs->build_args, name));
        }
    }
}

int plan_make_globals(const struct dockerfile *df, const struct plan_inputs *inputs,
                      struct plan *out, struct error *err)
{
    struct plan plan = {.df = df};
    set_automatic(&plan, inputs);
    for (size_t i = 0; i < df->len && df->items[i].type == INSTRUCTION_ARG; i++) {
        if (global_arg(&plan, &df->items[i], inputs, err) != 0) {
            plan_release(&plan);
            return -1;
        }
    }
    *out = plan;
    return 0;
}

int plan_make(const struct dockerfile *df, const struct plan_inputs *inputs, struct plan *out,
              struct error *err)
{
    struct plan plan = {.df = df};
    set_automatic(&plan, inputs);
    int r = 0;
    for (size_t i = 0; i < df->len && r == 0; i++) {
        const struct instruction *in = &df->items[i];
        if (in->type == INSTRUCTION_FROM) {
            r = from_stage(&plan, in, inputs, err);
            if (r == 0) {
                plan.stages[plan.len - 1].first = i + 1;
                plan.stages[plan.len - 1].end = i + 1;
            }
        } else if (plan.len > 0) {
            plan.stages[plan.len - 1].end = i + 1;
        } else if (in->type == INSTRUCTION_ARG) {
            r = global_arg(&plan, in, inputs, err);
        } else {
            error_set(err, ERR_USAGE, "%s stands before the first FROM; only ARG may",
                      instruction_name(in->type));
            r = dockerfile_locate(err, df->file, in);
        }
    }
    if (r == 0 && plan.len == 0) {
        r = error_set(err, ERR_USAGE, "%s: there is no FROM", df->file);
    }
    if (r == 0) {
        r = find_target(&plan, inputs->target, err);
    }
    if (r == 0) {
        r = plan_check(&plan, inputs, err);
    }
    if (r != 0) {
        plan_release(&plan);
        return -1;
    }
    *out = plan;
    return 0;
}

int plan_find_stage(const struct plan *plan, const char *name, size_t current, int *index_out,
                    struct error *err)
{
    size_t number = 0;
    if (read_number(name, &number)) {
        if (number >= current) {
            return error_set(err, ERR_USAGE,
                             "stage %s is not before this one (number %zu); stages count from 0",
                             name, current);
        }
        *index_out = (int)number;
        return 0;
    }
    /* Of several stages of one name the last counts, wherever it is (BuildKit). */
    int any = stage_by_name(plan, name, plan->len);
    if (any == (int)current) {
        return error_set(err, ERR_USAGE, "stage '%s' cannot copy from itself (circular)", name);
    }
    if (any > (int)current) {
        return error_set(err, ERR_USAGE,
                         "stage '%s' comes later (line %u): a circular or forward reference; move "
                         "it above this one",
                         name, plan->stages[any].from->line);
    }
    *index_out = any;
    return 0;
}

bool plan_is_number(const char *from)
{
    size_t number = 0;
    return read_number(from, &number);
}

int plan_source(const struct plan *plan, const char *from)
{
    size_t number = 0;
    if (read_number(from, &number)) {
        return number < plan->len ? (int)number : -1;
    }
    return stage_by_name(plan, from, plan->len);
}

/* Marks what FROM means in stage CURRENT. */
static void mark_source(const struct plan *plan, const char *from, size_t current, bool *needed)
{
    struct error ignored = {0};
    int index = -1;
    if (from && plan_find_stage(plan, from, current, &index, &ignored) == 0 && index >= 0) {
        needed[index] = true;
    }
}

static void mark_sources(const struct plan *plan, const struct instruction *in, size_t current,
                         bool *needed)
{
    for (size_t i = 0; i < in->flags_len; i++) {
        struct run_mount mount = {0};
        struct error ignored = {0};
        if (in->type == INSTRUCTION_COPY && strcmp(in->flags[i].name, "from") == 0) {
            mark_source(plan, in->flags[i].value, current, needed);
        } else if (in->type == INSTRUCTION_RUN && strcmp(in->flags[i].name, "mount") == 0 &&
                   mount_parse(in->flags[i].value, NULL, &mount, &ignored) == 0) {
            mark_source(plan, mount.from, current, needed);
        }
        run_mount_release(&mount);
    }
}

void plan_mark_needed(const struct plan *plan, size_t index, bool *needed)
{
    needed[index] = true;
    for (size_t i = index + 1; i > 0; i--) { /* a stage needs only earlier ones */
        const struct plan_stage *stage = &plan->stages[i - 1];
        if (!needed[i - 1]) {
            continue;
        }
        if (stage->parent >= 0) {
            needed[stage->parent] = true;
        }
        for (size_t j = stage->first; j < stage->end; j++) {
            mark_sources(plan, &plan->df->items[j], i - 1, needed);
        }
    }
}
