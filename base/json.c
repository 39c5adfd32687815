#include "base/json.h"

#include <string.h>

enum { MAX_DEPTH = 64 };

/* jansson recurses per level; a cheap scan keeps hostile nesting away from the stack. */
static bool too_deep(const char *p, size_t len)
{
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < len; i++) {
        char c = p[i];
        if (in_string) {
            if (c == '\\') {
                i++;
            } else if (c == '"') {
                in_string = false;
            }
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > MAX_DEPTH) {
                return true;
            }
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return false;
}

int json_parse(const void *data, size_t len, size_t max, const char *name, enum error_code code,
               json_t **out, struct error *err)
{
    if (len > max) {
        return error_set(err, code, "%s is larger than %zu bytes", name, max);
    }
    if (too_deep(data, len)) {
        return error_set(err, code, "%s is nested more than %d deep", name, MAX_DEPTH);
    }
    json_error_t fault;
    json_t *value = json_loadb(data, len, JSON_REJECT_DUPLICATES, &fault);
    if (!value) {
        return error_set(err, code, "%s is not JSON: line %d: %s", name, fault.line, fault.text);
    }
    *out = value;
    return 0;
}

const char *json_get_string(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static int add_chunk(const char *data, size_t len, void *out)
{
    buf_append(out, data, len);
    return 0;
}

void json_render(const json_t *value, struct buf *out)
{
    json_dump_callback(value, add_chunk, out, JSON_COMPACT | JSON_ENCODE_ANY);
}

void json_render_pretty(const json_t *value, struct buf *out)
{
    json_dump_callback(value, add_chunk, out, JSON_INDENT(2) | JSON_ENCODE_ANY);
    buf_putc(out, '\n');
}

void json_freep(json_t **value)
{
    json_decref(*value);
    *value = NULL;
}
