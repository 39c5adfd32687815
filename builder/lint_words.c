/* The words of an instruction that are expanded, and the variables in them that nobody defined. */
#include <string.h>

#include "base/memory.h"
#include "builder/lint_internal.h"
#include "builder/mount.h"

const struct lint_check lint_check_undefined_var = {
    {"UndefinedVar", "Variables should be defined before their use", "undefined-var", false},
    NULL,
    NULL};

static const char *look_up(void *ctx, const char *name)
{
    const struct linter *l = ctx;
    const char *value = strlist_env_get(&l->now->env, name);
    return value ? value : strlist_env_get(&l->now->args, name);
}

static void note_unset(void *ctx, const char *name, bool set)
{
    struct linter *l = ctx;
    if (!set && !strlist_has(&l->unset, name)) {
        strlist_add(&l->unset, name);
    }
}

static struct expander expander_of(struct linter *l)
{
    return (struct expander){.get = look_up, .ctx = l, .used = note_unset, .escape = l->df->escape};
}

/* Whether it is worth while to expand once more: something was missing that the base, which is
 * asked only now, may bring. */
static bool base_may_help(struct linter *l)
{
    bool asked = l->now->base_asked;
    if (l->unset.len == 0 || asked) {
        return false;
    }
    lint_ask_base(l);
    strlist_release(&l->unset);
    return true;
}

/* A variable of a base that nobody could read may be what is missing: no error then. */
static int excuse(struct linter *l, const struct instruction *in, const char *word, char **out,
                  struct error *err)
{
    if (!l->now->env_known && l->unset.len > 0) {
        error_clear(err);
        *out = mem_strdup("");
        return 0;
    }
    dockerfile_locate_expansion(err, l->df->file, l->df->text, in, word);
    return error_wrap(err, "%s %.80s", instruction_name(in->type), word);
}

int lint_expand(struct linter *l, const struct instruction *in, const char *word, char **out,
                struct error *err)
{
    struct expander x = expander_of(l);
    AUTO(mem_freep) char *text = NULL;
    strlist_release(&l->unset);
    int r = expand_word(&x, word, &text, err);
    if (base_may_help(l)) {
        mem_freep(&text);
        error_clear(err);
        r = expand_word(&x, word, &text, err);
    }
    if (r != 0) {
        return excuse(l, in, word, out, err);
    }
    *out = MEM_STEAL(text);
    return 0;
}

int lint_expand_words(struct linter *l, const char *word, struct strlist *out, struct error *err)
{
    struct expander x = expander_of(l);
    AUTO(strlist_release) struct strlist first = {0};
    strlist_release(&l->unset);
    expand_words(&x, word, &first, err);
    base_may_help(l);
    error_clear(err);
    return expand_words(&x, word, out, err);
}

struct global_lookup {
    struct linter *l;
    const struct plan *globals;
};

static const char *look_up_global(void *ctx, const char *name)
{
    const struct global_lookup *g = ctx;
    const char *value = strlist_env_get(&g->globals->globals, name);
    return value ? value : strlist_env_get(&g->globals->automatic, name);
}

static void note_unset_global(void *ctx, const char *name, bool set)
{
    const struct global_lookup *g = ctx;
    note_unset(g->l, name, set);
}

bool lint_expand_global(struct linter *l, const struct plan *globals, const char *word, char **out)
{
    struct global_lookup g = {l, globals};
    struct expander x = {
        .get = look_up_global, .ctx = &g, .used = note_unset_global, .escape = l->df->escape};
    struct error ignored = {0};
    return expand_word(&x, word, out, &ignored) == 0;
}

/* The name that NAME was perhaps meant to be, borrowed from KNOWN; NULL: none is near. */
static const char *nearest_variable(const struct linter *l, const char *name, struct strlist *known)
{
    const struct strlist *lists[] = {&l->now->env, &l->now->args};
    strlist_add_all(known, &l->now->declared);
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        for (size_t j = 0; j < lists[i]->len; j++) {
            const char *pair = lists[i]->items[j];
            strlist_take(known, mem_strndup(pair, strcspn(pair, "=")));
        }
    }
    return nearest_name(name, (const char *const *)known->items, known->len);
}

/* Reports what WORD lacked. */
static void report_unset(struct linter *l, const struct instruction *in, const char *word)
{
    static const char *const special[] = {"BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"};
    for (size_t i = 0; i < l->unset.len; i++) {
        const char *name = l->unset.items[i];
        AUTO(strlist_release) struct strlist known = {0};
        bool fine = strlist_has(&l->now->declared, name) || strcmp(name, special[0]) == 0 ||
                    strcmp(name, special[1]) == 0;
        const char *near = fine ? NULL : nearest_variable(l, name, &known);
        /* It may come from a base that could not be read, unless it looks like a slip. */
        if (fine || (!l->now->env_known && !near)) {
            continue;
        }
        char *advice = near ? mem_printf("write $%s", near)
                            : mem_printf("write ARG %s=... or ENV %s=... above", name, name);
        lint_add(l, &lint_check_undefined_var.rule, in, word, advice,
                 "Usage of undefined variable '$%s'%s%s%s", name, near ? " (did you mean $" : "",
                 near ? near : "", near ? "?)" : "");
    }
    strlist_release(&l->unset);
}

