/* Here-documents: the first byte chooses the instruction that announces them, the rest is its line
 * and what follows. Whatever the parser takes for a document has to stand in the text just so. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/memory.h"
#include "builder/dockerfile.h"
#include "builder/expand.h"

static const char *no_variable(void *ctx, const char *name)
{
    (void)ctx;
    return name[0] == 'a' ? "<<EOF\n$b" : NULL;
}

/* Whether a line of TEXT begins with DOC's lines and its delimiter alone on the next. */
static bool stands_in(const char *text, const struct heredoc *doc)
{
    size_t raw = strlen(doc->raw);
    size_t name = strlen(doc->name);
    for (const char *line = text; line; line = strchr(line, '\n'), line += line != NULL) {
        if (strncmp(line, doc->raw, raw) != 0) {
            continue;
        }
        const char *end = line + raw;
        end += doc->chomp ? strspn(end, "\t") : 0;
        if (strncmp(end, doc->name, name) == 0 && strchr("\r\n", end[name])) {
            return true;
        }
    }
    return false;
}

static void judge(const char *text, const struct instruction *in, const struct heredoc *doc)
{
    /* A source that is only written as one is an empty one. */
    bool only_written = in->type != INSTRUCTION_RUN && !doc->raw[0];
    assert(strlen(doc->content) == doc->len && doc->len <= strlen(doc->raw));
    assert(only_written || stands_in(text, doc));
    assert(doc->chomp || strcmp(doc->content, doc->raw) == 0);
    assert(!doc->chomp || (doc->content[0] != '\t' && !strstr(doc->content, "\n\t")));
    struct expander x = {.get = no_variable, .escape = '\\'};
    struct error err = {0};
    AUTO(mem_freep) char *expanded = NULL;
    if (doc->expand && expand_heredoc(&x, doc->content, &expanded, &err) != 0) {
        assert(err.code == ERR_USAGE && err.text[0]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const heads[] = {"RUN <<",         "COPY <<",          "ADD <<-",
                                        "ONBUILD RUN <<", "RUN cat 3<<-'A' ", "COPY --chmod=7 "};
    if (size == 0) {
        return 0;
    }
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    buf_printf(&text, "FROM scratch\n%s", heads[data[0] % ARRAY_LEN(heads)]);
    buf_append(&text, data + 1, size - 1);
    struct error err = {0};
    AUTO(dockerfile_freep) struct dockerfile *df = NULL;
    if (dockerfile_parse(buf_text(&text), text.len, "Dockerfile", &df, &err) != 0) {
        assert(err.code == ERR_USAGE && err.text[0]);
        return 0;
    }
    for (size_t i = 0; i < df->len; i++) {
        const struct instruction *in = df->items[i].trigger ? df->items[i].trigger : &df->items[i];
        for (size_t j = 0; j < in->heredocs_len; j++) {
            judge(df->text, in, &in->heredocs[j]);
        }
    }
    return 0;
}
