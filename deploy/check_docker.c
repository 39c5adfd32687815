/* What a Dockerfile's target says of ports, variables and commands. */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/memory.h"
#include "builder/dockerfile.h"
#include "builder/expand.h"
#include "builder/expose.h"
#include "builder/plan.h"
#include "deploy/check_internal.h"

static void value_release(struct docker_value *value)
{
    free(value->key);
    free(value->value);
    *value = (struct docker_value){0};
}

static void values_release(struct docker_values *values)
{
    for (size_t i = 0; i < values->len; i++) {
        value_release(&values->items[i]);
    }
    free(values->items);
    *values = (struct docker_values){0};
}

void docker_facts_release(struct docker_facts *facts)
{
    free(facts->file);
    free(facts->no_target);
    values_release(&facts->exposed);
    values_release(&facts->env);
    struct docker_value *const singles[] = {&facts->command, &facts->entry_point, &facts->user,
                                            &facts->workdir, &facts->healthcheck};
    for (size_t i = 0; i < ARRAY_LEN(singles); i++) {
        value_release(singles[i]);
    }
}

static struct docker_value *add_value(struct docker_values *values)
{
    values->items = mem_realloc(values->items, values->len + 1, sizeof *values->items);
    struct docker_value *value = &values->items[values->len++];
    *value = (struct docker_value){0};
    return value;
}

/* Variables as far as they are known without the base image. */
struct scope {
    struct strlist env;
    struct strlist args;
    const struct strlist *build_args;
    const struct plan *plan;
    struct expander expander;
};

static const char *lookup(void *ctx, const char *name)
{
    const struct scope *scope = ctx;
    const char *value = strlist_env_get(&scope->env, name);
    value = value ? value : strlist_env_get(&scope->args, name);
    return value;
}

/* WORD with its variables; as written where one is unknown or wrong. The caller's. */
static char *expanded(struct scope *scope, const char *word)
{
    struct error ignored = {0};
    char *text = NULL;
    return expand_word(&scope->expander, word, &text, &ignored) == 0 ? text : mem_strdup(word);
}

static void take_ports(struct scope *scope, const struct instruction *in,
                       struct docker_facts *facts)
{
    for (size_t i = 0; i < in->args.len; i++) {
        AUTO(strlist_release) struct strlist words = {0};
        struct error ignored = {0};
        if (expand_words(&scope->expander, in->args.items[i], &words, &ignored) != 0) {
            continue;
        }
        for (size_t j = 0; j < words.len; j++) {
            struct exposed port = {0};
            /* A word that is no port is an error of the build, which says so. */
            if (expose_parse(words.items[j], &port, &ignored) != 0) {
                continue;
            }
            struct docker_value *value = add_value(&facts->exposed);
            value->value = mem_strdup(words.items[j]);
            value->line = in->line;
            value->first = port.first;
            value->last = port.last;
            memcpy(value->protocol, port.protocol, sizeof value->protocol);
        }
    }
}

static void take_env(struct scope *scope, const struct instruction *in, struct docker_facts *facts)
{
    for (size_t i = 0; i < in->pairs_len; i++) {
        AUTO(mem_freep) char *key = expanded(scope, in->pairs[i].key);
        AUTO(mem_freep)
        char *text = in->pairs[i].value ? expanded(scope, in->pairs[i].value) : mem_strdup("");
        struct docker_value *value = NULL;
        for (size_t j = 0; j < facts->env.len; j++) {
            if (strcmp(facts->env.items[j].key, key) == 0) {
                value = &facts->env.items[j];
                value_release(value);
            }
        }
        value = value ? value : add_value(&facts->env);
        strlist_env_set(&scope->env, key, text);
        value->key = MEM_STEAL(key);
        value->value = MEM_STEAL(text);
        value->line = in->line;
    }
}

static void take_arg(struct scope *scope, const struct instruction *in)
{
    for (size_t i = 0; i < in->pairs_len; i++) {
        const char *key = in->pairs[i].key;
        const char *given = strlist_env_get(scope->build_args, key);
        const char *global = strlist_env_get(&scope->plan->globals, key);
        AUTO(mem_freep) char *own = in->pairs[i].value ? expanded(scope, in->pairs[i].value) : NULL;
        const char *value = given ? given : own ? own : global;
        if (value) {
            strlist_env_set(&scope->args, key, value);
        }
    }
}

