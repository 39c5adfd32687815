#include "cli/report.h"

#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "base/memory.h"
#include "cli/text.h"

enum { SHOWN_BEFORE = 60, SHOWN_COLUMNS = 120 };

/* Line NUMBER of TEXT without its line feed, NULL where it has fewer. The caller's. */
static char *find_line(const char *text, unsigned number)
{
    for (unsigned i = 1; i < number; i++) {
        text += strcspn(text, "\n");
        if (*text == '\0') {
            return NULL;
        }
        text++;
    }
    size_t len = strcspn(text, "\n");
    while (len > 0 && text[len - 1] == '\r') {
        len--;
    }
    return mem_strndup(text, len);
}

/* Writes LINE with a caret below COLUMN (1-based bytes), cut so that both are seen. */
static void show_line(const char *line, const struct error *err, FILE *out)
{
    size_t len = strlen(line);
    size_t caret = err->column ? err->column - 1 : 0;
    caret = caret > len ? len : caret;
    size_t first = caret > SHOWN_BEFORE ? caret - SHOWN_BEFORE : 0;
    size_t width = err->width ? err->width : 1;
    width = width > len - caret ? len - caret : width;
    AUTO(buf_release) struct buf before = BUF_INIT(0);
    AUTO(buf_release) struct buf marked = BUF_INIT(0);
    AUTO(buf_release) struct buf whole = BUF_INIT(0);
    text_clean(line + first, caret - first, &before);
    text_clean(line + caret, width, &marked);
    text_clean(line + first, len - first, &whole);
    AUTO(mem_freep)
    char *shown = mem_strndup(buf_text(&whole), text_fit(buf_text(&whole), SHOWN_COLUMNS));
    fprintf(out, "%5u | %s\n", err->line, shown);
    if (err->column == 0) {
        return;
    }
    size_t blank = text_columns(buf_text(&before));
    size_t under = text_columns(buf_text(&marked));
    under = blank + under > SHOWN_COLUMNS && blank < SHOWN_COLUMNS ? SHOWN_COLUMNS - blank : under;
    fprintf(out, "      | %*s^", (int)blank, "");
    for (size_t i = 1; i < under; i++) {
        fputc('~', out);
    }
    fputc('\n', out);
}

void report_line(const struct error *place, const char *text, FILE *out)
{
    AUTO(mem_freep) char *line = find_line(text, place->line);
    if (line) {
        show_line(line, place, out);
    }
}

void report_error(const struct error *err, const struct report_source *source, FILE *out)
{
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    if (err->file[0]) {
        text_clean(err->file, strlen(err->file), &text);
        buf_putc(&text, ':');
    }
    if (err->file[0] && err->line) {
        buf_printf(&text, "%u:", err->line);
    }
    if (err->file[0] && err->line && err->column) {
        buf_printf(&text, "%u:", err->column);
    }
    if (err->file[0]) {
        buf_putc(&text, ' ');
    }
    text_clean_lines(err->text, strlen(err->text), &text);
    fprintf(out, "slipway: %s\n", buf_text(&text));
    /* The line is shown where it is what has to be changed; a registry's or the disk's errors only
     * say which line met them. */
    bool mendable = err->code == ERR_USAGE || err->code == ERR_STEP;
    bool placed = mendable && err->line && source->text && strcmp(source->name, err->file) == 0;
    if (placed) {
        report_line(err, source->text, out);
    }
    fflush(out);
}
