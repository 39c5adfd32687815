/* The Dockerfile parser, and what its users do with each instruction. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "builder/dockerfile.h"

static void use(const struct dockerfile *df, const struct instruction *in)
{
    assert(in->line >= 1 && in->end_line >= in->line);
    bool is_file = false;
    AUTO(mem_freep) char *script = instruction_script(in, &is_file);
    assert(script && (!is_file || strncmp(script, "#!", 2) == 0));
    for (size_t i = 0; i < in->args.len; i++) {
        const struct heredoc *doc = instruction_heredoc(in, in->args.items[i]);
        assert(!doc || strlen(doc->content) == doc->len);
        struct error err = {0};
        dockerfile_locate_word(&err, df->file, df->text, in, in->args.items[i]);
        assert(err.line >= in->line && err.line <= in->end_line);
    }
    if (in->trigger_text) {
        struct error err = {0};
        AUTO(dockerfile_freep) struct dockerfile *trigger = NULL;
        dockerfile_parse_trigger(in->trigger_text, df->file, in->line, &trigger, &err);
    }
    if (in->trigger) {
        use(df, in->trigger);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(mem_freep) char *text = mem_dup(data, size); /* not terminated: the length counts */
    struct error err = {0};
    AUTO(dockerfile_freep) struct dockerfile *df = NULL;
    if (dockerfile_parse(text, size, "Dockerfile", &df, &err) != 0) {
        assert(err.code == ERR_USAGE && err.text[0]);
        return 0;
    }
    for (size_t i = 0; i < df->len; i++) {
        use(df, &df->items[i]);
    }
    return 0;
}
