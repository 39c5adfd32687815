#include "builder/dockerfile.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/memory.h"
#include "builder/dockerfile_internal.h"

enum { INSTRUCTIONS_MAX = 65536 };

void dockerfile_freep(struct dockerfile **df)
{
    if (!*df) {
        return;
    }
    for (size_t i = 0; i < (*df)->len; i++) {
        instruction_release(&(*df)->items[i]);
    }
    free((*df)->items);
    free((*df)->file);
    free((*df)->text);
    free((*df)->syntax.value);
    free((*df)->check.value);
    free((*df)->escape_directive.value);
    free(*df);
    *df = NULL;
}

/* What docker stores for an ONBUILD: the line behind the word, and its here-documents. */
static char *trigger_text(const struct instruction *in)
{
    struct buf out = BUF_INIT(0);
    const char *line = in->original;
    while (*line == ' ' || *line == '\t') {
        line++;
    }
    line += strlen(in->keyword);
    line += strspn(line, " \t\v\f\r");
    buf_puts(&out, line);
    for (size_t i = 0; i < in->heredocs_len; i++) {
        buf_printf(&out, "\n%s%s", in->heredocs[i].raw, in->heredocs[i].name);
    }
    return buf_take(&out);
}

static void free_trigger(struct instruction *in)
{
    instruction_release(in->trigger);
    free(in->trigger);
    in->trigger = NULL;
}

/* Completes ONBUILD's trigger. What is wrong with it besides its form is only refused when it is
 * triggered: until then it is a text. */
static void finish_trigger(const struct reader *r, size_t rest, struct instruction *in)
{
    in->trigger_text = trigger_text(in);
    if (!in->trigger) {
        return;
    }
    struct instruction *trigger = in->trigger;
    trigger->end_line = in->end_line;
    trigger->heredocs = MEM_STEAL(in->heredocs);
    trigger->heredocs_len = in->heredocs_len;
    in->heredocs_len = 0;
    struct reader inner = *r;
    inner.start = rest;
    enum instruction_type type = INSTRUCTION_RUN;
    struct error fault = {0};
    if (!instruction_find(trigger->keyword, &type)) {
        unknown_keyword(&inner, trigger, &fault);
    } else {
        instruction_check(&inner, rest, trigger, &fault);
    }
    if (fault.code != ERR_NONE) {
        in->trigger_fault = mem_alloc(sizeof fault);
        *in->trigger_fault = fault;
        free_trigger(in);
    }
}

/* Reads one instruction with everything that belongs to it. */
static int read_instruction(struct source *src, struct logical *line, struct instruction *in,
                            struct error *err)
{
    struct reader r = {.src = src, .line = line, .text = buf_text(&line->text)};
    r.end = line->text.len;
    bool known = false;
    size_t rest = 0;
    if (instruction_read(&r, in, &known, &rest, err) != 0) {
        return -1;
    }
    if (!known) {
        return unknown_keyword(&r, in, err);
    }
    if (heredocs_read(src, line, in, err) != 0 || instruction_check(&r, rest, in, err) != 0) {
        return -1;
    }
    if (in->type == INSTRUCTION_ONBUILD) {
        finish_trigger(&r, rest, in);
    }
    return 0;
}

static struct instruction *new_instruction(struct dockerfile *df)
{
    size_t count = df->len;
    if ((count & (count - 1)) == 0) { /* full at every power of two */
        df->items = mem_realloc(df->items, count ? count * 2 : 1, sizeof *df->items);
    }
    struct instruction *in = &df->items[df->len++];
    *in = (struct instruction){0};
    return in;
}

static int read_all(struct source *src, struct error *err)
{
    while (true) {
        AUTO(logical_release) struct logical line = {.text = BUF_INIT(LIMIT_DOCKERFILE_BYTES)};
        bool more = false;
        if (logical_read(src, &line, &more, err) != 0) {
            return -1;
        }
        if (!more) {
            return 0;
        }
        if (src->df->len == INSTRUCTIONS_MAX) {
            error_set(err, ERR_USAGE, "more than %d instructions", INSTRUCTIONS_MAX);
            return error_locate(err, src->file, line.line, 0, 0);
        }
        if (read_instruction(src, &line, new_instruction(src->df), err) != 0) {
            return -1;
        }
    }
}

