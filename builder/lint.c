#include "builder/lint.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "builder/lint_internal.h"

static const struct lint_table *const tables[] = {&lint_checks_syntax, &lint_checks_from,
                                                  &lint_checks_stage};

const struct lint_rule *const *lint_rules(size_t *len_out)
{
    enum { RULES_MAX = 64 };
    static const struct lint_rule *rules[RULES_MAX]; /* the same in every thread */
    size_t len = 0;
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        for (size_t j = 0; j < tables[i]->len && len < RULES_MAX - 2; j++) {
            rules[len++] = &tables[i]->checks[j].rule;
        }
    }
    rules[len++] = &lint_check_undefined_var.rule;
    rules[len++] = &lint_rule_base_platform;
    *len_out = len;
    return rules;
}

void lint_release(struct lint *lint)
{
    for (size_t i = 0; i < lint->len; i++) {
        free(lint->items[i].text);
        free(lint->items[i].advice);
    }
    free(lint->items);
    strlist_release(&lint->unknown);
    *lint = (struct lint){0};
}

static bool is_asked(const struct lint_options *options, const struct lint_rule *rule)
{
    return rule->experimental
               ? options->experimental_all || strlist_has(&options->experimental, rule->name)
               : !options->skip_all && !strlist_has(&options->skip, rule->name);
}

bool lint_is_asked(const struct linter *l, const struct lint_rule *rule)
{
    return is_asked(&l->own, rule);
}

struct lint_finding *lint_add(struct linter *l, const struct lint_rule *rule,
                              const struct instruction *in, const char *word, char *advice,
                              const char *format, ...)
{
    AUTO(mem_freep) char *owned = advice;
    if (!is_asked(&l->own, rule)) {
        return NULL;
    }
    struct lint *out = l->out;
    if ((out->len & (out->len - 1)) == 0) { /* full at every power of two */
        out->items = mem_realloc(out->items, out->len ? out->len * 2 : 1, sizeof *out->items);
    }
    struct error place = {0};
    if (word) {
        dockerfile_locate_word(&place, "", l->df->text, in, word);
    } else {
        dockerfile_locate(&place, "", in);
    }
    va_list args;
    va_start(args, format);
    char *text = NULL;
    if (vasprintf(&text, format, args) < 0) {
        text = mem_strdup(rule->description);
    }
    va_end(args);
    struct lint_finding *finding = &out->items[out->len++];
    *finding = (struct lint_finding){.rule = rule,
                                     .text = text,
                                     .advice = MEM_STEAL(owned),
                                     .line = place.line,
                                     .first_line = in->line,
                                     .last_line = in->end_line,
                                     .column = place.column,
                                     .width = place.width};
    return finding;
}

/* What the directive says, or the build argument in its place. */
static int read_options(const struct dockerfile *df, const struct strlist *build_args,
                        struct lint_options *out, struct error *err)
{
    const char *given = strlist_env_get(build_args, LINT_OPTIONS_ARG);
    if (given) {
        return lint_options_add(out, given, err) == 0
                   ? 0
                   : error_wrap(err, "--build-arg %s", LINT_OPTIONS_ARG);
    }
    if (df->check.value && lint_options_add(out, df->check.value, err) != 0) {
        return error_locate(err, df->file, df->check.line, 0, 0);
    }
    return 0;
}

int lint_read_options(const struct dockerfile *df, const struct strlist *build_args,
                      bool *error_out, struct error *err)
{
    AUTO(lint_options_release) struct lint_options options = {0};
    if (read_options(df, build_args, &options, err) != 0) {
        return -1;
    }
    *error_out = options.error;
    return 0;
}

/* -1, 1: written in lower or upper case throughout; 0: mixed. */
static int case_of(const char *keyword)
{
    bool lower = false;
    bool upper = false;
    for (const char *p = keyword; *p; p++) {
        lower = lower || islower((unsigned char)*p);
        upper = upper || isupper((unsigned char)*p);
    }
    return lower && upper ? 0 : lower ? -1 : 1;
}

/* Keywords from the first FROM on decide which case is the right one. */
static void count_cases(struct linter *l)
{
    long sum = 0;
    bool in_stage = false;
    for (size_t i = 0; i < l->df->len; i++) {
        in_stage = in_stage || l->df->items[i].type == INSTRUCTION_FROM;
        sum += in_stage ? case_of(l->df->items[i].keyword) : 0;
    }
    l->mostly_lower = sum < 0;
}

static void index_lines(struct linter *l)
{
    size_t count = 1;
    for (const char *p = l->df->text; *p; p++) {
        count += *p == '\n';
    }
    l->lines = mem_calloc(count + 1, sizeof *l->lines);
    const char *p = l->df->text;
    for (size_t i = 0; i < count; i++) {
        l->lines[i] = p;
        p = strchrnul(p, '\n');
        p += *p == '\n';
    }
}

