/* One line: its keyword, its flags, and the form of what follows. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/limits.h"
#include "base/memory.h"
#include "builder/dockerfile_internal.h"
#include "builder/rune.h"

static const char *const keywords[] = {
    [INSTRUCTION_ADD] = "ADD",
    [INSTRUCTION_ARG] = "ARG",
    [INSTRUCTION_CMD] = "CMD",
    [INSTRUCTION_COPY] = "COPY",
    [INSTRUCTION_ENTRYPOINT] = "ENTRYPOINT",
    [INSTRUCTION_ENV] = "ENV",
    [INSTRUCTION_EXPOSE] = "EXPOSE",
    [INSTRUCTION_FROM] = "FROM",
    [INSTRUCTION_HEALTHCHECK] = "HEALTHCHECK",
    [INSTRUCTION_LABEL] = "LABEL",
    [INSTRUCTION_MAINTAINER] = "MAINTAINER",
    [INSTRUCTION_ONBUILD] = "ONBUILD",
    [INSTRUCTION_RUN] = "RUN",
    [INSTRUCTION_SHELL] = "SHELL",
    [INSTRUCTION_STOPSIGNAL] = "STOPSIGNAL",
    [INSTRUCTION_USER] = "USER",
    [INSTRUCTION_VOLUME] = "VOLUME",
    [INSTRUCTION_WORKDIR] = "WORKDIR",
};

const char *instruction_name(enum instruction_type type)
{
    return keywords[type];
}

bool instruction_find(const char *keyword, enum instruction_type *type_out)
{
    for (size_t i = 0; i < ARRAY_LEN(keywords); i++) {
        if (strcasecmp(keywords[i], keyword) == 0) {
            *type_out = (enum instruction_type)i;
            return true;
        }
    }
    return false;
}

int unknown_keyword(const struct reader *r, const struct instruction *in, struct error *err)
{
    const char *nearest = nearest_name(in->keyword, keywords, ARRAY_LEN(keywords));
    size_t start = r->start;
    const char *at = NULL;
    text_trim(r->text + start, r->end - start, &at);
    return reader_fail(
        r, (size_t)(at - r->text), strlen(in->keyword), err, "unknown instruction '%.80s'%s%s%s",
        in->keyword, nearest ? ", did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
}

/* The blanks that separate words of a line; others belong to the words. */
static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\v' || c == '\f' || c == '\r';
}

/* A part of the reader's text. */
struct span {
    size_t start;
    size_t end;
};

static struct span trim(const struct reader *r, size_t start, size_t end)
{
    const char *at = NULL;
    size_t len = text_trim(r->text + start, end - start, &at);
    size_t offset = (size_t)(at - r->text);
    return (struct span){offset, offset + len};
}

/* Takes the next word, up to a blank, off *REST. */
static struct span cut_word(const struct reader *r, struct span *rest)
{
    struct span word = *rest;
    while (rest->start < rest->end && !is_blank(r->text[rest->start])) {
        rest->start++;
    }
    word.end = rest->start;
    while (rest->start < rest->end && is_blank(r->text[rest->start])) {
        rest->start++;
    }
    return word;
}

static void add_words(const struct reader *r, struct span rest, struct strlist *out)
{
    while (rest.start < rest.end) {
        struct span word = cut_word(r, &rest);
        strlist_take(out, mem_strndup(r->text + word.start, word.end - word.start));
    }
}

static void add_whole(const struct reader *r, struct span rest, struct strlist *out)
{
    if (rest.start < rest.end) {
        strlist_take(out, mem_strndup(r->text + rest.start, rest.end - rest.start));
    }
}

/* Whether it would be JSON but for a "\\u0000", which no argument of a program can hold. */
static bool has_zero(const char *text, size_t len)
{
    json_error_t ignored;
    AUTO(json_freep) json_t *array = NULL;
    if (memmem(text, len, "\\u0000", 6)) {
        array = json_loadb(text, len, JSON_ALLOW_NUL, &ignored);
    }
    return array != NULL;
}

