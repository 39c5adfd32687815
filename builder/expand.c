#include "builder/expand.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/memory.h"
#include "builder/expand_pattern.h"
#include "builder/rune.h"

enum { EXPAND_BUDGET = 1 << 28 };

/* An expansion in progress. */
struct lexer {
    const struct expander *x;
    const char *text;
    size_t len;
    size_t pos;
    char escape;
    bool raw_escapes; /* inside of a pattern, or asked for */
    unsigned depth;
    struct expand_budget budget;
    struct error *err;
    struct sink *words; /* the sink that splits; NULL: none does */
};

/* Where the result goes: one string, and at the top also words. */
struct sink {
    struct buf text;
    struct strlist *words; /* NULL: no words are wanted */
    struct buf word;
    size_t quote; /* where in `word` the double quotes begin that are being read; else SIZE_MAX */
    bool in_word;
};

static void sink_release(struct sink *sink)
{
    buf_release(&sink->text);
    buf_release(&sink->word);
}

static size_t max_bytes(const struct lexer *lx)
{
    return lx->x->max_bytes ? lx->x->max_bytes : LIMIT_WORD_BYTES;
}

static struct sink nested_sink(const struct lexer *lx)
{
    return (struct sink){.text = BUF_INIT(max_bytes(lx)), .word = BUF_INIT(max_bytes(lx))};
}

/* Fails at byte POS of the word. */
static int fail(struct lexer *lx, size_t pos, const char *what)
{
    error_set(lx->err, ERR_USAGE, "%s", what);
    lx->err->column = (unsigned)pos + 1;
    return -1;
}

static void end_word(struct sink *sink)
{
    if (sink->word.len > 0) {
        strlist_add(sink->words, buf_text(&sink->word));
        buf_clear(&sink->word);
        sink->in_word = false;
    }
}

/* Adds bytes that blanks may split into words (SPLIT), or that belong to one. */
static int put(struct lexer *lx, struct sink *sink, const char *data, size_t len, bool split)
{
    if (!buf_try_append(&sink->text, data, len)) {
        error_set(lx->err, ERR_USAGE, "the expanded text is longer than %zu bytes", max_bytes(lx));
        return -1;
    }
    if (!sink->words) {
        return 0;
    }
    if (!split) {
        buf_append(&sink->word, data, len);
        sink->in_word = true;
        return 0;
    }
    for (size_t pos = 0; pos < len;) {
        uint32_t rune = 0;
        size_t width = rune_decode(data + pos, len - pos, &rune);
        if (!rune_is_space(rune)) {
            buf_append(&sink->word, data + pos, width);
            sink->in_word = true;
        } else if (sink->in_word) {
            end_word(sink);
        }
        pos += width;
    }
    return 0;
}

/* BuildKit forgets what a word has so far where the word of a ${x:-word} begins, but for what lies
 * in the same double quotes: EXPOSE 80${x:-81} is port 81. */
static void forget_word(struct lexer *lx)
{
    struct sink *sink = lx->words;
    if (!sink) {
        return;
    }
    size_t from = sink->quote < sink->word.len ? sink->quote : sink->word.len;
    if (from == 0) {
        return;
    }
    AUTO(mem_freep) char *kept = mem_strdup(buf_text(&sink->word) + from);
    buf_clear(&sink->word);
    buf_puts(&sink->word, kept);
    sink->quote = 0;
}

/* Bytes of the character at the current position. */
static size_t width_here(const struct lexer *lx)
{
    uint32_t rune = 0;
    return rune_decode(lx->text + lx->pos, lx->len - lx->pos, &rune);
}

static int lex_dollar(struct lexer *lx, struct sink *sink, bool split);

static int lex_single_quote(struct lexer *lx, struct sink *sink)
{
    size_t start = lx->pos;
    const char *close = memchr(lx->text + start + 1, '\'', lx->len - start - 1);
    if (!close) {
        return fail(lx, start, "a single quote (') that is not closed");
    }
    size_t end = (size_t)(close - lx->text);
    lx->pos = end + 1;
    if (lx->x->keep_quotes) {
        return put(lx, sink, lx->text + start, end + 1 - start, false);
    }
    return put(lx, sink, lx->text + start + 1, end - start - 1, false);
}

/* The escape character inside of double quotes: takes the meaning from ", $ and itself only. */
static int lex_quoted_escape(struct lexer *lx, struct sink *sink)
{
    if (lx->raw_escapes && put(lx, sink, &lx->escape, 1, false) != 0) {
        return -1;
    }
    lx->pos++;
    if (lx->pos == lx->len) {
        return 0;
    }
    char next = lx->text[lx->pos];
    if (next == '"' || next == '$' || next == lx->escape) {
        lx->pos++;
        return put(lx, sink, &next, 1, false);
    }
    return put(lx, sink, &lx->escape, 1, false);
}

