/* Why a step is not cached. */
#include "builder/explain.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/memory.h"

#define INPUTS_MAX (256 * MIB)

enum { SHOWN = 3 };

struct input {
    uint64_t hash;
    const char *name;
    size_t order; /* of inputs with the same name, the first is compared with the first */
};

struct inputs {
    struct input *items;
    size_t len;
};

static int by_name(const void *a, const void *b)
{
    const struct input *x = a;
    const struct input *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : x->order < y->order ? -1 : x->order > y->order;
}

/* Takes the record apart; whatever is damaged ends it. */
static struct inputs parse(const struct buf *text)
{
    struct inputs out = {0};
    size_t cap = 0;
    for (size_t at = 0; at + sizeof(uint64_t) < text->len;) {
        const char *name = text->data + at + sizeof(uint64_t);
        size_t room = text->len - at - sizeof(uint64_t);
        size_t len = strnlen(name, room);
        if (len == room) {
            break;
        }
        if (out.len == cap) {
            cap = cap ? cap * 2 : 64;
            out.items = mem_realloc(out.items, cap, sizeof *out.items);
        }
        struct input *input = &out.items[out.len];
        memcpy(&input->hash, text->data + at, sizeof input->hash);
        input->name = name;
        input->order = out.len;
        out.len++;
        at += sizeof(uint64_t) + len + 1;
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
    if (store_record_get(store, "inputs", place, &text, &found, &ignored) != 0 || !found) {
        return mem_strdup("never made before");
    }
    struct inputs before = parse(&text);
    struct inputs now = parse(inputs);
    if (before.len > 1) {
        qsort(before.items, before.len, sizeof *before.items, by_name);
    }
    if (now.len > 1) {
        qsort(now.items, now.len, sizeof *now.items, by_name);
    }
    compare(&before, &now, &out);
    free(before.items);
    free(now.items);
    return out.len ? buf_take(&out) : mem_strdup("its layer is not in the store any more");
}

void explain_remember(struct store *store, const char *place, const struct buf *inputs)
{
    struct error ignored = {0};
    if (inputs->len <= INPUTS_MAX) {
        store_record_put(store, "inputs", place, inputs->data, inputs->len, &ignored);
    }
}
