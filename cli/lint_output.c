#include "cli/lint_output.h"

#include <string.h>

#include "base/memory.h"
#include "cli/report.h"
#include "cli/text.h"

static void print_finding(const struct check_result *result, const struct lint_finding *f,
                          FILE *out)
{
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    text_clean(result->dockerfile_name, strlen(result->dockerfile_name), &text);
    buf_printf(&text, ":%u:", f->line);
    if (f->column) {
        buf_printf(&text, "%u:", f->column);
    }
    buf_printf(&text, " %s: ", f->rule->name);
    text_clean(f->text, strlen(f->text), &text);
    fprintf(out, "%s\n", buf_text(&text));
    const struct error place = {.line = f->line, .column = f->column, .width = f->width};
    report_line(&place, result->dockerfile_text, out);
    if (f->advice) {
        buf_clear(&text);
        text_clean(f->advice, strlen(f->advice), &text);
        fprintf(out, "      = %s\n", buf_text(&text));
    }
}

void lint_print(const struct check_result *result, FILE *out)
{
    const struct lint *lint = &result->lint;
    for (size_t i = 0; i < lint->len; i++) {
        print_finding(result, &lint->items[i], out);
    }
    for (size_t i = 0; i < lint->unknown.len; i++) {
        AUTO(buf_release) struct buf name = BUF_INIT(0);
        text_clean(lint->unknown.items[i], strlen(lint->unknown.items[i]), &name);
        fprintf(out,
                "note: the image '%s' cannot be read, so its platform and the variables that it "
                "may bring were not "
                "checked\n",
                buf_text(&name));
    }
    if (lint->len == 0) {
        fputs("no warnings found\n", out);
    } else {
        fprintf(out, "%zu warning%s found\n", lint->len, lint->len == 1 ? "" : "s");
    }
}

/* TEXT as JSON, with what is no UTF-8 replaced. */
static json_t *text_json(const char *text)
{
    AUTO(buf_release) struct buf valid = BUF_INIT(0);
    text_utf8(text, strlen(text), &valid);
    return json_stringn(buf_text(&valid), valid.len);
}

static json_t *location_json(unsigned first, unsigned last)
{
    return json_pack("{s:[{s:{s:i}, s:{s:i}}]}", "ranges", "start", "line", (int)first, "end",
                     "line", (int)last);
}

static json_t *finding_json(const struct lint_finding *f)
{
    AUTO(mem_freep)
    char *url = f->rule->page[0] ? mem_printf(LINT_PAGES "%s/", f->rule->page) : NULL;
    json_t *object = json_object();
    json_object_set_new(object, "ruleName", json_string(f->rule->name));
    json_object_set_new(object, "description", json_string(f->rule->description));
    if (url) {
        json_object_set_new(object, "url", json_string(url));
    }
    json_object_set_new(object, "detail", text_json(f->text));
    json_object_set_new(object, "location", location_json(f->first_line, f->last_line));
    json_object_set_new(object, "line", json_integer(f->line));
    if (f->column) {
        json_object_set_new(object, "column", json_integer(f->column));
    }
    if (f->advice) {
        json_object_set_new(object, "advice", text_json(f->advice));
    }
    return object;
}

json_t *lint_json(const struct check_result *result, const struct error *err)
{
    json_t *root = json_object();
    json_t *warnings = json_array();
    json_t *sources = json_array();
    for (size_t i = 0; i < result->lint.len; i++) {
        json_array_append_new(warnings, finding_json(&result->lint.items[i]));
    }
    if (result->dockerfile_name) {
        json_t *source = json_object();
        json_object_set_new(source, "filename", text_json(result->dockerfile_name));
        json_object_set_new(source, "language", json_string("Dockerfile"));
        json_array_append_new(sources, source);
    }
    json_object_set_new(root, "warnings", warnings);
    json_object_set_new(root, "sources", sources);
    if (err->code != ERR_NONE) {
        json_t *error = json_object();
        json_object_set_new(error, "message", text_json(err->text));
        if (err->line) {
            json_object_set_new(error, "location", location_json(err->line, err->line));
        }
        json_object_set_new(root, "buildError", error);
    }
    return root;
}