static int lex_double_quote(struct lexer *lx, struct sink *sink)
{
    size_t start = lx->pos++;
    sink->quote = sink->word.len;
    if (put(lx, sink, "\"", lx->x->keep_quotes ? 1 : 0, false) != 0) {
        return -1;
    }
    while (lx->pos < lx->len) {
        char c = lx->text[lx->pos];
        int result = 0;
        if (c == '"') {
            lx->pos++;
            return put(lx, sink, "\"", lx->x->keep_quotes ? 1 : 0, false);
        }
        if (c == '$') {
            result = lex_dollar(lx, sink, false);
        } else if (c == lx->escape) {
            result = lex_quoted_escape(lx, sink);
        } else {
            result = put(lx, sink, &c, 1, false);
            lx->pos++;
        }
        if (result != 0) {
            return -1;
        }
    }
    return fail(lx, start, "a double quote (\") that is not closed");
}

/* The escape character outside of quotes: the next character stands for itself. */
static int lex_escape(struct lexer *lx, struct sink *sink)
{
    if (lx->raw_escapes && put(lx, sink, &lx->escape, 1, false) != 0) {
        return -1;
    }
    lx->pos++;
    if (lx->pos == lx->len) {
        return 0;
    }
    size_t width = width_here(lx);
    const char *at = lx->text + lx->pos;
    lx->pos += width;
    return put(lx, sink, at, width, false);
}

/* "<": a here-document may be announced, and blanks between "<<" and its delimiter do not end the
 * word. */
static int lex_less(struct lexer *lx, struct sink *sink)
{
    size_t start = lx->pos++;
    if (lx->pos < lx->len && lx->text[lx->pos] == '<') {
        lx->pos++;
        lx->pos += strspn(lx->text + lx->pos, "\t\r ");
    }
    return put(lx, sink, lx->text + start, lx->pos - start, false);
}

/* Up to and over STOP, or to the end where STOP is 0. *FOUND: whether STOP came. */
static int lex_until(struct lexer *lx, char stop, struct sink *sink, bool *found)
{
    *found = true;
    while (lx->pos < lx->len) {
        char c = lx->text[lx->pos];
        int result = 0;
        if (stop && c == stop) {
            lx->pos++;
            return 0;
        }
        sink->quote = SIZE_MAX;
        if (c == '$') {
            result = lex_dollar(lx, sink, true);
        } else if (c == '<') {
            result = lex_less(lx, sink);
        } else if (c == '\'' && !lx->x->ignore_quotes) {
            result = lex_single_quote(lx, sink);
        } else if (c == '"' && !lx->x->ignore_quotes) {
            result = lex_double_quote(lx, sink);
        } else if (c == lx->escape) {
            result = lex_escape(lx, sink);
        } else {
            size_t width = width_here(lx);
            result = put(lx, sink, lx->text + lx->pos, width, true);
            lx->pos += width;
        }
        if (result != 0) {
            return -1;
        }
    }
    *found = stop == 0;
    return 0;
}

/* As lex_until with the escapes of patterns or without; a missing STOP is an error at OPEN. */
static int lex_part(struct lexer *lx, char stop, bool raw_escapes, struct sink *sink, size_t open)
{
    bool before = lx->raw_escapes;
    lx->raw_escapes = raw_escapes;
    forget_word(lx);
    bool found = false;
    int result = lex_until(lx, stop, sink, &found);
    lx->raw_escapes = before;
    if (result == 0 && !found) {
        return fail(lx, open,
                    stop == '/' ? "'${' without the '/' before the replacement"
                                : "'${' without '}'");
    }
    return result;
}

/* The length of the name at the current position: a number, one special character, or letters. */
static size_t name_length(const struct lexer *lx)
{
    const char *p = lx->text + lx->pos;
    size_t left = lx->len - lx->pos;
    size_t len = 0;
    while (len < left && p[len] >= '0' && p[len] <= '9') {
        len++;
    }
    if (len > 0 || left == 0) {
        return len;
    }
    if (strchr("@*#?-$!", p[0])) {
        return p[0] ? 1 : 0;
    }
    while (len < left) {
        uint32_t rune = 0;
        size_t width = rune_decode(p + len, left - len, &rune);
        if (!rune_is_letter(rune) && rune != '_' && !(rune >= '0' && rune <= '9')) {
            break;
        }
        len += width;
    }
    return len;
}