/* Turns to instruction INDEX, with the options that hold for it. */
static const struct instruction *turn_to(struct linter *l, size_t index)
{
    lint_options_release(&l->own);
    l->own.skip_all = l->options.skip_all;
    l->own.experimental_all = l->options.experimental_all;
    strlist_add_all(&l->own.skip, &l->options.skip);
    strlist_add_all(&l->own.experimental, &l->options.experimental);
    lint_options_add_comments(&l->own, l, index);
    l->index = index;
    return &l->df->items[index];
}

/* Asks all rules that need no stage. */
static void ask_written(struct linter *l)
{
    for (size_t i = 0; i < l->df->len; i++) {
        const struct instruction *in = turn_to(l, i);
        for (size_t t = 0; t < ARRAY_LEN(tables); t++) {
            for (size_t c = 0; c < tables[t]->len; c++) {
                const struct lint_check *check = &tables[t]->checks[c];
                if (check->written) {
                    check->written(l, &check->rule, in);
                }
            }
        }
        if (in->type == INSTRUCTION_FROM) {
            strlist_add(&l->names, in->stage_name ? in->stage_name : "");
        }
    }
}

static void release_stage(struct lint_stage *stage)
{
    strlist_release(&stage->env);
    strlist_release(&stage->args);
    strlist_release(&stage->declared);
}

