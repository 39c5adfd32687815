/* Listings by --format. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/strlist.h"
#include "cli/template.h"
#include "cli/text.h"

/* Adds the columns of one row to CELLS; they end where WIDTH are there, unless it is 0. */
static int add_cells(const char *format, const json_t *object, struct strlist *cells, size_t *width,
                     struct error *err)
{
    AUTO(buf_release) struct buf line = BUF_INIT(0);
    if (template_expand(format, object, &line, err) != 0) {
        return -1;
    }
    AUTO(mem_freep) char *text = buf_take(&line);
    char *rest = text;
    size_t count = 0;
    while (*width == 0 ? rest != NULL : count < *width) {
        char *cell = rest ? strsep(&rest, "\t") : NULL;
        strlist_add(cells, cell ? cell : "");
        count++;
    }
    *width = count;
    return 0;
}

static int print_table(const char *format, const json_t *rows, const json_t *heads,
                       struct error *err)
{
    AUTO(strlist_release) struct strlist cells = {0};
    size_t width = 0;
    size_t len = json_array_size(rows);
    if (add_cells(format, heads, &cells, &width, err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < len; i++) {
        if (add_cells(format, json_array_get(rows, i), &cells, &width, err) != 0) {
            return -1;
        }
    }
    text_table((const char *const *)cells.items, len + 1, width, stdout);
    return 0;
}

int template_print(const char *format, const json_t *rows, const json_t *heads, struct error *err)
{
    static const char table[] = "table ";
    if (strncmp(format, table, sizeof table - 1) == 0) {
        return print_table(format + sizeof table - 1, rows, heads, err);
    }
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *object = json_array_get(rows, i);
        AUTO(buf_release) struct buf text = BUF_INIT(0);
        if (strcmp(format, "json") == 0) {
            json_render(object, &text);
        } else if (template_expand(format, object, &text, err) != 0) {
            return -1;
        }
        puts(buf_text(&text));
    }
    return 0;
}
