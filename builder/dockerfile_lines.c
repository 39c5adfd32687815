/* The lines of a Dockerfile: directives in front, comments, continuations. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "builder/dockerfile_internal.h"
#include "builder/rune.h"

bool source_next(struct source *src, struct physical *out)
{
    if (src->pos >= src->len) {
        return false;
    }
    const char *start = src->text + src->pos;
    const char *newline = memchr(start, '\n', src->len - src->pos);
    out->text = start;
    out->full_len = newline ? (size_t)(newline - start) + 1 : src->len - src->pos;
    out->len = out->full_len;
    while (out->len > 0 && (start[out->len - 1] == '\n' || start[out->len - 1] == '\r')) {
        out->len--;
    }
    src->pos += out->full_len;
    src->line++;
    return true;
}

/* Bytes of white space at the beginning. */
static size_t blank_prefix(const char *text, size_t len)
{
    size_t pos = 0;
    while (pos < len) {
        uint32_t rune = 0;
        size_t width = rune_decode(text + pos, len - pos, &rune);
        if (!rune_is_space(rune)) {
            break;
        }
        pos += width;
    }
    return pos;
}

/* Takes away an escape character at the end (blanks may follow it). One that is itself escaped does
 * not count. Returns whether the line goes on. */
static bool cut_continuation(const char *text, size_t *len, char escape)
{
    size_t end = *len;
    while (end > 0 && (text[end - 1] == ' ' || text[end - 1] == '\t')) {
        end--;
    }
    if (end == 0 || text[end - 1] != escape || (end > 1 && text[end - 2] == escape)) {
        return false;
    }
    *len = end - 1;
    return true;
}

/* A directive's name and value: "# name = value". */
struct directive_text {
    const char *name;
    size_t name_len;
    const char *value;
    size_t value_len;
};

static bool directive_split(const char *text, size_t len, struct directive_text *out)
{
    if (len == 0 || text[0] != '#') {
        return false;
    }
    size_t pos = 1 + blank_prefix(text + 1, len - 1);
    out->name = text + pos;
    while (pos < len && isalnum((unsigned char)text[pos])) {
        pos++;
    }
    out->name_len = (size_t)(text + pos - out->name);
    pos += blank_prefix(text + pos, len - pos);
    if (out->name_len == 0 || isdigit((unsigned char)out->name[0]) || pos >= len ||
        text[pos] != '=') {
        return false;
    }
    pos++;
    out->value_len = text_trim(text + pos, len - pos, &out->value);
    return out->value_len > 0;
}

static struct directive *directive_slot(struct dockerfile *df, const struct directive_text *d)
{
    static const char *const names[] = {"syntax", "escape", "check"};
    struct directive *slots[] = {&df->syntax, &df->escape_directive, &df->check};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strlen(names[i]) == d->name_len && strncasecmp(names[i], d->name, d->name_len) == 0) {
            return slots[i];
        }
    }
    return NULL;
}

/* Takes in LINE if it is a directive; the first line that is none ends them. */
static int read_directive(struct source *src, const char *text, size_t len, const char *line_start,
                          struct error *err)
{
    struct directive_text d = {0};
    if (src->directives_done || !directive_split(text, len, &d)) {
        src->directives_done = true;
        return 0;
    }
    struct directive *slot = directive_slot(src->df, &d);
    if (!slot) {
        src->directives_done = true;
        return 0;
    }
    unsigned column = (unsigned)(d.name - line_start) + 1;
    if (slot->value) {
        error_set(err, ERR_USAGE, "a second '%.*s' directive; the first is on line %u",
                  (int)d.name_len, d.name, slot->line);
        return error_locate(err, src->file, src->line, column, (unsigned)d.name_len);
    }
    if (slot == &src->df->escape_directive) {
        if (d.value_len != 1 || (d.value[0] != '\\' && d.value[0] != '`')) {
            error_set(err, ERR_USAGE, "escape=%.*s: the escape character can be \\ or `",
                      (int)(d.value_len < 60 ? d.value_len : 60), d.value);
            return error_locate(err, src->file, src->line, (unsigned)(d.value - line_start) + 1,
                                (unsigned)d.value_len);
        }
        src->df->escape = d.value[0];
    }
    slot->value = mem_strndup(d.value, d.value_len);
    slot->line = src->line;
    return 0;
}

void logical_release(struct logical *line)
{
    buf_release(&line->text);
    free(line->segments);
    line->segments = NULL;
    line->segments_len = 0;
}

static void add_segment(struct logical *line, const struct source *src, size_t column,
                        const char *text, size_t len)
{
    size_t count = line->segments_len;
    if ((count & (count - 1)) == 0) { /* full at every power of two */
        line->segments = mem_realloc(line->segments, count ? count * 2 : 1, sizeof *line->segments);
    }
    line->segments[line->segments_len++] = (struct segment){
        .offset = line->text.len, .line = src->line, .column = (unsigned)column + 1};
    buf_append(&line->text, text, len);
}

/* Adds what follows a line that goes on. */
static void read_continuations(struct source *src, struct logical *line)
{
    struct physical p;
    while (source_next(src, &p)) {
        line->end_line = src->line;
        size_t blank = blank_prefix(p.text, p.len);
        if (blank < p.len && p.text[blank] == '#') {
            continue;
        }
        if (blank == p.len) {
            line->empty_continuation = true;
            continue;
        }
        size_t len = p.len;
        bool goes_on = cut_continuation(p.text, &len, src->df->escape);
        add_segment(line, src, 0, p.text, len);
        if (!goes_on) {
            return;
        }
    }
}

int logical_read(struct source *src, struct logical *out, bool *more_out, struct error *err)
{
    struct physical p;
    *more_out = false;
    while (source_next(src, &p)) {
        const char *text = p.text;
        size_t len = p.len;
        if (src->line == 1 && len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
            text += 3;
            len -= 3;
        }
        size_t blank = blank_prefix(text, len);
        text += blank;
        len -= blank;
        if (read_directive(src, text, len, p.text, err) != 0) {
            return -1;
        }
        if (len == 0 || text[0] == '#') {
            continue;
        }
        bool goes_on = cut_continuation(text, &len, src->df->escape);
        out->line = out->end_line = src->line;
        add_segment(out, src, (size_t)(text - p.text), text, len);
        if (goes_on) {
            read_continuations(src, out);
        }
        *more_out = true;
        return 0;
    }
    return 0;
}

void logical_place(const struct logical *line, size_t offset, unsigned *line_out,
                   unsigned *column_out)
{
    size_t low = 0;
    size_t high = line->segments_len;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (line->segments[middle].offset <= offset) {
            low = middle;
        } else {
            high = middle;
        }
    }
    const struct segment *segment = &line->segments[low];
    *line_out = segment->line;
    *column_out = segment->column + (unsigned)(offset - segment->offset);
}

int logical_locate(const struct logical *line, const char *file, size_t start, size_t width,
                   struct error *err)
{
    unsigned number = 0;
    unsigned column = 0;
    logical_place(line, start, &number, &column);
    return error_locate(err, file, number, column, (unsigned)width);
}

int reader_fail(const struct reader *r, size_t start, size_t width, struct error *err,
                const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char text[ERROR_TEXT_SIZE];
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    error_set(err, ERR_USAGE, "%s", text);
    return logical_locate(r->line, r->src->file, start, width, err);
}
