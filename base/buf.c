#include "base/buf.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/spill.h"

void buf_release(struct buf *b)
{
    if (b->large) {
        spill_free(b->data, b->cap);
    } else {
        free(b->data);
    }
    b->data = NULL;
    b->len = 0;
    b->cap = 0;
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    if (b->data) {
        b->data[0] = '\0';
    }
}

char *buf_reserve(struct buf *b, size_t extra)
{
    assert(extra < SIZE_MAX / 4 && b->len < SIZE_MAX / 4);
    size_t need = b->len + extra + 1;
    if (need > b->cap) {
        size_t cap = b->cap ? b->cap : 64;
        while (cap < need) {
            cap *= 2;
        }
        b->data = b->large ? spill_realloc(b->data, b->cap, cap) : mem_realloc(b->data, cap, 1);
        b->cap = cap;
    }
    b->data[b->len + extra] = '\0';
    return b->data + b->len;
}

bool buf_try_append(struct buf *b, const void *data, size_t len)
{
    if (b->max && (len > b->max || b->len > b->max - len)) {
        return false;
    }
    char *to = buf_reserve(b, len);
    if (len) {
        memcpy(to, data, len);
    }
    b->len += len;
    return true;
}

void buf_append(struct buf *b, const void *data, size_t len)
{
    bool fits = buf_try_append(b, data, len);
    assert(fits);
    (void)fits;
}

void buf_puts(struct buf *b, const char *text)
{
    buf_append(b, text, strlen(text));
}

void buf_putc(struct buf *b, char c)
{
    buf_append(b, &c, 1);
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;
    va_list again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    assert(len >= 0);
    char *to = buf_reserve(b, (size_t)len);
    vsnprintf(to, (size_t)len + 1, format, again);
    va_end(again);
    b->len += (size_t)len;
    assert(!b->max || b->len <= b->max);
}

const char *buf_text(const struct buf *b)
{
    return b->data ? b->data : "";
}

char *buf_take(struct buf *b)
{
    char *data = !b->data ? mem_strdup("") : b->large ? spill_take(b->data, b->cap) : b->data;
    b->data = NULL;
    b->len = 0;
    b->cap = 0;
    return data;
}