static int one_word(struct linter *l, const struct instruction *in, const char *word,
                    struct error *err)
{
    AUTO(mem_freep) char *ignored = NULL;
    if (!word || !strchr(word, '$')) {
        return 0;
    }
    if (lint_expand(l, in, word, &ignored, err) != 0) {
        return -1;
    }
    report_unset(l, in, word);
    return 0;
}

static int all_args(struct linter *l, const struct instruction *in, struct error *err)
{
    for (size_t i = 0; i < in->args.len; i++) {
        if (!instruction_heredoc(in, in->args.items[i]) &&
            one_word(l, in, in->args.items[i], err) != 0) {
            return -1;
        }
    }
    return 0;
}

static int pairs(struct linter *l, const struct instruction *in, struct error *err)
{
    for (size_t i = 0; i < in->pairs_len; i++) {
        const struct pair *pair = &in->pairs[i];
        bool given = in->type == INSTRUCTION_ARG &&
                     strlist_env_get(l->inputs->build_args, pair->key) != NULL;
        if (one_word(l, in, pair->key, err) != 0 ||
            (!given && one_word(l, in, pair->value, err) != 0)) {
            return -1;
        }
    }
    return 0;
}

/* The word that announces DOC. */
static const char *announcement(const struct instruction *in, const struct heredoc *doc)
{
    for (size_t i = 0; i < in->args.len; i++) {
        if (instruction_heredoc(in, in->args.items[i]) == doc) {
            return in->args.items[i];
        }
    }
    return NULL;
}

static int copied(struct linter *l, const struct instruction *in, struct error *err)
{
    static const char *const flags[] = {"chown", "chmod", "checksum", "exclude"};
    for (size_t i = 0; i < in->flags_len; i++) {
        for (size_t j = 0; j < ARRAY_LEN(flags); j++) {
            if (strcmp(in->flags[i].name, flags[j]) == 0 &&
                one_word(l, in, in->flags[i].value, err) != 0) {
                return -1;
            }
        }
    }
    for (size_t i = 0; i < in->heredocs_len; i++) {
        AUTO(mem_freep) char *content = NULL;
        struct expander x = expander_of(l);
        struct error ignored = {0};
        if (in->heredocs[i].expand && strchr(in->heredocs[i].content, '$')) {
            strlist_release(&l->unset);
            expand_heredoc(&x, in->heredocs[i].content, &content, &ignored);
            if (base_may_help(l)) {
                mem_freep(&content);
                expand_heredoc(&x, in->heredocs[i].content, &content, &ignored);
            }
            report_unset(l, in, announcement(in, &in->heredocs[i]));
        }
    }
    return all_args(l, in, err);
}

static int mounts(struct linter *l, const struct instruction *in, struct error *err)
{
    for (size_t i = 0; i < in->flags_len; i++) {
        struct run_mount mount = {0};
        struct expander x = expander_of(l);
        if (strcmp(in->flags[i].name, "mount") != 0) {
            continue;
        }
        strlist_release(&l->unset);
        int r = mount_parse(in->flags[i].value, &x, &mount, err);
        if (base_may_help(l)) {
            run_mount_release(&mount);
            r = mount_parse(in->flags[i].value, &x, &mount, err);
        }
        run_mount_release(&mount);
        if (r != 0 && (l->now->env_known || l->unset.len == 0)) {
            err->column = 0;
            return dockerfile_locate_flag(err, l->df->file, in, &in->flags[i]);
        }
        error_clear(err);
        report_unset(l, in, in->flags[i].value);
    }
    return 0;
}

int lint_words(struct linter *l, const struct instruction *in, struct error *err)
{
    switch (in->type) {
    case INSTRUCTION_ENV:
    case INSTRUCTION_LABEL:
    case INSTRUCTION_ARG:
        return pairs(l, in, err);
    case INSTRUCTION_COPY:
    case INSTRUCTION_ADD:
        return copied(l, in, err);
    case INSTRUCTION_RUN:
        return mounts(l, in, err);
    case INSTRUCTION_WORKDIR:
    case INSTRUCTION_USER:
    case INSTRUCTION_STOPSIGNAL:
    case INSTRUCTION_VOLUME:
        return all_args(l, in, err);
    default:
        return 0;
    }
}
