#include "cli/template.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* As Go's fmt prints a value: [a b], map[k:v]. */
static void print_value(const json_t *value, struct buf *out)
{
    size_t index = 0;
    const json_t *item = NULL;
    const char *key = NULL;
    const char *separator = "";
    switch (value ? json_typeof(value) : JSON_NULL) {
    case JSON_STRING:
        buf_puts(out, json_string_value(value));
        break;
    case JSON_ARRAY:
        buf_putc(out, '[');
        json_array_foreach((json_t *)(uintptr_t)value, index, item)
        {
            buf_puts(out, separator);
            print_value(item, out);
            separator = " ";
        }
        buf_putc(out, ']');
        break;
    case JSON_OBJECT:
        buf_puts(out, "map[");
        json_object_foreach((json_t *)(uintptr_t)value, key, item)
        {
            buf_printf(out, "%s%s:", separator, key);
            print_value(item, out);
            separator = " ";
        }
        buf_putc(out, ']');
        break;
    case JSON_INTEGER:
        buf_printf(out, "%lld", (long long)json_integer_value(value));
        break;
    case JSON_REAL:
        buf_printf(out, "%g", json_real_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        buf_puts(out, json_is_true(value) ? "true" : "false");
        break;
    case JSON_NULL:
        buf_puts(out, "<no value>");
        break;
    }
}

static void print_json(const json_t *value, struct buf *out)
{
    char *text = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    buf_puts(out, text ? text : "null");
    free(text);
}

/* The word at *P, which moves behind it and the blanks that follow; quotes stay. The caller's. */
static char *next_word(const char **p)
{
    const char *start = *p;
    const char *end = start;
    if (*end == '"') {
        end += 1 + strcspn(end + 1, "\"");
        end += *end == '"';
    } else {
        end += strcspn(end, " \t");
    }
    *p = end + strspn(end, " \t");
    return mem_strndup(start, (size_t)(end - start));
}

/* What ".A.B" names; NULL where a part is missing. */
static const json_t *follow(const json_t *value, const char *path)
{
    while (value && *path == '.' && path[1] != '\0') {
        size_t len = strcspn(path + 1, ".");
        AUTO(mem_freep) char *key = mem_strndup(path + 1, len);
        value = json_object_get(value, key);
        path += 1 + len;
    }
    return value;
}

static const json_t *index_value(const json_t *value, const char *word)
{
    if (*word == '"') {
        size_t len = strlen(word);
        AUTO(mem_freep) char *key = mem_strndup(word + 1, len > 1 ? len - 2 : 0);
        return json_object_get(value, key);
    }
    return json_array_get(value, strtoul(word, NULL, 10));
}

static int bad_action(const char *action, struct error *err)
{
    return error_set(err, ERR_USAGE,
                     "--format: {{%s}} is not known: {{.A.B}}, {{json .A}} and {{index .A 0}} are",
                     action);
}

/* index PATH WORD... */
static int expand_index(const char *action, const char *p, const json_t *root, struct buf *out,
                        struct error *err)
{
    AUTO(mem_freep) char *path = next_word(&p);
    if (path[0] != '.' || *p == '\0') {
        return bad_action(action, err);
    }
    const json_t *value = follow(root, path);
    while (*p) {
        AUTO(mem_freep) char *word = next_word(&p);
        if (*word != '"' && !isdigit((unsigned char)*word)) {
            return bad_action(action, err);
        }
        value = index_value(value, word);
    }
    if (!value) {
        return error_set(err, ERR_USAGE, "--format: {{%s}}: there is no such item", action);
    }
    print_value(value, out);
    return 0;
}

/* ACTION is what stands between the braces, without blanks around. */
static int expand_action(const char *action, const json_t *root, struct buf *out, struct error *err)
{
    const char *p = action;
    AUTO(mem_freep) char *word = next_word(&p);
    if (strcmp(word, "index") == 0) {
        return expand_index(action, p, root, out, err);
    }
    bool json = strcmp(word, "json") == 0;
    AUTO(mem_freep) char *path = json ? next_word(&p) : mem_strdup(word);
    if (path[0] != '.' || *p != '\0' || strpbrk(path, "|()\"$")) {
        return bad_action(action, err);
    }
    const json_t *value = follow(root, path);
    if (json) {
        print_json(value, out);
    } else {
        print_value(value, out);
    }
    return 0;
}

static void put_escape(char c, struct buf *out)
{
    switch (c) {
    case 'n':
        buf_putc(out, '\n');
        break;
    case 't':
        buf_putc(out, '\t');
        break;
    default:
        buf_putc(out, '\\');
        buf_putc(out, c);
        break;
    }
}

int template_expand(const char *text, const json_t *value, struct buf *out, struct error *err)
{
    while (*text) {
        if (text[0] == '\\' && text[1] != '\0') {
            put_escape(text[1], out);
            text += 2;
            continue;
        }
        if (strncmp(text, "{{", 2) != 0) {
            buf_putc(out, *text++);
            continue;
        }
        const char *start = text + 2 + strspn(text + 2, " \t");
        const char *end = strstr(start, "}}");
        if (!end) {
            return error_set(err, ERR_USAGE, "--format: }} is missing");
        }
        text = end + 2;
        while (end > start && (end[-1] == ' ' || end[-1] == '\t')) {
            end--;
        }
        AUTO(mem_freep) char *action = mem_strndup(start, (size_t)(end - start));
        if (expand_action(action, value, out, err) != 0) {
            return -1;
        }
    }
    return 0;
}
