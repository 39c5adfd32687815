/* Why a step is not cached. */
#include "builder/explain.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/memory.h"
#include "base/spill.h"

/* Raised with the form. */
#define RECORD_KIND "inputs-3"
#define INPUTS_MAX (256 * MIB)

enum { SHOWN = 3 };

/* An input of a list, as step_key.c writes it. */
struct input {
    const char *list;
    size_t len;      /* bytes */
    size_t at;       /* where the next begins */
    struct buf name; /* every name tells only how it differs from the one before */
    uint64_t hash;
    bool is_there; /* else the list has ended */
};

/* Goes on to the next one; whatever is damaged ends the list. */
static void next(struct input *input)
{
    uint16_t shared;
    const size_t head = sizeof input->hash + sizeof shared;
    const char *data = input->list + input->at;
    size_t left = input->len - input->at;
    input->is_there = false;
    if (left <= head) {
        return;
    }
    size_t len = strnlen(data + head, left - head);
    memcpy(&input->hash, data, sizeof input->hash);
    memcpy(&shared, data + sizeof input->hash, sizeof shared);
    if (len == left - head || shared > input->name.len) {
        return;
    }
    input->name.len = shared;
    buf_append(&input->name, data + head, len);
    input->at += head + len + 1;
    input->is_there = true;
    spill_looked(1);
}

static struct input first(const char *list, size_t len)
{
    struct input input = {.list = list, .len = len};
    next(&input);
    return input;
}

static void input_release(struct input *input)
{
    buf_release(&input->name);
}

static void add_reason(struct buf *out, size_t *count, const struct input *input, const char *what)
{
    (*count)++;
    if (*count <= SHOWN) {
        buf_printf(out, "%s%.200s %s", *count > 1 ? ", " : "", buf_text(&input->name), what);
    }
}

/* Both lists are in the step's order, in which the files of a source are sorted: of two names that
 * differ, the lesser is missing from the other list. */
static void compare(const struct record_view *then, const struct buf *now, struct buf *out)
{
    AUTO(input_release) struct input before = first(then->value, then->len);
    AUTO(input_release) struct input after = first(buf_text(now), now->len);
    size_t count = 0;
    while (before.is_there || after.is_there) {
        int order = !before.is_there  ? 1
                    : !after.is_there ? -1
                                      : strcmp(buf_text(&before.name), buf_text(&after.name));
        if (order == 0 && before.hash != after.hash) {
            add_reason(out, &count, &after, "changed");
        } else if (order != 0) {
            add_reason(out, &count, order < 0 ? &before : &after, order < 0 ? "is gone" : "is new");
        }
        if (order <= 0) {
            next(&before);
        }
        if (order >= 0) {
            next(&after);
        }
    }
    if (count > SHOWN) {
        buf_printf(out, " and %zu more", count - SHOWN);
    }
}

char *explain_miss(struct store *store, const char *place, const struct buf *inputs)
{
    struct error ignored = {0};
    AUTO(record_view_release) struct record_view then = {0};
    AUTO(buf_release) struct buf out = BUF_INIT(0);
    if (store_record_view(store, RECORD_KIND, place, &then, &ignored) != 0 || !then.value) {
        return mem_strdup("never made before");
    }
    compare(&then, inputs, &out);
    return out.len ? buf_take(&out) : mem_strdup("its layer is not in the store any more");
}

void explain_remember(struct store *store, const char *place, const struct buf *inputs)
{
    struct error ignored = {0};
    if (inputs->len <= INPUTS_MAX) {
        store_record_put(store, RECORD_KIND, place, inputs->data, inputs->len, &ignored);
    }
}
