#include "cli/text.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#include "base/memory.h"

/* Length of the well-formed UTF-8 character at P (Unicode 15, table 3-7), 0 if there is none.
 * *CODE_OUT is the character. */
static size_t utf8_character(const unsigned char *p, size_t len, uint32_t *code_out)
{
    static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (p[0] < 0x80) {
        *code_out = p[0];
        return 1;
    }
    size_t need = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || need > len) {
        return 0;
    }
    uint32_t code = p[0] & (0xffu >> (need + 1));
    for (size_t i = 1; i < need; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
        code = code << 6 | (p[i] & 0x3f);
    }
    if (code < lowest[need] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) {
        return 0;
    }
    *code_out = code;
    return need;
}

/* Bytes of the control string (OSC, DCS, ...) at P up to and with BEL or ESC \. */
static size_t control_string(const unsigned char *p, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (p[i] == 0x07) {
            return i + 1;
        }
        if (p[i] == 0x1b && i + 1 < len && p[i + 1] == '\\') {
            return i + 2;
        }
    }
    return len;
}

/* Bytes of the escape sequence at P, which starts with ESC (ECMA-48, 5.4 and 5.6). */
static size_t escape_sequence(const unsigned char *p, size_t len)
{
    if (len < 2) {
        return 1;
    }
    size_t i = 2;
    if (p[1] == '[') {
        while (i < len && p[i] >= 0x20 && p[i] < 0x40) {
            i++;
        }
        return i < len && p[i] >= 0x40 && p[i] < 0x7f ? i + 1 : i;
    }
    if (strchr("]PX^_", p[1])) {
        return 2 + control_string(p + 2, len - 2);
    }
    i = 1;
    while (i < len && p[i] >= 0x20 && p[i] < 0x30) {
        i++;
    }
    return i < len && p[i] >= 0x30 && p[i] < 0x7f ? i + 1 : i;
}

/* Characters that turn the reading direction or hide text: they can make a line say something else.
 */
static bool misleading(uint32_t code)
{
    return (code >= 0x80 && code < 0xa0) || (code >= 0x202a && code <= 0x202e) ||
           (code >= 0x2066 && code <= 0x2069) || code == 0x2028 || code == 0x2029;
}

static void clean(const char *text, size_t len, bool lines, struct buf *out)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t i = 0;
    while (i < len) {
        uint32_t code = 0;
        size_t size = utf8_character(p + i, len - i, &code);
        if (p[i] == 0x1b) {
            i += escape_sequence(p + i, len - i);
            continue;
        }
        if (code == '\t') {
            buf_putc(out, ' ');
        } else if (code == '\n' && lines && size == 1) {
            buf_putc(out, '\n');
        } else if (size == 0 || code < 0x20 || code == 0x7f || misleading(code)) {
            buf_putc(out, '?');
        } else {
            buf_append(out, p + i, size);
        }
        i += size ? size : 1;
    }
}

void text_clean(const char *text, size_t len, struct buf *out)
{
    clean(text, len, false, out);
}

void text_clean_lines(const char *text, size_t len, struct buf *out)
{
    clean(text, len, true, out);
}

void text_utf8(const char *text, size_t len, struct buf *out)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t i = 0;
    while (i < len) {
        uint32_t code = 0;
        size_t size = utf8_character(p + i, len - i, &code);
        if (size) {
            buf_append(out, p + i, size);
        } else {
            buf_puts(out, "\xef\xbf\xbd");
        }
        i += size ? size : 1;
    }
}

/* Walks TEXT as long as its columns stay within LIMIT; returns the bytes walked. */
static size_t walk(const char *text, size_t limit, size_t *columns_out)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t len = strlen(text);
    size_t columns = 0;
    size_t i = 0;
    while (i < len) {
        uint32_t code = 0;
        size_t size = utf8_character(p + i, len - i, &code);
        int width = size ? wcwidth((wchar_t)code) : 1;
        size_t wide = width < 0 ? 1 : (size_t)width;
        if (columns + wide > limit) {
            break;
        }
        columns += wide;
        i += size ? size : 1;
    }
    *columns_out = columns;
    return i;
}

size_t text_columns(const char *text)
{
    size_t columns = 0;
    walk(text, SIZE_MAX / 2, &columns);
    return columns;
}

size_t text_fit(const char *text, size_t columns)
{
    size_t used = 0;
    return walk(text, columns, &used);
}

char *text_bytes(uint64_t bytes, char out[TEXT_SIZE_SIZE])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 999.5 && unit + 1 < ARRAY_LEN(units)) {
        value /= 1000;
        unit++;
    }
    snprintf(out, TEXT_SIZE_SIZE, unit == 0 || value >= 100 ? "%.0f %s" : "%.1f %s", value,
             units[unit]);
    return out;
}

void text_table(const char *const *cells, size_t rows, size_t width, FILE *out)
{
    size_t *widest = mem_calloc(width, sizeof *widest);
    for (size_t i = 0; i < rows * width; i++) {
        size_t columns = text_columns(cells[i]);
        size_t column = i % width;
        widest[column] = columns > widest[column] ? columns : widest[column];
    }
    for (size_t i = 0; i < rows * width; i++) {
        size_t column = i % width;
        fputs(cells[i], out);
        if (column + 1 == width) {
            fputc('\n', out);
        } else {
            fprintf(out, "%*s", (int)(widest[column] - text_columns(cells[i]) + 3), "");
        }
    }
    free(widest);
}

char *text_ago(int64_t then, char out[TEXT_AGO_SIZE])
{
    static const struct {
        int64_t seconds;
        const char *name;
    } units[] = {{31536000, "year"}, {2592000, "month"}, {604800, "week"}, {86400, "day"},
                 {3600, "hour"},     {60, "minute"},     {1, "second"}};
    int64_t ago = (int64_t)time(NULL) - then;
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        int64_t count = ago / units[i].seconds;
        if (count >= 1) {
            snprintf(out, TEXT_AGO_SIZE, "%lld %s%s ago", (long long)count, units[i].name,
                     count == 1 ? "" : "s");
            return out;
        }
    }
    snprintf(out, TEXT_AGO_SIZE, "just now");
    return out;
}
