/* Reading the contents of a scanned folder. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/spill.h"
#include "oci/folder_internal.h"
#include "oci/tree_internal.h"

void file_stamp_of(const struct stat *st, struct file_stamp *out)
{
    const int64_t second = 1000000000;
    *out = (struct file_stamp){
        .inode = st->st_ino,
        .size = (uint64_t)st->st_size,
        .mtime_ns = st->st_mtim.tv_sec * second + st->st_mtim.tv_nsec,
        .ctime_ns = st->st_ctim.tv_sec * second + st->st_ctim.tv_nsec,
    };
}

bool file_stamp_equal(const struct file_stamp *a, const struct file_stamp *b)
{
    return a->inode == b->inode && a->size == b->size && a->mtime_ns == b->mtime_ns &&
           a->ctime_ns == b->ctime_ns;
}

struct folder_file *folder_file_at(const struct folder_source *source, uint64_t handle)
{
    spill_looked(1);
    return &source->files[handle];
}

static const char *path_of(const struct folder_source *source, uint64_t handle)
{
    return folder_file_at(source, handle)->path;
}

int folder_open_file(struct folder_source *source, uint64_t handle, int *fd_out,
                     struct stat *st_out, struct error *err)
{
    const char *path = path_of(source, handle);
    AUTO(fd_closep) int fd = -1;
    /* O_NONBLOCK: whoever put a FIFO in the file's place meanwhile must not make us wait. */
    if (file_open_no_links(source->fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, &fd, err) != 0) {
        err->code = ERR_USAGE;
        return error_wrap(err, "'%s'", source->path);
    }
    if (fstat(fd, st_out) != 0) {
        return error_errno(err, ERR_USAGE, "read '%s/%s'", source->path, path);
    }
    if (!S_ISREG(st_out->st_mode) ||
        (uint64_t)st_out->st_size != folder_file_at(source, handle)->stamp.size) {
        return error_set(err, ERR_USAGE, "'%s/%s' changed during the build", source->path, path);
    }
    *fd_out = fd_steal(&fd);
    return 0;
}

/* Gives exactly the bytes that the scan saw, or fails. */
struct folder_reader {
    struct reader base;
    struct content_source *source; /* held */
    const char *path;
    int fd;
    uint64_t left;
};

static int changed(const struct folder_reader *r, struct error *err)
{
    const struct folder_source *source = (const struct folder_source *)r->source;
    return error_set(err, ERR_USAGE, "'%s/%s' changed during the build", source->path, r->path);
}

static int folder_read(struct reader *reader, void *data, size_t cap, size_t *got_out,
                       struct error *err)
{
    struct folder_reader *r = (struct folder_reader *)reader;
    char extra;
    ssize_t got = 0;
    do {
        got = r->left > 0 ? read(r->fd, data, cap < r->left ? cap : (size_t)r->left)
                          : read(r->fd, &extra, 1);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return error_errno(err, ERR_USAGE, "read '%s'", r->path);
    }
    if ((r->left == 0) != (got == 0) && cap > 0) {
        return changed(r, err);
    }
    r->left -= (uint64_t)got;
    *got_out = (size_t)got;
    return 0;
}

static void folder_reader_free(struct reader *reader)
{
    struct folder_reader *r = (struct folder_reader *)reader;
    close(r->fd);
    content_unref(r->source);
    free(r);
}

static const struct reader_ops folder_reader_ops = {folder_read, folder_reader_free};

static int folder_open(struct content_source *base, const struct entry *entry, struct reader **out,
                       struct error *err)
{
    struct folder_source *source = (struct folder_source *)base;
    int fd = -1;
    struct stat st;
    if (folder_open_file(source, entry->handle, &fd, &st, err) != 0) {
        return -1;
    }
    struct folder_reader *r = mem_calloc(1, sizeof *r);
    *r = (struct folder_reader){.base = {&folder_reader_ops},
                                .source = content_ref(base),
                                .path = path_of(source, entry->handle),
                                .fd = fd,
                                .left = folder_file_at(source, entry->handle)->stamp.size};
    *out = &r->base;
    return 0;
}

static void folder_source_free(struct content_source *base)
{
    struct folder_source *source = (struct folder_source *)base;
    fd_closep(&source->fd);
    pthread_mutex_destroy(&source->lock);
    arena_unref(source->names);
    folder_cache_drop(source);
    spill_free(source->files, source->files_cap * sizeof *source->files);
    free(source->path);
    free(source);
}

static const struct content_ops folder_ops = {.open = folder_open, .free = folder_source_free};

struct folder_source *folder_source_new(int fd, char *path)
{
    struct folder_source *source = mem_calloc(1, sizeof *source);
    source->base = (struct content_source){.ops = &folder_ops, .refs = 1};
    source->fd = fd;
    source->path = path;
    source->names = arena_new();
    pthread_mutex_init(&source->lock, NULL);
    return source;
}

uint64_t folder_source_add(struct folder_source *source, const char *path, const struct stat *st,
                           const struct cached_file *known, bool may_have_xattrs)
{
    if (source->files_len == source->files_cap) {
        source->files = spill_grow(source->files, &source->files_cap, sizeof *source->files);
    }
    struct folder_file *file = &source->files[source->files_len];
    *file = (struct folder_file){.path = arena_text(source->names, path),
                                 .may_have_xattrs = may_have_xattrs,
                                 /* Whole seconds may be all that the file system knows. */
                                 .fine_clock = source->fine_clock && st->st_dev == source->device &&
                                               st->st_ctim.tv_nsec != 0,
                                 .hashed = known != NULL};
    if (known) {
        file->digest = known->digest;
    }
    file_stamp_of(st, &file->stamp);
    source->names_len += strlen(path) + 1;
    return source->files_len++;
}

struct folder_source *folder_source_of(struct content_source *source)
{
    return source && source->ops == &folder_ops ? (struct folder_source *)source : NULL;
}
