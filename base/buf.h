/*
 * A growable array of bytes with a maximum. Always terminated by a zero byte that does not count.
 *
 * `struct buf b = BUF_INIT(max);` ... `buf_release(&b)`, or `AUTO(buf_release) struct buf b =
 * BUF_INIT(max);`. What our own code writes cannot pass the maximum (that would be a programmers'
 * error, asserted); what strangers write is added with buf_try_append(), which says so.
 */
#ifndef SLIPWAY_BASE_BUF_H
#define SLIPWAY_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct buf {
    char *data; /* never NULL once something was added; read it through buf_text() if it may be
                   empty */
    size_t len; /* bytes in use */
    size_t cap;
    size_t max; /* most bytes that may be in use; 0: no limit */
    bool large; /* grows with the number of files: base/spill.h */
};

#define BUF_INIT(MAX)                                                                              \
    {                                                                                              \
        .data = NULL, .len = 0, .cap = 0, .max = (MAX)                                             \
    }

/* One that grows with the number of files. */
#define BUF_INIT_LARGE(MAX)                                                                        \
    {                                                                                              \
        .data = NULL, .len = 0, .cap = 0, .max = (MAX), .large = true                              \
    }

/* Frees the bytes; the struct is empty and usable again. */
void buf_release(struct buf *b);

/* Makes it empty and keeps the memory. */
void buf_clear(struct buf *b);

/* Makes room for EXTRA more bytes and returns where they begin; add them to `len` yourself. */
char *buf_reserve(struct buf *b, size_t extra);

/* Adds LEN bytes. */
void buf_append(struct buf *b, const void *data, size_t len);

/* Adds LEN bytes if the maximum allows. Returns whether it did. */
bool buf_try_append(struct buf *b, const void *data, size_t len)
    __attribute__((warn_unused_result));

/* Adds a string, one character, or what printf makes. */
void buf_puts(struct buf *b, const char *text);

/* Adds one character. */
void buf_putc(struct buf *b, char c);

/* Adds what printf makes of FORMAT. */
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The bytes as a string; "" when empty. Borrowed until the next change. */
const char *buf_text(const struct buf *b);

/* Hands the bytes over to the caller (free() them) and leaves an empty buffer. Never NULL. */
char *buf_take(struct buf *b);

#endif
