/* Contents by pread from one file. */
#include "oci/content_range.h"

#include <stdlib.h>

#include "base/memory.h"

struct range_reader {
    struct reader base;
    struct reader *range;
    struct content_source *source;
};

static int range_read(struct reader *base, void *data, size_t cap, size_t *got_out,
                      struct error *err)
{
    return reader_read(((struct range_reader *)base)->range, data, cap, got_out, err);
}

static void range_free(struct reader *base)
{
    struct range_reader *r = (struct range_reader *)base;
    reader_freep(&r->range);
    content_unref(r->source);
    free(r);
}

struct reader *content_range_reader(struct content_source *source, int fd,
                                    const struct entry *entry)
{
    static const struct reader_ops ops = {range_read, range_free};
    struct range_reader *r = mem_calloc(1, sizeof *r);
    r->base.ops = &ops;
    r->range = reader_fd_range(fd, entry->path, entry->handle, entry->size);
    r->source = content_ref(source);
    return &r->base;
}

struct fd_source {
    struct content_source base;
    int fd;
};

static int fd_source_open(struct content_source *base, const struct entry *entry,
                          struct reader **out, struct error *err)
{
    (void)err;
    *out = content_range_reader(base, ((struct fd_source *)base)->fd, entry);
    return 0;
}

static void fd_source_free(struct content_source *base)
{
    fd_closep(&((struct fd_source *)base)->fd);
    free(base);
}

struct content_source *content_fd(int fd)
{
    static const struct content_ops ops = {.open = fd_source_open, .free = fd_source_free};
    struct fd_source *source = mem_calloc(1, sizeof *source);
    source->base = (struct content_source){&ops, 1};
    source->fd = fd;
    return &source->base;
}
