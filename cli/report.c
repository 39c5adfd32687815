#include "cli/report.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/memory.h"
#include "cli/text.h"

enum { SHOWN_BEFORE = 60, SHOWN_COLUMNS = 120 };

/* Line NUMBER of FILE without its line feed, NULL where it cannot be read. The caller's. */
static char *read_line(const char *file, unsigned number)
{
    struct stat st;
    struct error ignored = {0};
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    if (stat(file, &st) != 0 || !S_ISREG(st.st_mode) ||
        file_read(AT_FDCWD, file, LIMIT_DOCKERFILE_BYTES, &text, NULL, &ignored) != 0) {
        return NULL;
    }
    const char *line = buf_text(&text);
    const char *end = line + text.len;
    for (unsigned i = 1; i < number; i++) {
        const char *feed = memchr(line, '\n', (size_t)(end - line));
        if (!feed) {
            return NULL;
        }
        line = feed + 1;
    }
    const char *feed = memchr(line, '\n', (size_t)(end - line));
    size_t len = (size_t)((feed ? feed : end) - line);
    while (len > 0 && line[len - 1] == '\r') {
        len--;
    }
    return mem_strndup(line, len);
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

void report_error(const struct error *err, FILE *out)
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
    bool placed = err->file[0] && err->line && mendable;
    AUTO(mem_freep) char *line = placed ? read_line(err->file, err->line) : NULL;
    if (line) {
        show_line(line, err, out);
    }
    fflush(out);
}