static void take_single(struct scope *scope, const struct instruction *in,
                        struct docker_value *value)
{
    value_release(value);
    bool plain = in->type == INSTRUCTION_USER || in->type == INSTRUCTION_WORKDIR;
    value->value = plain && in->args.len > 0 ? expanded(scope, in->args.items[0])
                                             : mem_strdup(in->rest ? in->rest : "");
    value->line = in->line;
}

static void take_instruction(struct scope *scope, const struct instruction *in,
                             struct docker_facts *facts)
{
    switch (in->type) {
    case INSTRUCTION_EXPOSE:
        take_ports(scope, in, facts);
        break;
    case INSTRUCTION_ENV:
        take_env(scope, in, facts);
        break;
    case INSTRUCTION_ARG:
        take_arg(scope, in);
        break;
    case INSTRUCTION_CMD:
        take_single(scope, in, &facts->command);
        break;
    case INSTRUCTION_ENTRYPOINT:
        take_single(scope, in, &facts->entry_point);
        break;
    case INSTRUCTION_USER:
        take_single(scope, in, &facts->user);
        break;
    case INSTRUCTION_WORKDIR:
        take_single(scope, in, &facts->workdir);
        break;
    case INSTRUCTION_HEALTHCHECK:
        take_single(scope, in, &facts->healthcheck);
        break;
    default:
        break;
    }
}

/* A stage and, before it, those that it starts from. */
static void take_stage(struct scope *scope, const struct plan *plan, size_t index,
                       struct docker_facts *facts)
{
    const struct plan_stage *stage = &plan->stages[index];
    if (stage->parent >= 0) {
        take_stage(scope, plan, (size_t)stage->parent, facts);
    }
    for (size_t i = stage->first; i < stage->end; i++) {
        take_instruction(scope, &plan->df->items[i], facts);
    }
}

static int read_facts(const struct buf *text, const char *name, const char *target,
                      const struct strlist *build_args, struct docker_facts *out)
{
    static const struct strlist none = {0};
    AUTO(dockerfile_freep) struct dockerfile *df = NULL;
    struct error fault = {0};
    struct plan plan = {0};
    struct platform platform = {0};
    platform_local(&platform);
    struct plan_inputs inputs = {.build_args = build_args,
                                 .contexts = &none,
                                 .build_platform = &platform,
                                 .target_platform = &platform,
                                 .target = target};
    int r = dockerfile_parse(buf_text(text), text->len, name, &df, &fault);
    if (r == 0) {
        r = plan_make(df, &inputs, &plan, &fault);
        /* Whether it is the target that is wrong: without it there is a plan. */
        struct error other = {0};
        struct plan last = {0};
        inputs.target = NULL;
        if (r != 0 && target && plan_make(df, &inputs, &last, &other) == 0) {
            out->no_target = mem_strdup(fault.text);
            plan_release(&last);
        }
    }
    if (r == 0) {
        struct scope scope = {.build_args = build_args, .plan = &plan};
        scope.expander = (struct expander){
            .get = lookup, .ctx = &scope, .escape = df->escape, .keep_unset = true};
        take_stage(&scope, &plan, plan.target, out);
        strlist_release(&scope.env);
        strlist_release(&scope.args);
        plan_release(&plan);
    }
    platform_release(&platform);
    return r;
}

int docker_facts_read(struct check *check, const char *name, const char *target,
                      const struct strlist *build_args, struct docker_facts *out, struct error *err)
{
    AUTO(buf_release) struct buf text = BUF_INIT(LIMIT_DOCKERFILE_BYTES);
    bool found = false;
    if (check->inputs->read(check->inputs->ctx, name, LIMIT_DOCKERFILE_BYTES, &text, &found, err) !=
        0) {
        return -1;
    }
    out->missing = !found;
    if (!found) {
        return 0;
    }
    if (!strlist_has(&check->out->files, name)) {
        strlist_add(&check->out->files, name);
    }
    if (read_facts(&text, name, target, build_args, out) == 0) {
        out->file = mem_strdup(name);
    }
    return 0;
}
