/* The linter with a build's inputs: for `check`, and for what a build says in passing. */
#include "builder/check.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "builder/lint_build.h"
#include "builder/sources.h"
#include "builder/stage.h"
#include "oci/config.h"

enum { WARNINGS_SHOWN = 5 };

static void take_config(const json_t *config, struct lint_base *out)
{
    AUTO(strlist_release) struct strlist shell = {0};
    config_get_list(config, "Env", &out->env);
    config_get_list(config, "Shell", &shell);
    config_platform(config, &out->platform);
    out->shell = shell.len > 0;
}

/* The base's configuration, wherever it is; struct lint_inputs.base. */
static bool fetch_base(void *ctx, size_t stage, const char *image, const struct platform *platform,
                       struct lint_base *out)
{
    (void)stage;
    struct build *build = ctx;
    struct stack stack = {0};
    struct error ignored = {0};
    AUTO(json_freep) json_t *config = NULL;
    if (source_base_image(build, image, platform, &stack, &config, &ignored) != 0) {
        return false;
    }
    stack_release(&stack);
    take_config(config, out);
    return true;
}

/* The base's configuration where the build has met it; struct lint_inputs.base. */
static bool known_base(void *ctx, size_t stage, const char *image, const struct platform *platform,
                       struct lint_base *out)
{
    (void)image;
    (void)platform;
    const struct build *build = ctx;
    const json_t *config = build->stages[stage].base_config;
    if (config) {
        take_config(config, out);
    }
    return config != NULL;
}

typedef bool (*base_fn)(void *ctx, size_t stage, const char *image, const struct platform *platform,
                        struct lint_base *out);

static int lint_of(struct build *build, base_fn base, bool all_stages, struct lint *out,
                   struct error *err)
{
    const struct build_request *request = build->request;
    AUTO(strlist_release) struct strlist contexts = {0};
    for (size_t i = 0; i < request->contexts_len; i++) {
        strlist_add(&contexts, request->contexts[i].name);
    }
    const struct lint_inputs inputs = {.build_args = &build->build_args,
                                       .contexts = &contexts,
                                       .build_platform = &build->build_platform,
                                       .target_platform = &build->target_platform,
                                       .target = request->target,
                                       .all_stages = all_stages,
                                       .ignore = context_ignore(build->context),
                                       .base = base,
                                       .ctx = build};
    return lint_run(build->df, &inputs, out, err);
}

static void post_findings(struct build *build, const struct lint *lint)
{
    /* One more in full is no longer than to say that there is one more. */
    size_t shown = lint->len > WARNINGS_SHOWN + 1 ? WARNINGS_SHOWN : lint->len;
    for (size_t i = 0; i < shown; i++) {
        const struct lint_finding *f = &lint->items[i];
        event_warning(build->events, build->df->file, f->line, "%s: %s%s%s", f->rule->name, f->text,
                      f->advice ? "; " : "", f->advice ? f->advice : "");
    }
    if (shown < lint->len) {
        event_warning(build->events, build->df->file, 0,
                      "%zu more findings; 'slipway check' shows them all", lint->len - shown);
    }
}

static int fail_with(const struct build *build, const struct lint *lint, struct error *err)
{
    AUTO(strlist_release) struct strlist names = {0};
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    for (size_t i = 0; i < lint->len; i++) {
        const char *name = lint->items[i].rule->name;
        if (!strlist_has(&names, name)) {
            buf_printf(&text, "%s%s", names.len ? ", " : "", name);
            strlist_add(&names, name);
        }
    }
    const struct lint_finding *first = &lint->items[0];
    error_set(err, ERR_USAGE, "lint violation found for rules: %s (check=error=true)",
              buf_text(&text));
    return error_locate(err, build->df->file, first->line, first->column, first->width);
}

int lint_before_build(struct build *build, struct error *err)
{
    AUTO(lint_release) struct lint lint = {0};
    struct error ignored = {0};
    bool wanted = false;
    if (lint_read_options(build->df, &build->build_args, &wanted, err) != 0) {
        return -1;
    }
    /* Where nothing found could end the build, bases need not be asked for now. An error is the
     * build's to report: it knows what triggers bring. */
    if (wanted) {
        lint_of(build, fetch_base, false, &lint, &ignored);
    }
    if (!lint.error) {
        return 0;
    }
    post_findings(build, &lint);
    return fail_with(build, &lint, err);
}

void lint_after_build(struct build *build)
{
    AUTO(lint_release) struct lint lint = {0};
    struct error ignored = {0}; /* the build says what is wrong */
    lint_of(build, known_base, false, &lint, &ignored);
    post_findings(build, &lint);
}

static int check(struct build *build, const char *platform, struct check_result *result,
                 struct error *err)
{
    int r = build_read(build, platform, err);
    if (build->context) {
        const struct buf *text = context_dockerfile(build->context);
        result->dockerfile_name = mem_strdup(context_dockerfile_name(build->context));
        result->dockerfile_text = mem_strndup(buf_text(text), text->len);
    }
    if (r != 0) {
        return -1;
    }
    const char *target = build->request->target;
    return lint_of(build, fetch_base, !target || !target[0], &result->lint, err);
}

int check_run(const struct build_request *request, struct check_result *result, struct error *err)
{
    const struct strlist *platforms = &request->platforms;
    struct build_request dry = *request;
    struct build build;
    /* What the store has is good enough to judge by. */
    dry.pull = request->pull == PULL_MISSING ? PULL_NEVER : request->pull;
    build_init(&build, &dry);
    int r = check(&build, platforms->len ? platforms->items[0] : NULL, result, err);
    build_release(&build);
    return r;
}

void check_result_release(struct check_result *result)
{
    lint_release(&result->lint);
    free(result->dockerfile_name);
    free(result->dockerfile_text);
    *result = (struct check_result){0};
}