/* Reads a JSON array of strings. What is no JSON is left to the shell form; an array that holds
 * something else is an error, as it cannot be meant so. */
static int read_json(const struct reader *r, struct span rest, struct instruction *in,
                     struct error *err)
{
    if (rest.start == rest.end || r->text[rest.start] != '[') {
        return 0;
    }
    AUTO(json_freep) json_t *array = NULL;
    struct error ignored = {0};
    if (json_parse(r->text + rest.start, rest.end - rest.start, LIMIT_DOCKERFILE_BYTES, in->keyword,
                   ERR_USAGE, &array, &ignored) != 0) {
        if (has_zero(r->text + rest.start, rest.end - rest.start)) {
            return reader_fail(r, rest.start, rest.end - rest.start, err,
                               "%s: an argument cannot hold a zero byte (\\u0000)",
                               instruction_name(in->type));
        }
        return 0;
    }
    for (size_t i = 0; i < json_array_size(array); i++) {
        const char *item = json_string_value(json_array_get(array, i));
        if (!item) {
            return reader_fail(r, rest.start, rest.end - rest.start, err,
                               "%s: a JSON array must hold only strings; item %zu is none",
                               instruction_name(in->type), i + 1);
        }
        strlist_add(&in->args, item);
    }
    in->exec_form = true;
    return 0;
}

static int read_json_or_whole(const struct reader *r, struct span rest, struct instruction *in,
                              struct error *err)
{
    if (read_json(r, rest, in, err) != 0) {
        return -1;
    }
    if (!in->exec_form) {
        add_whole(r, rest, &in->args);
    }
    return 0;
}

static int read_json_or_words(const struct reader *r, struct span rest, struct instruction *in,
                              struct error *err)
{
    if (read_json(r, rest, in, err) != 0) {
        return -1;
    }
    if (!in->exec_form) {
        add_words(r, rest, &in->args);
    }
    return 0;
}

/* Takes the next word off *REST, with blanks only outside of quotes and escapes. Quotes stay; an
 * escape character at the very end goes. False: no more. */
static bool cut_quoted_word(const struct reader *r, struct span *rest, struct span *place,
                            struct buf *word)
{
    struct span left = *rest;
    char escape = r->src->df->escape;
    char quote = '\0';
    bool any = false;
    size_t pos = left.start;
    place->start = pos;
    while (pos < left.end) {
        uint32_t rune = 0;
        size_t width = rune_decode(r->text + pos, left.end - pos, &rune);
        char c = r->text[pos];
        if (!quote && rune_is_space(rune)) {
            if (any) {
                break;
            }
            pos += width;
            place->start = pos;
            continue;
        }
        any = true;
        if (quote ? c == quote : c == '\'' || c == '"') {
            quote = quote ? '\0' : c;
        }
        if (c == escape && quote != '\'') {
            if (pos + 1 == left.end) {
                pos++;
                break;
            }
            buf_append(word, &c, 1);
            pos++;
            width = rune_decode(r->text + pos, left.end - pos, &rune);
        }
        buf_append(word, r->text + pos, width);
        pos += width;
    }
    place->end = pos;
    rest->start = pos;
    return any;
}

static void add_pair(struct instruction *in, char *key, char *value)
{
    size_t count = in->pairs_len;
    if ((count & (count - 1)) == 0) { /* full at every power of two */
        in->pairs = mem_realloc(in->pairs, count ? count * 2 : 1, sizeof *in->pairs);
    }
    in->pairs[in->pairs_len++] = (struct pair){.key = key, .value = value};
}

