/* Where in the file a word stands, for messages. */
#include <string.h>

#include "builder/dockerfile.h"

int dockerfile_locate(struct error *err, const char *file, const struct instruction *in)
{
    return error_locate(err, file, in->line, in->column,
                        in->column ? (unsigned)strlen(in->keyword) : 0);
}

int dockerfile_locate_flag(struct error *err, const char *file, const struct instruction *in,
                           const struct flag *flag)
{
    /* The flag of a trigger stands in no file. */
    return flag && in->column ? error_locate(err, file, flag->line, flag->column, flag->width)
                              : dockerfile_locate(err, file, in);
}

/* Whether C, NUL at a line's end, may stand beside a word. */
static bool separates(char c)
{
    return c == '\0' || strchr(" \t\r\n\"'=,[]\\`", c) != NULL;
}

/* WORD in [P, END), where a WHOLE word is wanted with nothing but separators around. */
static const char *find_in_line(const char *p, const char *end, const char *word, bool whole)
{
    size_t len = strlen(word);
    const char *line = p;
    while (p < end) {
        const char *found = memmem(p, (size_t)(end - p), word, len);
        if (!found || !whole) {
            return found;
        }
        char before = found > line ? found[-1] : '\0';
        char after = found + len < end ? found[len] : '\0';
        if (separates(before) && separates(after)) {
            return found;
        }
        p = found + 1;
    }
    return NULL;
}

static bool find_word(const char *text, const struct instruction *in, const char *word, bool whole,
                      struct error *err)
{
    const char *p = text;
    for (unsigned line = 1; line <= in->end_line; line++) {
        const char *end = strchrnul(p, '\n');
        const char *start = p;
        if (line == in->line) {
            size_t skip = in->column - 1 + strlen(in->keyword);
            start = skip < (size_t)(end - p) ? p + skip : end;
        }
        bool comment = line > in->line && p[strspn(p, " \t")] == '#';
        const char *found =
            line >= in->line && !comment ? find_in_line(start, end, word, whole) : NULL;
        if (found) {
            err->line = line;
            err->column = (unsigned)(found - p) + 1;
            err->width = (unsigned)strlen(word);
            return true;
        }
        if (!*end) {
            return false;
        }
        p = end + 1;
    }
    return false;
}

int dockerfile_locate_word(struct error *err, const char *file, const char *text,
                           const struct instruction *in, const char *word)
{
    struct error place = {0};
    /* A trigger (column 0) stands in no file. */
    if (in->column > 0 && word[0] &&
        (find_word(text, in, word, true, &place) || find_word(text, in, word, false, &place))) {
        return error_locate(err, file, place.line, place.column, place.width);
    }
    return dockerfile_locate(err, file, in);
}

int dockerfile_locate_expansion(struct error *err, const char *file, const char *text,
                                const struct instruction *in, const char *word)
{
    if (err->line != 0) {
        return -1;
    }
    unsigned within = err->column;
    err->column = 0;
    dockerfile_locate_word(err, file, text, in, word);
    bool found = err->line != in->line || err->column != in->column;
    if (found && within > 1 && within <= err->width) {
        err->column += within - 1;
        err->width -= within - 1;
    }
    return -1;
}
