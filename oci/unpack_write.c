/*
 * Entries as files. Every path is opened anew beneath the root without following a link, so that
 * whatever a layer holds, nothing outside of the root is touched.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "base/strlist.h"
#include "oci/unpack_internal.h"

/* A folder whose mode and time are set last. */
struct late_folder {
    char *path;
    uint32_t mode;
    int64_t mtime;
    size_t order; /* of two with the same path, the later counts */
    bool implied; /* no entry speaks of it */
};

struct unpacker {
    int root;
    enum unpack_style style;
    enum timestamps timestamps;
    int64_t stamp;
    bool set_owners;
    struct late_folder *folders;
    size_t folders_len;
    size_t folders_cap;
    char *parent; /* path of the folder that `parent_fd` is, NULL: none */
    int parent_fd;
    struct hasher *hasher;
    struct strlist implied; /* folders that no entry spoke of so far */
};

struct unpacker *unpacker_new(int rootfd, enum unpack_style style, int64_t stamp,
                              enum timestamps timestamps)
{
    struct unpacker *u = mem_calloc(1, sizeof *u);
    *u = (struct unpacker){.root = rootfd,
                           .style = style,
                           .timestamps = timestamps,
                           .stamp = stamp,
                           .set_owners = style != UNPACK_PLAIN || geteuid() == 0,
                           .parent_fd = -1,
                           .hasher = hasher_new()};
    return u;
}

void unpacker_freep(struct unpacker **u)
{
    if (!*u) {
        return;
    }
    for (size_t i = 0; i < (*u)->folders_len; i++) {
        free((*u)->folders[i].path);
    }
    fd_closep(&(*u)->parent_fd);
    hasher_freep(&(*u)->hasher);
    strlist_release(&(*u)->implied);
    free((*u)->folders);
    free((*u)->parent);
    free(*u);
    *u = NULL;
}

static void add_late(struct unpacker *u, const char *path, uint32_t mode, int64_t mtime,
                     bool implied)
{
    if (u->folders_len == u->folders_cap) {
        u->folders_cap = u->folders_cap ? u->folders_cap * 2 : 64;
        u->folders = mem_realloc(u->folders, u->folders_cap, sizeof *u->folders);
    }
    u->folders[u->folders_len] =
        (struct late_folder){mem_strdup(path), mode, mtime, u->folders_len, implied};
    u->folders_len++;
}

static void forget_parent(struct unpacker *u)
{
    fd_closep(&u->parent_fd);
    u->parent_fd = -1;
    free(MEM_STEAL(u->parent));
}

/* The time of what has none that counts. */
static int64_t empty_time(const struct unpacker *u)
{
    return u->stamp >= 0 ? u->stamp : TIME_BASE;
}

static int open_parent(struct unpacker *u, const char *path, int *fd_out, struct error *err);

/* Makes way for something else under NAME. */
static int clear_name(struct unpacker *u, int dir, const char *name, struct error *err)
{
    if (unlinkat(dir, name, 0) == 0 || errno == ENOENT) {
        return 0;
    }
    if (u->style == UNPACK_PLAIN) {
        return error_errno(err, ERR_USAGE, "replace folder '%s'", name);
    }
    forget_parent(u);
    return file_remove_tree(dir, name, err);
}

static const char *opaque_name(const struct unpacker *u)
{
    return u->style == UNPACK_OVERLAY ? "trusted.overlay.opaque" : "user.overlay.opaque";
}

static int set_opaque(struct unpacker *u, int dir, const char *name, struct error *err)
{
    AUTO(fd_closep) int fd = -1;
    if (u->style == UNPACK_PLAIN) {
        return 0;
    }
    if (file_open(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, &fd, err) != 0) {
        return -1;
    }
    if (fsetxattr(fd, opaque_name(u), "y", 1, 0) != 0) {
        return error_errno(err, ERR_STORE, "mark folder '%s' as opaque", name);
    }
    return 0;
}

