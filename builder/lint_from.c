/* Rules about FROM. It sees the global ARGs only. */
#include <string.h>

#include "base/memory.h"
#include "builder/lint_internal.h"
#include "registry/reference.h"

/* Names that FROM may use. */
static void known_names(const struct plan *globals, struct strlist *out)
{
    strlist_add_all(out, &globals->declared);
    for (size_t i = 0; i < globals->automatic.len; i++) {
        const char *pair = globals->automatic.items[i];
        strlist_take(out, mem_strndup(pair, strcspn(pair, "=")));
    }
}

static void report_unset(struct linter *l, const struct lint_rule *rule,
                         const struct instruction *in, const char *word)
{
    AUTO(strlist_release) struct strlist known = {0};
    AUTO(mem_freep) char *value = NULL;
    strlist_release(&l->unset);
    lint_expand_global(l, &l->globals, word, &value);
    known_names(&l->globals, &known);
    for (size_t i = 0; i < l->unset.len; i++) {
        const char *name = l->unset.items[i];
        if (strlist_has(&known, name)) {
            continue; /* declared without a value */
        }
        const char *near = nearest_name(name, (const char *const *)known.items, known.len);
        char *advice = near ? mem_printf("write $%s", near)
                            : mem_printf("write ARG %s=... before the first FROM", name);
        lint_add(l, rule, in, word, advice, "FROM argument '%s' is not declared%s%s%s", name,
                 near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
    }
}

static void undefined_arg(struct linter *l, const struct lint_rule *rule,
                          const struct instruction *in)
{
    if (in->type == INSTRUCTION_FROM) {
        report_unset(l, rule, in, in->args.items[0]);
        if (in->platform) {
            report_unset(l, rule, in, in->platform);
        }
    }
}

/* The base must have a possible name even where no build argument is given. */
static void invalid_default(struct linter *l, const struct lint_rule *rule,
                            const struct instruction *in)
{
    AUTO(mem_freep) char *name = NULL;
    struct reference ref = {0};
    struct error ignored = {0};
    if (in->type != INSTRUCTION_FROM || !strchr(in->args.items[0], '$') ||
        !lint_expand_global(l, &l->defaults, in->args.items[0], &name) ||
        strlist_has(&l->names, name)) {
        return;
    }
    if (name[0] && reference_parse(name, &ref, &ignored) == 0) {
        reference_release(&ref);
        return;
    }
    lint_add(l, rule, in, in->args.items[0],
             mem_strdup("give the ARG a default that makes a name, as in ARG VERSION=latest"),
             "Default value for ARG %s results in empty or invalid base image name",
             in->args.items[0]);
}

static void redundant_platform(struct linter *l, const struct lint_rule *rule,
                               const struct instruction *in)
{
    const char *text = in->type == INSTRUCTION_FROM && in->platform ? in->platform : "";
    if (strcmp(text, "$TARGETPLATFORM") == 0 || strcmp(text, "${TARGETPLATFORM}") == 0) {
        lint_add(l, rule, in, text, mem_strdup("leave --platform out"),
                 "Setting platform to predefined %s in FROM is redundant as this is the default "
                 "behavior",
                 text);
    }
}

static void constant_platform(struct linter *l, const struct lint_rule *rule,
                              const struct instruction *in)
{
    struct platform platform = {0};
    struct error ignored = {0};
    if (in->type != INSTRUCTION_FROM || !in->platform || strchr(in->platform, '$') ||
        platform_parse(in->platform, &platform, &ignored) != 0) {
        return;
    }
    const char *stage = in->stage_name ? in->stage_name : "";
    if (!strstr(stage, platform.os) && !strstr(stage, platform.architecture)) {
        lint_add(l, rule, in, in->platform,
                 mem_strdup("leave it out and build with --platform, or name the stage after it"),
                 "FROM --platform flag should not use constant value \"%s\"", in->platform);
    }
    platform_release(&platform);
}

const struct lint_rule lint_rule_base_platform = {
    "InvalidBaseImagePlatform", "Base image platform does not match expected target platform", "",
    false};

void lint_base_platform(struct linter *l, const struct plan_stage *stage,
                        const struct platform *expected, const struct platform *actual)
{
    if (strcmp(expected->os, actual->os) == 0 &&
        strcmp(expected->architecture, actual->architecture) == 0) {
        return;
    }
    AUTO(mem_freep) char *wanted = platform_format(expected);
    AUTO(mem_freep) char *got = platform_format(actual);
    lint_add(l, &lint_rule_base_platform, stage->from, stage->from->args.items[0],
             mem_printf("build with --platform %s, or take an image that is for %s", got, wanted),
             "Base image %s was pulled with platform \"%s\", expected \"%s\" for current build",
             stage->base, got, wanted);
}

static const struct lint_check checks[] = {
    {{"UndefinedArgInFrom", "FROM command must use declared ARGs", "undefined-arg-in-from", false},
     undefined_arg,
     NULL},
    {{"InvalidDefaultArgInFrom",
      "Default value for global ARG results in an empty or invalid base image name",
      "invalid-default-arg-in-from", false},
     invalid_default,
     NULL},
    {{"RedundantTargetPlatform",
      "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default "
      "behavior",
      "redundant-target-platform", false},
     redundant_platform,
     NULL},
    {{"FromPlatformFlagConstDisallowed", "FROM --platform flag should not use a constant value",
      "from-platform-flag-const-disallowed", false},
     constant_platform,
     NULL},
};
const struct lint_table lint_checks_from = {checks, ARRAY_LEN(checks)};
