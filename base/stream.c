#include "base/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

enum { COPY_CHUNK = 128 * 1024 };

int reader_read(struct reader *r, void *data, size_t cap, size_t *got_out, struct error *err)
{
    return r->ops->read(r, data, cap, got_out, err);
}

int reader_read_full(struct reader *r, void *data, size_t cap, size_t *got_out, struct error *err)
{
    size_t total = 0;
    while (total < cap) {
        size_t got = 0;
        if (r->ops->read(r, (char *)data + total, cap - total, &got, err) != 0) {
            return -1;
        }
        if (got == 0) {
            break;
        }
        total += got;
    }
    *got_out = total;
    return 0;
}

int reader_read_all(struct reader *r, const char *name, size_t max, struct buf *out,
                    struct error *err)
{
    for (;;) {
        char *to = buf_reserve(out, COPY_CHUNK);
        size_t got = 0;
        if (r->ops->read(r, to, COPY_CHUNK, &got, err) != 0) {
            return -1;
        }
        out->len += got;
        out->data[out->len] = '\0';
        if (got == 0) {
            return 0;
        }
        if (out->len > max) {
            return error_set(err, ERR_USAGE, "%s is larger than %zu bytes", name, max);
        }
    }
}

int reader_skip(struct reader *r, uint64_t len, struct error *err)
{
    AUTO(mem_freep) char *chunk = mem_alloc(COPY_CHUNK);
    while (len > 0) {
        size_t got = 0;
        if (reader_read(r, chunk, len < COPY_CHUNK ? (size_t)len : COPY_CHUNK, &got, err) != 0) {
            return -1;
        }
        if (got == 0) {
            return error_set(err, ERR_STORE, "unexpected end of data");
        }
        len -= got;
    }
    return 0;
}

void reader_freep(struct reader **r)
{
    if (*r) {
        (*r)->ops->free(*r);
    }
    *r = NULL;
}

int writer_write(struct writer *w, const void *data, size_t len, struct error *err)
{
    return w->ops->write(w, data, len, err);
}

void writer_freep(struct writer **w)
{
    if (*w) {
        (*w)->ops->free(*w);
    }
    *w = NULL;
}

int stream_copy(struct reader *r, struct writer *w, uint64_t *copied_out, struct error *err)
{
    AUTO(mem_freep) char *chunk = mem_alloc(COPY_CHUNK);
    uint64_t total = 0;
    for (;;) {
        size_t got = 0;
        if (reader_read(r, chunk, COPY_CHUNK, &got, err) != 0) {
            return -1;
        }
        if (got == 0) {
            break;
        }
        if (writer_write(w, chunk, got, err) != 0) {
            return -1;
        }
        total += got;
    }
    if (copied_out) {
        *copied_out = total;
    }
    return 0;
}

struct memory_reader {
    struct reader base;
    char *data;
    size_t len;
    size_t at;
    bool owned;
};

static int memory_read(struct reader *r, void *data, size_t cap, size_t *got_out, struct error *err)
{
    (void)err;
    struct memory_reader *m = (struct memory_reader *)r;
    size_t n = m->len - m->at < cap ? m->len - m->at : cap;
    if (n) {
        memcpy(data, m->data + m->at, n);
    }
    m->at += n;
    *got_out = n;
    return 0;
}

static void memory_free(struct reader *r)
{
    struct memory_reader *m = (struct memory_reader *)r;
    if (m->owned) {
        free(m->data);
    }
    free(m);
}

static const struct reader_ops memory_ops = {memory_read, memory_free};

struct reader *reader_memory(void *data, size_t len, bool owned)
{
    struct memory_reader *m = mem_calloc(1, sizeof *m);
    *m = (struct memory_reader){.base = {&memory_ops}, .data = data, .len = len, .owned = owned};
    return &m->base;
}

struct fd_reader {
    struct reader base;
    int fd;
    bool ranged;
    uint64_t offset;
    uint64_t left;
    char *name;
};

static int fd_read(struct reader *r, void *data, size_t cap, size_t *got_out, struct error *err)
{
    struct fd_reader *f = (struct fd_reader *)r;
    if (f->ranged && f->left < cap) {
        cap = (size_t)f->left;
    }
    ssize_t got = 0;
    do {
        got = f->ranged ? pread(f->fd, data, cap, (off_t)f->offset) : read(f->fd, data, cap);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return error_errno(err, ERR_STORE, "read '%s'", f->name);
    }
    if (f->ranged && got == 0 && f->left > 0 && cap > 0) {
        return error_set(err, ERR_STORE, "read '%s': unexpected end", f->name);
    }
    f->offset += (uint64_t)got;
    f->left -= f->ranged ? (uint64_t)got : 0;
    *got_out = (size_t)got;
    return 0;
}

static void fd_reader_free(struct reader *r)
{
    struct fd_reader *f = (struct fd_reader *)r;
    if (!f->ranged) {
        close(f->fd);
    }
    free(f->name);
    free(f);
}

static const struct reader_ops fd_ops = {fd_read, fd_reader_free};

struct reader *reader_fd(int fd, const char *name)
{
    struct fd_reader *f = mem_calloc(1, sizeof *f);
    *f = (struct fd_reader){.base = {&fd_ops}, .fd = fd, .name = mem_strdup(name)};
    return &f->base;
}

struct reader *reader_fd_range(int fd, const char *name, uint64_t offset, uint64_t len)
{
    struct fd_reader *f = mem_calloc(1, sizeof *f);
    *f = (struct fd_reader){.base = {&fd_ops},
                            .fd = fd,
                            .ranged = true,
                            .offset = offset,
                            .left = len,
                            .name = mem_strdup(name)};
    return &f->base;
}

struct fd_writer {
    struct writer base;
    int fd;
    char *name;
};

static int fd_write(struct writer *w, const void *data, size_t len, struct error *err)
{
    struct fd_writer *f = (struct fd_writer *)w;
    return file_write_fd(f->fd, f->name, data, len, err);
}

static void fd_writer_free(struct writer *w)
{
    struct fd_writer *f = (struct fd_writer *)w;
    close(f->fd);
    free(f->name);
    free(f);
}

static const struct writer_ops fd_writer_ops = {fd_write, fd_writer_free};

struct writer *writer_fd(int fd, const char *name)
{
    struct fd_writer *f = mem_calloc(1, sizeof *f);
    *f = (struct fd_writer){.base = {&fd_writer_ops}, .fd = fd, .name = mem_strdup(name)};
    return &f->base;
}

struct buf_writer {
    struct writer base;
    struct buf *out;
};

static int buf_write(struct writer *w, const void *data, size_t len, struct error *err)
{
    struct buf_writer *b = (struct buf_writer *)w;
    if (!buf_try_append(b->out, data, len)) {
        return error_set(err, ERR_USAGE, "more than %zu bytes", b->out->max);
    }
    return 0;
}

static void buf_writer_free(struct writer *w)
{
    free(w);
}

static const struct writer_ops buf_writer_ops = {buf_write, buf_writer_free};

struct writer *writer_buf(struct buf *out)
{
    struct buf_writer *b = mem_calloc(1, sizeof *b);
    *b = (struct buf_writer){.base = {&buf_writer_ops}, .out = out};
    return &b->base;
}