/* The value of NAME, NULL if it is not set. */
static int look_up(struct lexer *lx, const char *name, const char **value_out)
{
    const char *value = lx->x->get ? lx->x->get(lx->x->ctx, name) : NULL;
    if (lx->x->used) {
        lx->x->used(lx->x->ctx, name, value != NULL);
    }
    lx->budget.left -= value ? (int64_t)strlen(value) : 1;
    if (lx->budget.left < 0) {
        error_set(lx->err, ERR_USAGE, "the expansion takes too long");
        return -1;
    }
    *value_out = value;
    return 0;
}

/* A ${...} that has been read up to its modifier. */
struct substitution {
    size_t open;      /* position of the $ */
    const char *name; /* terminated */
    char modifier[3]; /* "-", ":-", "#", ... */
    char kind;        /* the last of these */
    bool empty_is_unset;
    struct sink *sink;
    bool split;
};

static int bad_modifier(struct lexer *lx, const struct substitution *s)
{
    char text[96];
    snprintf(text, sizeof text,
             "'${%.40s%s': no such modifier; known are - + ? (also with :), # ## %% %%%% / //",
             s->name, s->modifier);
    return fail(lx, s->open, text);
}

static int put_text(struct lexer *lx, const struct substitution *s, const char *text)
{
    return put(lx, s->sink, text, strlen(text), s->split);
}

/* ${x#p} and ${x%p}, with the character doubled for the longest match. */
static int substitute_trim(struct lexer *lx, const struct substitution *s, const char *pattern,
                           const char *value)
{
    bool greedy = pattern[0] == s->kind;
    size_t start = 0;
    size_t end = 0;
    AUTO(mem_freep) char *copy = mem_strdup(value ? value : "");
    if (expand_trim(pattern + greedy, copy, s->kind == '%', greedy, &lx->budget, &start, &end,
                    lx->err) != 0) {
        lx->err->column = (unsigned)s->open + 1;
        return -1;
    }
    return put(lx, s->sink, copy + start, end - start, s->split);
}

static int required(struct lexer *lx, const struct substitution *s, const char *message, bool unset)
{
    if (!message[0]) {
        message = unset ? "is not allowed to be unset" : "is not allowed to be empty";
    }
    error_set(lx->err, ERR_USAGE, "%s: %s", s->name, message);
    lx->err->column = (unsigned)s->open + 1;
    return -1;
}

/* Modifiers with one word behind them. */
static int substitute_word(struct lexer *lx, const struct substitution *s)
{
    bool trims = s->kind == '#' || s->kind == '%';
    if ((trims && s->empty_is_unset) || !strchr("-+?#%", s->kind)) {
        return bad_modifier(lx, s);
    }
    AUTO(sink_release) struct sink word = nested_sink(lx);
    const char *value = NULL;
    if (lex_part(lx, '}', trims, &word, s->open) != 0 || look_up(lx, s->name, &value) != 0) {
        return -1;
    }
    const char *text = buf_text(&word.text);
    if (lx->x->keep_unset && !value) {
        AUTO(mem_freep) char *kept = mem_printf("${%s%s%s}", s->name, s->modifier, text);
        return put_text(lx, s, kept);
    }
    if (trims) {
        return substitute_trim(lx, s, text, value);
    }
    bool missing = !value || (s->empty_is_unset && !value[0]);
    if (s->kind == '-') {
        return put_text(lx, s, missing ? text : value);
    }
    if (s->kind == '+') {
        return put_text(lx, s, missing ? "" : text);
    }
    return missing ? required(lx, s, text, !value) : put_text(lx, s, value);
}

/* ${x/p/r} and ${x//p/r}. */
static int substitute_replace(struct lexer *lx, const struct substitution *s)
{
    bool all = lx->pos < lx->len && lx->text[lx->pos] == '/';
    lx->pos += all;
    AUTO(sink_release) struct sink pattern = nested_sink(lx);
    AUTO(sink_release) struct sink text = nested_sink(lx);
    const char *value = NULL;
    if (lex_part(lx, '/', true, &pattern, s->open) != 0 ||
        lex_part(lx, '}', true, &text, s->open) != 0 || look_up(lx, s->name, &value) != 0) {
        return -1;
    }
    struct expand_replacement r = {
        .pattern = buf_text(&pattern.text), .text = buf_text(&text.text), .all = all};
    if (lx->x->keep_unset && !value) {
        AUTO(mem_freep) char *kept = mem_printf("${%s/%s/%s}", s->name, r.pattern, r.text);
        return put_text(lx, s, kept);
    }
    AUTO(mem_freep) char *copy = mem_strdup(value ? value : "");
    AUTO(buf_release) struct buf out = BUF_INIT(max_bytes(lx));
    if (expand_replace(&r, copy, &lx->budget, &out, lx->err) != 0) {
        lx->err->column = (unsigned)s->open + 1;
        return -1;
    }
    return put(lx, s->sink, buf_text(&out), out.len, s->split);
}