/* The first instruction that is neither ARG nor FROM must come after a FROM. */
static int check_stages(const struct dockerfile *df, struct error *err)
{
    for (size_t i = 0; i < df->len; i++) {
        const struct instruction *in = &df->items[i];
        if (in->type == INSTRUCTION_FROM) {
            return 0;
        }
        if (in->type != INSTRUCTION_ARG) {
            error_set(err, ERR_USAGE, "%s before the first FROM: only ARG may stand there",
                      instruction_name(in->type));
            return dockerfile_locate(err, df->file, in);
        }
    }
    error_set(err, ERR_USAGE, "%s: %s", df->file,
              df->len > 0 ? "there is no FROM" : "the Dockerfile has no instructions");
    return -1;
}

/* No line holds a zero byte or is longer than BuildKit reads. */
static int check_bytes(const char *text, size_t len, const char *file, struct error *err)
{
    unsigned line = 1;
    for (size_t pos = 0; pos < len; line++) {
        const char *start = text + pos;
        const char *newline = memchr(start, '\n', len - pos);
        size_t line_len = newline ? (size_t)(newline - start) : len - pos;
        int result = 0;
        if (memchr(start, '\0', line_len)) {
            result = error_set(err, ERR_USAGE, "a zero byte: this is not a text file");
        } else if (line_len > LIMIT_LINE_BYTES) {
            result =
                error_set(err, ERR_USAGE,
                          "a line of %zu bytes, more than %zu; continue it on the next with the "
                          "escape character",
                          line_len, LIMIT_LINE_BYTES);
        }
        if (result != 0) {
            return error_locate(err, file, line, 0, 0);
        }
        pos += line_len + 1;
    }
    return 0;
}

/* Reads TEXT into a new dockerfile, without a look at its stages. */
static int parse(const char *text, size_t len, const char *file, struct dockerfile **out,
                 struct error *err)
{
    if (len > LIMIT_DOCKERFILE_BYTES) {
        return error_set(err, ERR_USAGE, "%s has %zu bytes, more than %zu", file, len,
                         LIMIT_DOCKERFILE_BYTES);
    }
    AUTO(dockerfile_freep) struct dockerfile *df = mem_calloc(1, sizeof *df);
    df->file = mem_strdup(file);
    df->text = mem_strndup(text, len);
    df->escape = '\\';
    struct source src = {.file = file, .text = df->text, .len = len, .df = df};
    if (check_bytes(text, len, file, err) != 0 || read_all(&src, err) != 0) {
        return -1;
    }
    *out = MEM_STEAL(df);
    return 0;
}

int dockerfile_parse(const char *text, size_t len, const char *file, struct dockerfile **out,
                     struct error *err)
{
    AUTO(dockerfile_freep) struct dockerfile *df = NULL;
    if (parse(text, len, file, &df, err) != 0 || check_stages(df, err) != 0) {
        return -1;
    }
    *out = MEM_STEAL(df);
    return 0;
}

int dockerfile_parse_trigger(const char *text, const char *file, unsigned line,
                             struct dockerfile **out, struct error *err)
{
    AUTO(dockerfile_freep) struct dockerfile *df = NULL;
    int result = parse(text, strlen(text), file, &df, err);
    if (result == 0 && df->len != 1) {
        result = error_set(err, ERR_USAGE, "it must be one instruction");
    } else if (result == 0 && df->items[0].type == INSTRUCTION_FROM) {
        result = error_set(err, ERR_USAGE, "FROM cannot be a trigger");
    }
    if (result != 0) {
        /* The place is the FROM's, as the text stands in no file. */
        err->line = 0;
        return error_locate(err, file, line, 0, 0);
    }
    df->items[0].line = df->items[0].end_line = line;
    df->items[0].column = 0;
    *out = MEM_STEAL(df);
    return 0;
}
