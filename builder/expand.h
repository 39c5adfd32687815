/*
 * Variables and quotes in the words of a Dockerfile, as BuildKit's shell lexer has them.
 *
 *     $x ${x}  ${x:-w} ${x-w}  ${x:+w} ${x+w}  ${x:?m} ${x?m}
 *     ${x#p} ${x##p} ${x%p} ${x%%p}  ${x/p/r} ${x//p/r}
 *
 * Quotes and the escape character are taken away unless told otherwise. A variable that is not set
 * is empty. The result is at most LIMIT_WORD_BYTES (a here-document: LIMIT_HEREDOC_BYTES) and
 * ${...} may nest EXPAND_DEPTH_MAX deep; more is ERR_USAGE.
 */
#ifndef SLIPWAY_BUILDER_EXPAND_H
#define SLIPWAY_BUILDER_EXPAND_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/strlist.h"

enum { EXPAND_DEPTH_MAX = 64 };

struct expander {
    /* The value of NAME, borrowed until the next call; NULL: not set. */
    const char *(*get)(void *ctx, const char *name);
    void *ctx;
    /* Unless NULL: told of each variable whose value was wanted, and whether it was set (for the
     * lint rule UndefinedVar; BuildKit counts "${x:-word}" as well). */
    void (*used)(void *ctx, const char *name, bool set);
    char escape;        /* '\\' or '`' (`dockerfile.escape`); 0: '\\' */
    bool keep_quotes;   /* quotes stay in the result, but still quote */
    bool keep_escapes;  /* the escape character stays in the result, but still escapes */
    bool ignore_quotes; /* quotes are ordinary characters (the content of a here-document) */
    bool keep_unset;    /* $x stays as written where x is not set */
    size_t max_bytes;   /* of the result; 0: LIMIT_WORD_BYTES */
};

/* Expands WORD to one string, which is the caller's. ERR_USAGE: unclosed quote or brace, bad
 * modifier, a required variable that is missing, too long. err->column is a byte of WORD (from 1).
 */
int expand_word(const struct expander *x, const char *word, char **out, struct error *err);

/* Expands WORD and splits it at blanks outside of quotes, also those that variables brought (as
 * EXPOSE has it); adds to OUT. */
int expand_words(const struct expander *x, const char *word, struct strlist *out,
                 struct error *err);

/* Expands the content of a here-document of COPY or ADD: quotes stay and do not quote. */
int expand_heredoc(const struct expander *x, const char *content, char **out, struct error *err);

#endif