/* What the stage has before its first instruction. */
static void begin_stage(struct linter *l, size_t index)
{
    const struct plan_stage *plan = &l->plan.stages[index];
    struct lint_stage *stage = &l->stages[index];
    l->now = stage;
    if (plan->parent >= 0) {
        const struct lint_stage *parent = &l->stages[plan->parent];
        strlist_add_all(&stage->env, &parent->env);
        strlist_add_all(&stage->args, &parent->args);
        strlist_add_all(&stage->declared, &parent->declared);
        stage->base = parent->base;
        stage->base_stage = parent->base_stage;
        stage->base_asked = parent->base_asked;
        stage->env_known = parent->env_known;
        stage->shell_set = parent->shell_set;
        stage->workdir_set = parent->workdir_set;
        return;
    }
    stage->env_known = stage->base_asked = plan->scratch;
    stage->base = plan->scratch ? NULL : plan->base;
    stage->base_stage = index;
    if (!strlist_env_get(&stage->env, "PATH")) {
        strlist_env_set(&stage->env, "PATH",
                        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    }
}

static void release_base(struct lint_base *base)
{
    strlist_release(&base->env);
    platform_release(&base->platform);
}

void lint_ask_base(struct linter *l)
{
    struct lint_stage *stage = l->now;
    AUTO(release_base) struct lint_base base = {0};
    AUTO(platform_release) struct platform platform = {0};
    if (stage->base_asked) {
        return;
    }
    const struct plan_stage *from = &l->plan.stages[stage->base_stage];
    struct error ignored = {0}; /* the build says what is wrong with it */
    if (!from->platform || platform_parse(from->platform, &platform, &ignored) != 0) {
        platform_copy(l->inputs->target_platform, &platform);
    }
    stage->base_asked = true;
    stage->env_known = l->inputs->base && l->inputs->base(l->inputs->ctx, stage->base_stage,
                                                          stage->base, &platform, &base);
    stage->shell_set = stage->shell_set || base.shell;
    if (!stage->env_known && !strlist_has(&l->out->unknown, stage->base)) {
        strlist_add(&l->out->unknown, stage->base);
    } else if (stage->env_known) {
        lint_base_platform(l, from, &platform, &base.platform);
    }
    for (size_t i = 0; i < base.env.len; i++) { /* the stage's own come first */
        const char *pair = base.env.items[i];
        AUTO(mem_freep) char *key = mem_strndup(pair, strcspn(pair, "="));
        if (!strlist_env_get(&stage->env, key)) {
            strlist_add(&stage->env, pair);
        }
    }
}

static const char *inherited_arg(const struct linter *l, const char *key)
{
    const char *given = strlist_env_get(&l->plan.globals, key);
    return given ? given : strlist_env_get(&l->plan.automatic, key);
}

static int take_pairs(struct linter *l, const struct instruction *in, struct error *err)
{
    struct lint_stage *stage = l->now;
    AUTO(strlist_release) struct strlist new_env = {0};
    for (size_t i = 0; i < in->pairs_len; i++) {
        const struct pair *pair = &in->pairs[i];
        const char *given = strlist_env_get(l->inputs->build_args, pair->key);
        bool is_env = in->type == INSTRUCTION_ENV;
        AUTO(mem_freep) char *key = is_env ? NULL : mem_strdup(pair->key);
        AUTO(mem_freep) char *value = NULL;
        bool wanted = pair->value && (is_env || !given);
        if ((is_env && lint_expand(l, in, pair->key, &key, err) != 0) ||
            (wanted && lint_expand(l, in, pair->value, &value, err) != 0)) {
            return -1;
        }
        if (is_env) {
            strlist_env_set(&new_env, key, value);
            continue;
        }
        const char *chosen = given ? given : value ? value : inherited_arg(l, key);
        strlist_add(&stage->declared, key);
        if (chosen) {
            strlist_env_set(&stage->args, key, chosen);
        }
    }
    for (size_t i = 0; i < new_env.len; i++) { /* only now: they do not see one another */
        AUTO(mem_freep) char *key = mem_strdup(new_env.items[i]);
        char *equals = strchr(key, '=');
        *equals = '\0';
        strlist_env_set(&stage->env, key, equals + 1);
    }
    return 0;
}

/* What IN means for those after it. */
static int take_effect(struct linter *l, const struct instruction *in, struct error *err)
{
    struct lint_stage *stage = l->now;
    switch (in->type) {
    case INSTRUCTION_ENV:
    case INSTRUCTION_ARG:
        return take_pairs(l, in, err);
    case INSTRUCTION_SHELL:
        stage->shell_set = true;
        return 0;
    case INSTRUCTION_WORKDIR:
        stage->workdir_set = true;
        return 0;
    case INSTRUCTION_CMD:
        stage->cmd = in;
        return 0;
    case INSTRUCTION_ENTRYPOINT:
        stage->entrypoint = in;
        return 0;
    case INSTRUCTION_HEALTHCHECK:
        stage->healthcheck = in;
        return 0;
    default:
        return 0;
    }
}

static int ask_stage(struct linter *l, size_t index, struct error *err)
{
    const struct plan_stage *plan = &l->plan.stages[index];
    begin_stage(l, index);
    turn_to(l, (size_t)(plan->from - l->df->items));
    if (lint_is_asked(l, &lint_rule_base_platform)) {
        lint_ask_base(l);
    }
    for (size_t i = plan->first; i < plan->end; i++) {
        const struct instruction *in = turn_to(l, i);
        if (lint_words(l, in, err) != 0) {
            return -1;
        }
        for (size_t t = 0; t < ARRAY_LEN(tables); t++) {
            for (size_t c = 0; c < tables[t]->len; c++) {
                const struct lint_check *check = &tables[t]->checks[c];
                if (check->staged) {
                    check->staged(l, &check->rule, in);
                }
            }
        }
        if (take_effect(l, in, err) != 0) {
            return -1;
        }
    }
    return 0;
}

static int ask_stages(struct linter *l, struct error *err)
{
    AUTO(mem_freep) bool *needed = mem_calloc(l->plan.len, sizeof *needed);
    if (!l->inputs->all_stages) {
        plan_mark_needed(&l->plan, l->plan.target, needed);
    }
    l->stages = mem_calloc(l->plan.len, sizeof *l->stages);
    int r = 0;
    for (size_t i = 0; i < l->plan.len && r == 0; i++) {
        if (needed[i] || l->inputs->all_stages) {
            r = ask_stage(l, i, err);
        }
    }
    for (size_t i = 0; i < l->plan.len; i++) {
        release_stage(&l->stages[i]);
    }
    free(l->stages);
    l->stages = NULL;
    return r;
}

static int by_place(const void *a, const void *b)
{
    const struct lint_finding *x = a;
    const struct lint_finding *y = b;
    if (x->line != y->line) {
        return x->line < y->line ? -1 : 1;
    }
    if (x->column != y->column) {
        return x->column < y->column ? -1 : 1;
    }
    int names = strcmp(x->rule->name, y->rule->name);
    return names ? names : strcmp(x->text, y->text);
}

static int ask_all(struct linter *l, struct error *err)
{
    static const struct strlist none;
    struct plan_inputs inputs = {.build_args = l->inputs->build_args,
                                 .contexts = l->inputs->contexts,
                                 .build_platform = l->inputs->build_platform,
                                 .target_platform = l->inputs->target_platform,
                                 .target = l->inputs->target};
    struct plan_inputs bare = inputs;
    bare.build_args = &none;
    struct error ignored = {0};
    count_cases(l);
    index_lines(l);
    if (plan_make_globals(l->df, &inputs, &l->globals, err) != 0) {
        return -1;
    }
    plan_make_globals(l->df, &bare, &l->defaults, &ignored);
    ask_written(l);
    return plan_make(l->df, &inputs, &l->plan, err) == 0 ? ask_stages(l, err) : -1;
}

int lint_run(const struct dockerfile *df, const struct lint_inputs *inputs, struct lint *out,
             struct error *err)
{
    struct linter l = {.df = df, .inputs = inputs, .out = out};
    int r = read_options(df, inputs->build_args, &l.options, err);
    if (r == 0) {
        r = ask_all(&l, err);
    }
    if (out->len > 1) {
        qsort(out->items, out->len, sizeof *out->items, by_place);
    }
    out->error = l.options.error && out->len > 0;
    plan_release(&l.plan);
    plan_release(&l.globals);
    plan_release(&l.defaults);
    lint_options_release(&l.options);
    lint_options_release(&l.own);
    strlist_release(&l.names);
    strlist_release(&l.unset);
    free(l.lines);
    return r;
}
