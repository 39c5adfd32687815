/*
 * Byte streams as small function tables that compose.
 *
 * A `struct reader` gives bytes; a `struct writer` takes them. Implementations embed the struct as
 * their first member. Both are used by one thread at a time.
 */
#ifndef SLIPWAY_BASE_STREAM_H
#define SLIPWAY_BASE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

struct reader;
struct writer;

struct reader_ops {
    /* Puts at most CAP bytes at DATA; *GOT_OUT is 0 only at the end. */
    int (*read)(struct reader *r, void *data, size_t cap, size_t *got_out, struct error *err);
    /* Releases everything, R too. */
    void (*free)(struct reader *r);
};

struct reader {
    const struct reader_ops *ops;
};

struct writer_ops {
    /* Takes all LEN bytes. */
    int (*write)(struct writer *w, const void *data, size_t len, struct error *err);
    /* Releases everything, W too; what was not finished is undone. */
    void (*free)(struct writer *w);
};

struct writer {
    const struct writer_ops *ops;
};

/* Reads at most CAP bytes; *GOT_OUT is 0 only at the end. */
int reader_read(struct reader *r, void *data, size_t cap, size_t *got_out, struct error *err);

/* Reads until CAP bytes are there or the end is reached. */
int reader_read_full(struct reader *r, void *data, size_t cap, size_t *got_out, struct error *err);

/* Reads to the end into OUT, at most MAX bytes; NAME is for the message where there are more. */
int reader_read_all(struct reader *r, const char *name, size_t max, struct buf *out,
                    struct error *err);

/* Reads and drops LEN bytes; fewer is an error. */
int reader_skip(struct reader *r, uint64_t len, struct error *err);

/* Cleanup for AUTO(): frees *R. */
void reader_freep(struct reader **r);

/* Writes all LEN bytes. */
int writer_write(struct writer *w, const void *data, size_t len, struct error *err);

/* Cleanup for AUTO(): frees *W. */
void writer_freep(struct writer **w);

/* Copies R to W to the end; *COPIED_OUT (may be NULL) gets the bytes. */
int stream_copy(struct reader *r, struct writer *w, uint64_t *copied_out, struct error *err);

/* A reader over DATA, which it takes over (malloc'd) where OWNED, else borrows. */
struct reader *reader_memory(void *data, size_t len, bool owned);

/* A reader over FD, which it takes over and closes. NAME (copied) is for messages. */
struct reader *reader_fd(int fd, const char *name);

/* A reader over the bytes [OFFSET, OFFSET+LEN) of FD by pread; FD is borrowed and must outlive it.
 */
struct reader *reader_fd_range(int fd, const char *name, uint64_t offset, uint64_t len);

/* A writer to FD, which it takes over and closes. NAME (copied) is for messages. */
struct writer *writer_fd(int fd, const char *name);

/* A writer into OUT, which must outlive it. More than OUT's maximum is an error. */
struct writer *writer_buf(struct buf *out);

#endif
