#include "deploy/placeholder.h"

#include <string.h>

#include "base/json.h"
#include "base/memory.h"

static const char first[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
static const char rest[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
enum { PLACEHOLDER_MAX = 100 }; /* the value of an action's key is no longer */

bool placeholder_valid(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && len <= PLACEHOLDER_MAX && strchr(first, name[0]) && strspn(name, rest) == len;
}

bool placeholder_find(const char *text, size_t len, size_t from, size_t *start_out, size_t *end_out)
{
    for (size_t i = from; i + 2 < len; i++) {
        if (text[i] != '<' || text[i + 1] == '\0' || !strchr(first, text[i + 1])) {
            continue;
        }
        size_t end = i + 1;
        while (end < len && text[end] != '\0' && strchr(rest, text[end])) {
            end++;
        }
        if (end < len && text[end] == '>' && end - i - 1 <= PLACEHOLDER_MAX) {
            *start_out = i;
            *end_out = end + 1;
            return true;
        }
    }
    return false;
}

static void add_once(struct strlist *list, const char *name)
{
    if (list && !strlist_has(list, name)) {
        strlist_add(list, name);
    }
}

/* VALUE as it stands in a JSON string, without the quotes. */
static void add_value(const char *value, bool json, struct buf *out)
{
    AUTO(json_freep) json_t *string = json ? json_string(value) : NULL;
    AUTO(mem_freep) char *text = string ? json_dumps(string, JSON_ENCODE_ANY) : NULL;
    if (text) {
        buf_append(out, text + 1, strlen(text) - 2);
    } else {
        buf_puts(out, value);
    }
}

void placeholder_fill(const char *text, size_t len, const struct strlist *values, bool json,
                      struct buf *out, struct strlist *used, struct strlist *unknown)
{
    size_t at = 0;
    size_t start = 0;
    size_t end = 0;
    while (placeholder_find(text, len, at, &start, &end)) {
        AUTO(mem_freep) char *name = mem_strndup(text + start + 1, end - start - 2);
        const char *value = strlist_env_get(values, name);
        buf_append(out, text + at, start - at);
        if (value) {
            add_value(value, json, out);
        } else {
            buf_append(out, text + start, end - start);
        }
        add_once(value ? used : unknown, name);
        at = end;
    }
    buf_append(out, text + at, len - at);
}