/* The old form, "KEY VALUE with blanks". */
static int read_old_pair(const struct reader *r, struct span rest, struct instruction *in,
                         struct error *err)
{
    struct span key = cut_word(r, &rest);
    if (rest.start == rest.end) {
        int len = (int)(key.end - key.start < 80 ? key.end - key.start : 80);
        const char *name = r->text + key.start;
        return reader_fail(
            r, key.start, key.end - key.start, err, "%s %.*s: a name needs a value: %s %.*s=VALUE",
            instruction_name(in->type), len, name, instruction_name(in->type), len, name);
    }
    in->legacy_pair = true;
    add_pair(in, mem_strndup(r->text + key.start, key.end - key.start),
             mem_strndup(r->text + rest.start, rest.end - rest.start));
    return 0;
}

/* ENV and LABEL: "KEY=VALUE ..." or the old form. */
static int read_pairs(const struct reader *r, struct span rest, struct instruction *in,
                      struct error *err)
{
    struct span all = rest;
    struct span place = {0};
    for (bool first = true;; first = false) {
        AUTO(buf_release) struct buf word = BUF_INIT(0);
        if (!cut_quoted_word(r, &rest, &place, &word)) {
            return 0;
        }
        const char *text = buf_text(&word);
        const char *equals = strchr(text, '=');
        if (!equals && first) {
            return word.len > 0 ? read_old_pair(r, all, in, err) : 0;
        }
        if (!equals && word.len > 0) {
            return reader_fail(r, place.start, place.end - place.start, err,
                               "%s: no '=' in '%.80s'; it must be NAME=VALUE, and a value with "
                               "blanks needs quotes",
                               instruction_name(in->type), text);
        }
        if (equals == text) {
            return reader_fail(r, place.start, place.end - place.start, err,
                               "%s %.80s: there is no name before the '='",
                               instruction_name(in->type), text);
        }
        if (equals) {
            add_pair(in, mem_strndup(text, (size_t)(equals - text)), mem_strdup(equals + 1));
        }
    }
}

/* ARG: "NAME" or "NAME=VALUE", several. */
static int read_args(const struct reader *r, struct span rest, struct instruction *in,
                     struct error *err)
{
    struct span place = {0};
    while (true) {
        AUTO(buf_release) struct buf word = BUF_INIT(0);
        if (!cut_quoted_word(r, &rest, &place, &word)) {
            return 0;
        }
        const char *text = buf_text(&word);
        const char *equals = strchr(text, '=');
        if (equals == text) {
            return reader_fail(r, place.start, place.end - place.start, err,
                               "ARG %.80s: there is no name before the '='", text);
        }
        if (word.len > 0) {
            add_pair(in, equals ? mem_strndup(text, (size_t)(equals - text)) : mem_strdup(text),
                     equals ? mem_strdup(equals + 1) : NULL);
        }
    }
}

/* FROM IMAGE [AS NAME]: all words for now, instruction_check() sorts them. HEALTHCHECK: the type as
 * the first word, then the command. */
static int read_healthcheck(const struct reader *r, struct span rest, struct instruction *in,
                            struct error *err)
{
    size_t end = rest.start;
    while (end < rest.end && !is_blank(r->text[end])) {
        end++;
    }
    add_whole(r, (struct span){rest.start, end}, &in->args);
    return read_json_or_whole(r, trim(r, end, rest.end), in, err);
}

/* ONBUILD: the instruction to come. Here only its form must be right. */
static int read_trigger(const struct reader *r, struct span rest, struct instruction *in,
                        struct error *err)
{
    if (rest.start == rest.end) {
        return 0;
    }
    struct reader inner = *r;
    inner.start = rest.start;
    inner.end = rest.end;
    struct span word = rest;
    word = cut_word(r, &word);
    AUTO(mem_freep) char *keyword = mem_strndup(r->text + word.start, word.end - word.start);
    enum instruction_type type = INSTRUCTION_RUN;
    strlist_add(&in->args, keyword);
    if (instruction_find(keyword, &type) &&
        (type == INSTRUCTION_ONBUILD || type == INSTRUCTION_FROM ||
         type == INSTRUCTION_MAINTAINER)) {
        return reader_fail(r, word.start, word.end - word.start, err,
                           "ONBUILD %s: %s cannot be a trigger", keyword, instruction_name(type));
    }
    bool known = false;
    size_t trigger_rest = 0;
    in->trigger = mem_calloc(1, sizeof *in->trigger);
    return instruction_read(&inner, in->trigger, &known, &trigger_rest, err);
}