/* What follows the name in ${name. */
static int lex_modifier(struct lexer *lx, struct substitution *s)
{
    if (lx->pos == lx->len) {
        return fail(lx, s->open, "'${' without '}'");
    }
    char c = lx->text[lx->pos++];
    s->kind = c;
    s->modifier[0] = c;
    if (c == '}') {
        const char *value = NULL;
        if (look_up(lx, s->name, &value) != 0) {
            return -1;
        }
        if (!value && lx->x->keep_unset) {
            AUTO(mem_freep) char *kept = mem_printf("${%s}", s->name);
            return put_text(lx, s, kept);
        }
        return put_text(lx, s, value ? value : "");
    }
    if (c == '/') {
        return substitute_replace(lx, s);
    }
    if (c == ':') {
        if (lx->pos == lx->len) {
            return fail(lx, s->open, "'${' without '}'");
        }
        s->empty_is_unset = true;
        s->kind = lx->text[lx->pos++];
        s->modifier[1] = s->kind;
    }
    return substitute_word(lx, s);
}

static int lex_braces(struct lexer *lx, struct substitution *s)
{
    if (lx->depth == EXPAND_DEPTH_MAX) {
        return fail(lx, s->open, "'${' is nested too deep");
    }
    lx->pos++;
    if (lx->pos == lx->len) {
        return fail(lx, s->open, "'${' without '}'");
    }
    if (strchr("{}:", lx->text[lx->pos])) {
        return fail(lx, s->open, "'${' without the name of a variable");
    }
    size_t len = name_length(lx);
    AUTO(mem_freep) char *name = mem_strndup(lx->text + lx->pos, len);
    lx->pos += len;
    s->name = name;
    lx->depth++;
    int result = lex_modifier(lx, s);
    lx->depth--;
    return result;
}

static int lex_dollar(struct lexer *lx, struct sink *sink, bool split)
{
    struct substitution s = {.open = lx->pos++, .sink = sink, .split = split};
    if (lx->pos < lx->len && lx->text[lx->pos] == '{') {
        return lex_braces(lx, &s);
    }
    size_t len = name_length(lx);
    if (len == 0) {
        return put(lx, sink, "$", 1, split);
    }
    AUTO(mem_freep) char *name = mem_strndup(lx->text + lx->pos, len);
    lx->pos += len;
    const char *value = NULL;
    if (look_up(lx, name, &value) != 0) {
        return -1;
    }
    if (!value && lx->x->keep_unset) {
        return put(lx, sink, lx->text + s.open, lx->pos - s.open, split);
    }
    return put(lx, sink, value ? value : "", value ? strlen(value) : 0, split);
}

static int expand(const struct expander *x, const char *word, struct sink *sink, struct error *err)
{
    struct lexer lx = {.x = x, .text = word, .len = strlen(word), .err = err};
    lx.escape = x->escape ? x->escape : '\\';
    lx.raw_escapes = x->keep_escapes;
    lx.budget.left = EXPAND_BUDGET;
    bool found = false;
    *sink = (struct sink){
        .words = sink->words, .text = BUF_INIT(max_bytes(&lx)), .word = BUF_INIT(max_bytes(&lx))};
    lx.words = sink->words ? sink : NULL;
    return lex_until(&lx, 0, sink, &found);
}

int expand_word(const struct expander *x, const char *word, char **out, struct error *err)
{
    AUTO(sink_release) struct sink sink = {0};
    if (expand(x, word, &sink, err) != 0) {
        return -1;
    }
    *out = buf_take(&sink.text);
    return 0;
}

int expand_words(const struct expander *x, const char *word, struct strlist *out, struct error *err)
{
    AUTO(strlist_release) struct strlist words = {0};
    AUTO(sink_release) struct sink sink = {.words = &words};
    if (expand(x, word, &sink, err) != 0) {
        return -1;
    }
    end_word(&sink);
    strlist_add_all(out, &words);
    return 0;
}

int expand_heredoc(const struct expander *x, const char *content, char **out, struct error *err)
{
    struct expander raw = *x;
    raw.ignore_quotes = true;
    raw.escape = '\\'; /* also where the Dockerfile has another (BuildKit) */
    raw.max_bytes = LIMIT_HEREDOC_BYTES;
    return expand_word(&raw, content, out, err);
}