static bool is_whiteout(const struct stat *st)
{
    return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

/* Makes folder NAME in DIR, or takes the one that is there. *MADE_OUT: whether it is new. */
static int make_folder(struct unpacker *u, int dir, const char *name, bool *made_out,
                       struct error *err)
{
    struct stat st;
    bool was_deleted = false;
    *made_out = false;
    if (mkdirat(dir, name, 0700) == 0) {
        *made_out = true;
        return 0;
    }
    if (errno != EEXIST || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return error_errno(err, ERR_STORE, "make folder '%s'", name);
    }
    if (S_ISDIR(st.st_mode)) {
        return 0;
    }
    if (u->style == UNPACK_PLAIN) {
        return error_set(err, ERR_USAGE, "'%s' is in the way of a folder", name);
    }
    was_deleted = is_whiteout(&st);
    if (clear_name(u, dir, name, err) != 0) {
        return -1;
    }
    if (mkdirat(dir, name, 0700) != 0) {
        return error_errno(err, ERR_STORE, "make folder '%s'", name);
    }
    *made_out = true;
    /* Deleted below and made anew here: what lay in it stays deleted. */
    return was_deleted ? set_opaque(u, dir, name, err) : 0;
}

/* Folders that no entry speaks of belong to root. */
static int make_implied(struct unpacker *u, const char *path, struct error *err)
{
    AUTO(fd_closep) int dir = -1;
    bool made = false;
    if (open_parent(u, path, &dir, err) != 0 ||
        make_folder(u, dir, path_name(path), &made, err) != 0) {
        return -1;
    }
    if (made) {
        add_late(u, path, 0755, empty_time(u), true);
    }
    return 0;
}

const struct strlist *unpacker_implied(const struct unpacker *u)
{
    return &u->implied;
}

/* The folder that PATH lies in, made if it is missing. */
static int open_parent(struct unpacker *u, const char *path, int *fd_out, struct error *err)
{
    AUTO(mem_freep) char *parent = path_parent(path);
    if (!u->parent || strcmp(u->parent, parent) != 0) {
        struct error missing = {0};
        AUTO(fd_closep) int fd = -1;
        const int flags = O_PATH | O_DIRECTORY;
        if (file_open_no_links(u->root, parent, flags, 0, &fd, &missing) != 0) {
            int why = missing.sys_errno;
            if ((why != ENOENT && why != ENOTDIR && why != ELOOP) || !parent[0]) {
                *err = missing;
                return -1;
            }
            if (make_implied(u, parent, err) != 0 ||
                file_open_no_links(u->root, parent, flags, 0, &fd, err) != 0) {
                return -1;
            }
        }
        forget_parent(u);
        u->parent = MEM_STEAL(parent);
        u->parent_fd = fd_steal(&fd);
    }
    *fd_out = fcntl(u->parent_fd, F_DUPFD_CLOEXEC, 0);
    return *fd_out >= 0 ? 0 : error_errno(err, ERR_STORE, "open the folder of '%s'", path);
}

/* ---- times ---- */

/* Whether a file's time can be one that was made from its content. */
static bool in_window(int64_t mtime)
{
    return mtime >= TIME_BASE && mtime < TIME_BASE + TIME_SPAN;
}

static bool needs_hash(const struct unpacker *u, const struct entry *entry)
{
    bool is_volatile = entry->flags & ENTRY_TIME_VOLATILE;
    return u->stamp >= 0 ? !is_volatile && in_window(entry->mtime)
                         : is_volatile && u->timestamps == TIMES_CONTENT;
}

/* The time to set. CONTENT: the digest of a file's content where needs_hash(). */
static int64_t time_of(const struct unpacker *u, const struct entry *entry,
                       const struct digest *content)
{
    bool is_volatile = entry->flags & ENTRY_TIME_VOLATILE;
    if (u->stamp >= 0) {
        bool made = is_volatile || entry->mtime == TIME_BASE ||
                    (content && entry->mtime == layer_time_of(content));
        return made ? u->stamp : entry->mtime;
    }
    if (!is_volatile || u->timestamps == TIMES_KEEP) {
        return entry->mtime;
    }
    return content && u->timestamps == TIMES_CONTENT ? layer_time_of(content) : TIME_BASE;
}

static int set_time(int dir, const char *name, int64_t mtime, struct error *err)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = mtime}};
    if (utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW) != 0) {
        return error_errno(err, ERR_STORE, "set the time");
    }
    return 0;
}

/* ---- entries ---- */

static int copy_content(struct unpacker *u, int fd, const struct unpack_content *content, bool hash,
                        struct error *err)
{
    for (;;) {
        const void *data = NULL;
        size_t got = 0;
        if (content->view(content->ctx, &data, &got, err) != 0) {
            return -1;
        }
        if (got == 0) {
            return 0;
        }
        if (hash) {
            hasher_add(u->hasher, data, got);
        }
        if (file_write_fd(fd, "file", data, got, err) != 0) {
            return -1;
        }
    }
}