static int read_form(const struct reader *r, struct span rest, struct instruction *in,
                     struct error *err)
{
    switch (in->type) {
    case INSTRUCTION_CMD:
    case INSTRUCTION_ENTRYPOINT:
    case INSTRUCTION_RUN:
    case INSTRUCTION_SHELL:
        return read_json_or_whole(r, rest, in, err);
    case INSTRUCTION_ADD:
    case INSTRUCTION_COPY:
    case INSTRUCTION_VOLUME:
        return read_json_or_words(r, rest, in, err);
    case INSTRUCTION_EXPOSE:
    case INSTRUCTION_FROM:
        add_words(r, rest, &in->args);
        return 0;
    case INSTRUCTION_MAINTAINER:
    case INSTRUCTION_STOPSIGNAL:
    case INSTRUCTION_USER:
    case INSTRUCTION_WORKDIR:
        add_whole(r, rest, &in->args);
        return 0;
    case INSTRUCTION_ENV:
    case INSTRUCTION_LABEL:
        return read_pairs(r, rest, in, err);
    case INSTRUCTION_ARG:
        return read_args(r, rest, in, err);
    case INSTRUCTION_HEALTHCHECK:
        return read_healthcheck(r, rest, in, err);
    case INSTRUCTION_ONBUILD:
        return read_trigger(r, rest, in, err);
    }
    return 0;
}

int instruction_read(const struct reader *r, struct instruction *in, bool *known_out,
                     size_t *rest_out, struct error *err)
{
    struct span all = trim(r, r->start, r->end);
    struct span rest = all;
    struct span keyword = cut_word(r, &rest);
    in->keyword = mem_strndup(r->text + keyword.start, keyword.end - keyword.start);
    in->line = r->line->line;
    in->end_line = r->line->end_line;
    unsigned line = 0;
    logical_place(r->line, keyword.start, &line, &in->column);
    in->original = mem_strndup(r->text + r->start, r->end - r->start);
    in->empty_continuation = r->line->empty_continuation;
    size_t begin = rest.start;
    struct reader inner = *r;
    inner.end = rest.end;
    flags_read(&inner, rest.start, in, &begin);
    rest = trim(r, begin, rest.end);
    in->rest = mem_strndup(r->text + rest.start, rest.end - rest.start);
    *rest_out = rest.start;
    *known_out = instruction_find(in->keyword, &in->type);
    return *known_out ? read_form(r, rest, in, err) : 0;
}

void instruction_release(struct instruction *in)
{
    free(in->keyword);
    free(in->original);
    free(in->rest);
    strlist_release(&in->args);
    for (size_t i = 0; i < in->flags_len; i++) {
        free(in->flags[i].name);
        free(in->flags[i].value);
    }
    free(in->flags);
    for (size_t i = 0; i < in->heredocs_len; i++) {
        free(in->heredocs[i].name);
        free(in->heredocs[i].content);
        free(in->heredocs[i].raw);
    }
    free(in->heredocs);
    for (size_t i = 0; i < in->pairs_len; i++) {
        free(in->pairs[i].key);
        free(in->pairs[i].value);
    }
    free(in->pairs);
    free(in->stage_name);
    free(in->stage_name_written);
    free(in->as_keyword);
    free(in->platform);
    free(in->trigger_text);
    free(in->trigger_fault);
    if (in->trigger) {
        instruction_release(in->trigger);
        free(in->trigger);
    }
    *in = (struct instruction){0};
}
