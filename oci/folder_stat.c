/* The system calls of a scan that can run side by side: stat, links, whether there are xattrs. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/memory.h"
#include "oci/folder_internal.h"

/* What one run keeps between items. */
struct stat_run {
    struct stat_batch *batch;
    const char *dir_path; /* of the folder open as `dir` */
    int dir;
    struct buf absolute;  /* path of the item, absolute: for xattrs */
    size_t absolute_base; /* bytes of it that are the folder's */
    dev_t no_xattrs;      /* a device whose file system knows none */
    bool has_no_xattrs;
};

struct stat_batch *stat_batch_new(struct folder_source *source, struct store *store, bool no_xattrs)
{
    struct stat_batch *batch = mem_calloc(1, sizeof *batch);
    batch->source = source;
    batch->store = store;
    batch->no_xattrs = no_xattrs;
    return batch;
}

void stat_batch_freep(struct stat_batch **batch)
{
    if (*batch) {
        for (size_t i = 0; i < (*batch)->len; i++) {
            free((*batch)->items[i].link);
        }
        buf_release(&(*batch)->names);
        free(*batch);
    }
    *batch = NULL;
}

const char *stat_item_name(const struct stat_batch *batch, const struct stat_item *item)
{
    return batch->names.data + item->name;
}

static int enter(struct stat_run *run, const char *path, struct error *err)
{
    const struct folder_source *source = run->batch->source;
    fd_closep(&run->dir);
    if (file_open_no_links(source->fd, path, O_RDONLY | O_DIRECTORY, 0, &run->dir, err) != 0) {
        err->code = ERR_USAGE;
        return error_wrap(err, "'%s'", source->path);
    }
    run->dir_path = path;
    buf_clear(&run->absolute);
    buf_printf(&run->absolute, "%s/%s%s", source->path, path, path[0] ? "/" : "");
    run->absolute_base = run->absolute.len;
    return 0;
}

static int fault(const struct stat_run *run, const char *what, const char *name, struct error *err)
{
    return error_errno(err, ERR_USAGE, "%s '%.*s%s'", what, (int)run->absolute_base,
                       run->absolute.data, name);
}

static int read_link(struct stat_run *run, struct stat_item *item, const char *name,
                     struct error *err)
{
    char target[LIMIT_LINK_BYTES + 1];
    ssize_t len = readlinkat(run->dir, name, target, sizeof target);
    if (len < 0) {
        return fault(run, "read link", name, err);
    }
    if ((size_t)len == sizeof target) {
        errno = ENAMETOOLONG;
        return fault(run, "read link", name, err);
    }
    item->link = mem_strndup(target, (size_t)len);
    return 0;
}

static void set_name(struct stat_run *run, const char *name)
{
    run->absolute.len = run->absolute_base;
    buf_append(&run->absolute, name, strlen(name));
}

/* Whether the cache knows the file as it is, and that it has no xattrs: setting one gives a file
 * another ctime. Below other mounts an inode's number says nothing. */
static bool is_known_plain(struct stat_run *run, struct stat_item *item, const char *name)
{
    const struct folder_source *source = run->batch->source;
    if (source->cache_len == 0 || !S_ISREG(item->st.st_mode) || item->st.st_dev != source->device) {
        return false;
    }
    struct file_stamp stamp;
    file_stamp_of(&item->st, &stamp);
    set_name(run, name);
    const char *path = run->absolute.data + strlen(source->path) + 1;
    item->is_known = folder_cache_find(source, path, &stamp, &item->known);
    return item->is_known && !item->known.may_have_xattrs;
}

static int look_for_xattrs(struct stat_run *run, struct stat_item *item, const char *name,
                           struct error *err)
{
    if (run->batch->no_xattrs) {
        item->xattrs_unknown = true;
        return 0;
    }
    if (run->has_no_xattrs && run->no_xattrs == item->st.st_dev) {
        return 0;
    }
    set_name(run, name);
    ssize_t size = llistxattr(run->absolute.data, NULL, 0);
    if (size < 0 && errno == ENOTSUP) {
        run->has_no_xattrs = true;
        run->no_xattrs = item->st.st_dev;
    } else if (size < 0 && errno != ENOENT) {
        return fault(run, "list attributes of", name, err);
    }
    item->has_xattrs = size > 0;
    return 0;
}

static int forget(struct error *err)
{
    error_clear(err);
    return 0;
}

static int stat_one(struct stat_run *run, struct stat_item *item, struct error *err)
{
    const char *name = stat_item_name(run->batch, item);
    if (run->dir_path != item->dir_path && enter(run, item->dir_path, err) != 0) {
        item->gone = err->sys_errno == ENOENT;
        run->dir_path = NULL;
        return item->gone ? forget(err) : -1;
    }
    if (fstatat(run->dir, name, &item->st, AT_SYMLINK_NOFOLLOW) != 0) {
        item->gone = errno == ENOENT;
        return item->gone ? 0 : fault(run, "stat", name, err);
    }
    if (S_ISDIR(item->st.st_mode) != item->is_dir) {
        return error_set(err, ERR_USAGE, "'%.*s%s' changed during the build",
                         (int)run->absolute_base, run->absolute.data, name);
    }
    if (S_ISLNK(item->st.st_mode) && read_link(run, item, name, err) != 0) {
        return -1;
    }
    return is_known_plain(run, item, name) ? 0 : look_for_xattrs(run, item, name, err);
}

void stat_batch_run(void *arg)
{
    struct stat_batch *batch = arg;
    struct stat_run run = {.batch = batch, .dir = -1};
    if (batch->store) {
        folder_cache_load(batch->source, batch->store);
    }
    for (size_t i = 0; i < batch->len; i++) {
        if (stat_one(&run, &batch->items[i], &batch->err) != 0) {
            break;
        }
    }
    fd_closep(&run.dir);
    buf_release(&run.absolute);
}
