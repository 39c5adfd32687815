/* The linter: on any Dockerfile that parses, every finding has a rule, a sentence and a place in
 * the file. The input's first byte chooses the inputs, the rest is the Dockerfile. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "builder/lint.h"

/* What every image brings here, where images are known at all. */
struct bases {
    bool known;
    bool other_platform;
};

static bool base(void *ctx, size_t stage, const char *image, const struct platform *platform,
                 struct lint_base *out)
{
    const struct bases *bases = ctx;
    (void)stage;
    (void)image;
    strlist_add(&out->env, "HOME=/root");
    platform_copy(platform, &out->platform);
    if (bases->other_platform) {
        mem_freep(&out->platform.architecture);
        out->platform.architecture = mem_strdup("s390x");
    }
    return bases->known;
}

static unsigned count_lines(const struct dockerfile *df)
{
    unsigned lines = 1;
    for (const char *p = df->text; *p; p++) {
        lines += *p == '\n';
    }
    return lines;
}

static void check(const struct dockerfile *df, uint8_t choice)
{
    static char linux_os[] = "linux";
    static char amd64[] = "amd64";
    static const struct platform here = {.os = linux_os, .architecture = amd64};
    AUTO(strlist_release) struct strlist args = {0};
    AUTO(strlist_release) struct strlist contexts = {0};
    AUTO(ignore_freep) struct ignore *ignore = NULL;
    AUTO(lint_release) struct lint lint = {0};
    struct error err = {0};
    struct bases bases = {.known = choice & 1, .other_platform = choice & 16};
    if (choice & 2) {
        strlist_add(&args, "A=1");
    }
    if (choice & 4) {
        ignore_parse("*.key\n", 6, ".dockerignore", &ignore, &err);
    }
    const struct lint_inputs inputs = {.build_args = &args,
                                       .contexts = &contexts,
                                       .build_platform = &here,
                                       .target_platform = &here,
                                       .all_stages = choice & 8,
                                       .ignore = ignore,
                                       .base = base,
                                       .ctx = &bases};
    if (lint_run(df, &inputs, &lint, &err) != 0) {
        assert(err.code == ERR_USAGE && err.text[0]);
    }
    unsigned lines = count_lines(df);
    for (size_t i = 0; i < lint.len; i++) {
        const struct lint_finding *f = &lint.items[i];
        assert(f->rule && f->text && f->text[0] && f->line >= 1 && f->line <= lines);
        assert(f->first_line >= 1 && f->last_line <= lines && f->first_line <= f->last_line);
        assert(i == 0 || lint.items[i - 1].line <= f->line);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {0};
    AUTO(dockerfile_freep) struct dockerfile *df = NULL;
    if (size == 0) {
        return 0;
    }
    AUTO(mem_freep) char *text = mem_dup(data + 1, size - 1);
    if (dockerfile_parse(text, size - 1, "Dockerfile", &df, &err) == 0) {
        check(df, data[0]);
    }
    return 0;
}