static int add_file(struct unpacker *u, int dir, const struct entry *entry,
                    const struct unpack_content *content, struct error *err)
{
    const char *name = path_name(entry->path);
    AUTO(fd_closep) int fd = -1;
    bool hash = needs_hash(u, entry);
    struct digest digest;
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
    fd = openat(dir, name, flags | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST) {
        if (clear_name(u, dir, name, err) != 0 ||
            file_open(dir, name, flags, 0600, &fd, err) != 0) {
            return -1;
        }
    } else if (fd < 0) {
        return error_errno(err, ERR_STORE, "make the file");
    }
    if (content && copy_content(u, fd, content, hash, err) != 0) {
        return -1;
    }
    if (hash) {
        hasher_finish(u->hasher, &digest);
    }
    if (u->set_owners && fchown(fd, entry->uid, entry->gid) == 0) {
        /* The usual case in two calls on the descriptor. */
        if (fchmod(fd, entry->mode & 07777) != 0) {
            return error_errno(err, ERR_STORE, "set the mode");
        }
        if (entry->xattrs_len > 0) {
            char proc[48];
            snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
            if (unpack_xattrs(proc, entry, err) != 0) {
                return -1;
            }
        }
    } else if (unpack_attributes(u->style, fd, entry, err) != 0) {
        return -1;
    }
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
                                      {.tv_sec = time_of(u, entry, hash ? &digest : NULL)}};
    return futimens(fd, times) == 0 ? 0 : error_errno(err, ERR_STORE, "set the time");
}

static int add_folder(struct unpacker *u, int dir, const struct entry *entry, struct error *err)
{
    const char *name = path_name(entry->path);
    bool made = false;
    if (make_folder(u, dir, name, &made, err) != 0 ||
        ((entry->flags & ENTRY_OPAQUE) && set_opaque(u, dir, name, err) != 0)) {
        return -1;
    }
    if (entry->mode == UINT32_MAX) {
        if (made) {
            add_late(u, entry->path, 0755, empty_time(u), true);
        }
        return 0;
    }
    AUTO(fd_closep) int fd = -1;
    if (file_open(dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0, &fd, err) != 0 ||
        unpack_attributes(u->style, fd, entry, err) != 0) {
        return -1;
    }
    add_late(u, entry->path, entry->mode, time_of(u, entry, NULL), false);
    return 0;
}

/* A link or node that was just made: owner, mode, time. */
static int dress(struct unpacker *u, int dir, const struct entry *entry, struct error *err)
{
    const char *name = path_name(entry->path);
    AUTO(fd_closep) int fd = -1;
    if (file_open(dir, name, O_PATH | O_NOFOLLOW, 0, &fd, err) != 0 ||
        unpack_attributes(u->style, fd, entry, err) != 0) {
        return -1;
    }
    return set_time(dir, name, time_of(u, entry, NULL), err);
}

static int add_symlink(struct unpacker *u, int dir, const struct entry *entry, struct error *err)
{
    const char *name = path_name(entry->path);
    if (symlinkat(entry->link, dir, name) != 0 &&
        (errno != EEXIST || clear_name(u, dir, name, err) != 0 ||
         symlinkat(entry->link, dir, name) != 0)) {
        return err->code ? -1 : error_errno(err, ERR_STORE, "make the link");
    }
    return dress(u, dir, entry, err);
}

static int no_target(const struct entry *entry, struct error *err)
{
    return error_set(err, ERR_REMOTE, "hard link to '%s', which is not in this layer", entry->link);
}

static int add_hardlink(struct unpacker *u, int dir, const struct entry *entry, struct error *err)
{
    const char *name = path_name(entry->path);
    AUTO(mem_freep) char *parent = path_parent(entry->link);
    AUTO(fd_closep) int from = -1;
    if (file_open_no_links(u->root, parent, O_PATH | O_DIRECTORY, 0, &from, err) != 0) {
        int why = err->sys_errno;
        return why == ENOENT || why == ENOTDIR || why == ELOOP
                   ? no_target(entry, err)
                   : error_wrap(err, "hard link to '%s'", entry->link);
    }
    if (strcmp(entry->link, entry->path) == 0) {
        return error_set(err, ERR_REMOTE, "a hard link to itself");
    }
    if (linkat(from, path_name(entry->link), dir, name, 0) == 0) {
        return 0;
    }
    if (errno == EEXIST && clear_name(u, dir, name, err) == 0 &&
        linkat(from, path_name(entry->link), dir, name, 0) == 0) {
        return 0;
    }
    if (err->code) {
        return -1;
    }
    if (errno == ENOENT) {
        return no_target(entry, err);
    }
    if (errno == EPERM) {
        return error_set(err, ERR_REMOTE, "hard link to '%s', which is a folder", entry->link);
    }
    return error_errno(err, ERR_STORE, "hard link to '%s'", entry->link);
}

