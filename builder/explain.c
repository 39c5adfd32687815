/* Why a step is not cached. */
#include "builder/explain.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/memory.h"

/* Raised with the form. */
#define RECORD_KIND "inputs-3"
#define INPUTS_MAX (256 * MIB)

enum { SHOWN = 3 };

struct input {
    uint64_t hash;
    char *name;
    size_t order; /* of inputs with the same name, the first is compared with the first */
};

struct inputs {
    struct input *items;
    size_t len;
};

static void inputs_release(struct inputs *inputs)
{
    for (size_t i = 0; i < inputs->len; i++) {
        free(inputs->items[i].name);
    }
    free(inputs->items);
}

static int by_name(const void *a, const void *b)
{
    const struct input *x = a;
    const struct input *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : x->order < y->order ? -1 : x->order > y->order;
}

/* Adds the input NAME, which this takes over. */
static void add_input(struct inputs *inputs, uint64_t hash, char *name, size_t *cap)
{
    if (inputs->len == *cap) {
        *cap = *cap ? *cap * 2 : 64;
        inputs->items = mem_realloc(inputs->items, *cap, sizeof *inputs->items);
    }
    inputs->items[inputs->len] = (struct input){hash, name, inputs->len};
    inputs->len++;
}

/* Takes the record apart (step_key.c has its form), and sorts it by name; whatever is damaged ends
 * it. */
static struct inputs parse(const struct buf *text)
{
    struct inputs out = {0};
    size_t cap = 0;
    uint64_t hash;
    uint16_t shared;
    const size_t head = sizeof hash + sizeof shared;
    for (size_t at = 0; at + head < text->len;) {
        const char *rest = text->data + at + head;
        size_t room = text->len - at - head;
        size_t len = strnlen(rest, room);
        const char *before = out.len ? out.items[out.len - 1].name : "";
        memcpy(&hash, text->data + at, sizeof hash);
        memcpy(&shared, text->data + at + sizeof hash, sizeof shared);
        if (len == room || shared > strlen(before)) {
            break;
        }
        add_input(&out, hash, mem_printf("%.*s%s", (int)shared, before, rest), &cap);
        at += head + len + 1;
    }
    if (out.len > 1) {
        qsort(out.items, out.len, sizeof *out.items, by_name);
    }
    return out;
}

static void add_reason(struct buf *out, size_t *count, const char *name, const char *what)
{
    (*count)++;
    if (*count <= SHOWN) {
        buf_printf(out, "%s%.200s%s%s", *count > 1 ? ", " : "", name, what[0] ? " " : "", what);
    }
}

/* Both lists are sorted by name. What comes first in the step's own order is told first. */
static void compare(const struct inputs *before, const struct inputs *now, struct buf *out)
{
    size_t count = 0;
    size_t i = 0;
    size_t j = 0;
    while (i < before->len || j < now->len) {
        int order = i == before->len ? 1
                    : j == now->len  ? -1
                                     : strcmp(before->items[i].name, now->items[j].name);
        if (order == 0) {
            if (before->items[i].hash != now->items[j].hash) {
                add_reason(out, &count, now->items[j].name, "changed");
            }
            i++;
            j++;
        } else if (order < 0) {
            add_reason(out, &count, before->items[i].name, "is gone");
            i++;
        } else {
            add_reason(out, &count, now->items[j].name, "is new");
            j++;
        }
    }
    if (count > SHOWN) {
        buf_printf(out, " and %zu more", count - SHOWN);
    }
}

char *explain_miss(struct store *store, const char *place, const struct buf *inputs)
{
    struct error ignored = {0};
    AUTO(buf_release) struct buf text = BUF_INIT(INPUTS_MAX);
    AUTO(buf_release) struct buf out = BUF_INIT(0);
    bool found = false;
    if (store_record_get(store, RECORD_KIND, place, &text, &found, &ignored) != 0 || !found) {
        return mem_strdup("never made before");
    }
    AUTO(inputs_release) struct inputs before = parse(&text);
    AUTO(inputs_release) struct inputs now = parse(inputs);
    compare(&before, &now, &out);
    return out.len ? buf_take(&out) : mem_strdup("its layer is not in the store any more");
}

void explain_remember(struct store *store, const char *place, const struct buf *inputs)
{
    struct error ignored = {0};
    if (inputs->len <= INPUTS_MAX) {
        store_record_put(store, RECORD_KIND, place, inputs->data, inputs->len, &ignored);
    }
}