static int add_node(struct unpacker *u, int dir, const struct entry *entry, struct error *err)
{
    const char *name = path_name(entry->path);
    mode_t type = entry->type == ENTRY_CHAR    ? S_IFCHR
                  : entry->type == ENTRY_BLOCK ? S_IFBLK
                                               : S_IFIFO;
    if (type == S_IFCHR && entry->rdev_major == 0 && entry->rdev_minor == 0) {
        return error_set(err, ERR_REMOTE, "the device 0:0 does not exist");
    }
    if (clear_name(u, dir, name, err) != 0) {
        return -1;
    }
    dev_t device = entry_is_device(entry) ? makedev(entry->rdev_major, entry->rdev_minor) : 0;
    if (mknodat(dir, name, type | 0600, device) != 0) {
        /* Nobody in a user namespace can make devices; a RUN gets its own /dev anyway. */
        if (errno == EPERM && u->style == UNPACK_OVERLAY_USER) {
            return 0;
        }
        return error_errno(err, ERR_STORE, "make the device or FIFO");
    }
    return dress(u, dir, entry, err);
}

/* A mark that the path is deleted in the layers below. What this layer itself has there stays. */
static int add_whiteout(struct unpacker *u, int dir, const char *name, struct error *err)
{
    struct stat st;
    if (u->style == UNPACK_PLAIN) {
        return error_set(err, ERR_REMOTE, "a deletion in what should be a whole tree");
    }
    if (mknodat(dir, name, S_IFCHR, makedev(0, 0)) == 0) {
        return 0;
    }
    if (errno != EEXIST || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return error_errno(err, ERR_STORE, "mark as deleted");
    }
    return S_ISDIR(st.st_mode) ? set_opaque(u, dir, name, err) : 0;
}

/* The root's own entry. */
static int add_root(struct unpacker *u, const struct entry *entry, struct error *err)
{
    if (entry->type != ENTRY_DIR) {
        return error_set(err, ERR_REMOTE, "the root is not a folder");
    }
    if ((entry->flags & ENTRY_OPAQUE) && set_opaque(u, u->root, ".", err) != 0) {
        return -1;
    }
    if (entry->mode == UINT32_MAX) {
        return 0;
    }
    if (unpack_attributes(u->style, u->root, entry, err) != 0) {
        return -1;
    }
    add_late(u, "", entry->mode, time_of(u, entry, NULL), false);
    return 0;
}

static int add_by_type(struct unpacker *u, int dir, const struct entry *entry,
                       const struct unpack_content *content, struct error *err)
{
    switch (entry->type) {
    case ENTRY_FILE:
        return add_file(u, dir, entry, content, err);
    case ENTRY_DIR:
        return add_folder(u, dir, entry, err);
    case ENTRY_SYMLINK:
        return add_symlink(u, dir, entry, err);
    case ENTRY_HARDLINK:
        return add_hardlink(u, dir, entry, err);
    case ENTRY_WHITEOUT:
        return add_whiteout(u, dir, path_name(entry->path), err);
    default:
        return add_node(u, dir, entry, err);
    }
}

int unpacker_add(struct unpacker *u, const struct entry *entry,
                 const struct unpack_content *content, struct error *err)
{
    AUTO(fd_closep) int dir = -1;
    if (!entry->path[0]) {
        return add_root(u, entry, err) == 0 ? 0 : error_wrap(err, "unpack '/'");
    }
    if (!path_is_clean(entry->path) ||
        (entry->type == ENTRY_HARDLINK && !path_is_clean(entry->link))) {
        return error_set(err, ERR_REMOTE, "unpack '%.200s': not a path inside the root",
                         entry->path);
    }
    if (open_parent(u, entry->path, &dir, err) != 0 ||
        add_by_type(u, dir, entry, content, err) != 0) {
        return error_wrap(err, "unpack '%s'", entry->path);
    }
    return 0;
}

/* Deepest first, as a folder's mode may lock us out of what lies below; of equal paths the latest
 * first. */
static int deepest_first(const void *a, const void *b)
{
    const struct late_folder *x = a;
    const struct late_folder *y = b;
    int order = strcmp(y->path, x->path);
    return order ? order : x->order < y->order ? 1 : -1;
}

int unpacker_finish(struct unpacker *u, struct error *err)
{
    forget_parent(u);
    if (u->folders_len > 1) {
        qsort(u->folders, u->folders_len, sizeof *u->folders, deepest_first);
    }
    for (size_t i = 0; i < u->folders_len; i++) {
        const struct late_folder *folder = &u->folders[i];
        struct error gone = {0};
        AUTO(fd_closep) int fd = -1;
        if (i > 0 && strcmp(folder->path, u->folders[i - 1].path) == 0) {
            continue;
        }
        /* A later entry may have replaced it by something else. */
        if (file_open_no_links(u->root, folder->path, O_RDONLY | O_DIRECTORY, 0, &fd, &gone) != 0) {
            continue;
        }
        const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = folder->mtime}};
        if (fchmod(fd, folder->mode & 07777) != 0 || futimens(fd, times) != 0) {
            return error_errno(err, ERR_STORE, "set mode and time of '%s'", folder->path);
        }
        if (folder->implied) {
            strlist_add(&u->implied, folder->path);
        }
    }
    return 0;
}
