#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/memory.h"
#include "base/spill.h"

int file_open(int dirfd, const char *path, int flags, mode_t mode, int *fd_out, struct error *err)
{
    int fd = openat(dirfd, path, flags | O_CLOEXEC, mode);
    if (fd < 0) {
        return error_errno(err, ERR_STORE, "open '%s'", path);
    }
    *fd_out = fd;
    return 0;
}

static int open_resolve(int rootfd, const char *path, int flags, mode_t mode, uint64_t resolve,
                        int *fd_out, struct error *err)
{
    struct open_how how = {
        .flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
        .mode = flags & (O_CREAT | __O_TMPFILE) ? mode : 0,
        .resolve = resolve,
    };
    long fd = -1;
    do {
        fd = syscall(SYS_openat2, rootfd, path[0] ? path : ".", &how, sizeof how);
    } while (fd < 0 && (errno == EAGAIN || errno == EINTR));
    if (fd < 0) {
        return error_errno(err, ERR_STORE, "open '%s'", path);
    }
    *fd_out = (int)fd;
    return 0;
}

int file_open_in_root(int rootfd, const char *path, int flags, mode_t mode, int *fd_out,
                      struct error *err)
{
    return open_resolve(rootfd, path, flags, mode, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS, fd_out,
                        err);
}

int file_open_no_links(int rootfd, const char *path, int flags, mode_t mode, int *fd_out,
                       struct error *err)
{
    return open_resolve(rootfd, path, flags | O_NOFOLLOW, mode,
                        RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS, fd_out, err);
}

enum { READ_CHUNK = 64 * 1024, WRITE_CHUNK = 1024 * 1024 };

int file_read_fd(int fd, const char *name, size_t max, struct buf *out, struct error *err)
{
    for (;;) {
        char *to = buf_reserve(out, READ_CHUNK);
        ssize_t got = read(fd, to, READ_CHUNK);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return error_errno(err, ERR_STORE, "read '%s'", name);
        }
        if (got == 0) {
            to[0] = '\0';
            return 0;
        }
        out->len += (size_t)got;
        out->data[out->len] = '\0';
        spill_looked_bytes((size_t)got);
        if (out->len > max) {
            return error_set(err, ERR_USAGE, "'%s' is larger than %zu bytes", name, max);
        }
    }
}

int file_read(int dirfd, const char *path, size_t max, struct buf *out, bool *found_out,
              struct error *err)
{
    AUTO(fd_closep) int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0 && found_out && (errno == ENOENT || errno == ENOTDIR)) {
        *found_out = false;
        return 0;
    }
    if (fd < 0) {
        return error_errno(err, ERR_STORE, "open '%s'", path);
    }
    struct stat st;
    if (fstat(fd, &st) == 0 && st.st_size > 0 && (uint64_t)st.st_size <= max) {
        buf_reserve(out, (size_t)st.st_size + READ_CHUNK); /* the end is only seen by reading on */
    }
    if (file_read_fd(fd, path, max, out, err) != 0) {
        return -1;
    }
    if (found_out) {
        *found_out = true;
    }
    return 0;
}

bool file_is_on(int fd, const uint32_t *magics, size_t len)
{
    struct statfs fs;
    bool known = fstatfs(fd, &fs) == 0;
    bool found = false;
    for (size_t i = 0; known && i < len && !found; i++) {
        found = (uint32_t)fs.f_type == magics[i];
    }
    return found;
}

int file_write_fd(int fd, const char *name, const void *data, size_t len, struct error *err)
{
    const char *p = data;
    while (len > 0) {
        ssize_t put = write(fd, p, len < WRITE_CHUNK ? len : WRITE_CHUNK);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0) {
            return error_errno(err, ERR_STORE, "write '%s'", name);
        }
        p += put;
        len -= (size_t)put;
        spill_looked_bytes((size_t)put);
    }
    return 0;
}

void file_random_name(char out[17])
{
    uint64_t bits = 0;
    if (getrandom(&bits, sizeof bits, 0) != (ssize_t)sizeof bits) {
        bits = (uint64_t)getpid() << 32 ^ (uint64_t)(uintptr_t)&bits;
    }
    snprintf(out, 17, "%016llx", (unsigned long long)bits);
}

int file_write_atomic(int dirfd, const char *path, const void *data, size_t len, mode_t mode,
                      bool durable, struct error *err)
{
    char random[17];
    file_random_name(random);
    const char *slash = strrchr(path, '/');
    int parent_len = slash ? (int)(slash - path) + 1 : 0;
    AUTO(mem_freep) char *temp = mem_printf("%.*s.tmp-%s", parent_len, path, random);
    AUTO(fd_closep) int fd = -1;
    if (file_open(dirfd, temp, O_WRONLY | O_CREAT | O_EXCL, mode, &fd, err) != 0) {
        return -1;
    }
    int result = file_write_fd(fd, path, data, len, err);
    if (result == 0 && durable && fsync(fd) != 0) {
        result = error_errno(err, ERR_STORE, "fsync '%s'", path);
    }
    if (result == 0 && renameat(dirfd, temp, dirfd, path) != 0) {
        result = error_errno(err, ERR_STORE, "rename to '%s'", path);
    }
    if (result != 0) {
        unlinkat(dirfd, temp, 0);
    }
    return result;
}

int file_make_dirs(int dirfd, const char *path, mode_t mode, struct error *err)
{
    AUTO(mem_freep) char *copy = mem_strdup(path);
    for (char *p = copy;; p++) {
        if (*p != '/' && *p != '\0') {
            continue;
        }
        char saved = *p;
        *p = '\0';
        if (copy[0] && mkdirat(dirfd, copy, mode) != 0 && errno != EEXIST) {
            return error_errno(err, ERR_STORE, "make folder '%s'", copy);
        }
        if (!saved) {
            return 0;
        }
        *p = saved;
    }
}

/* One descriptor is open per level; what lies deeper is moved up first. */
enum { REMOVE_DEPTH_MAX = 32 };

struct removal {
    int top;    /* the folder that is removed: deep ones are moved here */
    bool moved; /* one was since the last look */
    dev_t device;
};

static int remove_at(int dirfd, const char *name, int depth, struct removal *removal,
                     struct error *err);

/* Takes over FD. */
static int remove_entries(int fd, const char *name, int depth, struct removal *removal,
                          struct error *err)
{
    DIR *dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return error_errno(err, ERR_STORE, "list '%s'", name);
    }
    int result = 0;
    for (struct dirent *e = readdir(dir); e && result == 0; e = readdir(dir)) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            result = remove_at(dirfd(dir), e->d_name, depth, removal, err);
        }
    }
    closedir(dir);
    return result;
}

/* The entries of the outermost folder FD (borrowed), until none is moved there any more. */
static int remove_top_entries(int fd, const char *name, struct removal *removal, struct error *err)
{
    removal->top = fd;
    do {
        removal->moved = false;
        int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (again < 0) {
            return error_errno(err, ERR_STORE, "list '%s'", name);
        }
        if (remove_entries(again, name, 1, removal, err) != 0) {
            return -1;
        }
    } while (removal->moved);
    return 0;
}

static int move_up(int dirfd, const char *name, struct removal *removal, struct error *err)
{
    char random[17];
    char temp[64];
    file_random_name(random);
    snprintf(temp, sizeof temp, ".deep-%s", random);
    if (renameat(dirfd, name, removal->top, temp) != 0) {
        return error_errno(err, ERR_STORE, "remove '%s'", name);
    }
    removal->moved = true;
    return 0;
}

/* Opens the folder NAME for removing what is in it. */
static int open_for_removal(int dirfd, const char *name, const struct removal *removal, int depth,
                            int *fd_out, struct error *err)
{
    AUTO(fd_closep) int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == EACCES && fchmodat(dirfd, name, 0700, 0) == 0) {
        fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    }
    if (fd < 0) {
        return error_errno(err, ERR_STORE, "remove '%s'", name);
    }
    struct stat st;
    if (fstat(fd, &st) != 0 || (depth > 0 && st.st_dev != removal->device)) {
        return error_set(err, ERR_STORE, "remove '%s': another file system is mounted there", name);
    }
    if ((st.st_mode & 0700) != 0700) {
        fchmod(fd, 0700);
    }
    *fd_out = fd_steal(&fd);
    return 0;
}

static int remove_folder(int dirfd, const char *name, int depth, struct removal *removal,
                         struct error *err)
{
    AUTO(fd_closep) int fd = -1;
    if (open_for_removal(dirfd, name, removal, depth, &fd, err) != 0) {
        return -1;
    }
    int result = 0;
    if (depth > 0) {
        result = remove_entries(fd_steal(&fd), name, depth + 1, removal, err);
    } else {
        struct stat st;
        result = fstat(fd, &st);
        removal->device = st.st_dev;
        result = result == 0 ? remove_top_entries(fd, name, removal, err)
                             : error_errno(err, ERR_STORE, "stat '%s'", name);
    }
    if (result == 0 && unlinkat(dirfd, name, AT_REMOVEDIR) != 0 && errno != ENOENT) {
        result = error_errno(err, ERR_STORE, "remove '%s'", name);
    }
    return result;
}

static int remove_at(int dirfd, const char *name, int depth, struct removal *removal,
                     struct error *err)
{
    if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT) {
        return 0;
    }
    if (errno != EISDIR && errno != EPERM) {
        return error_errno(err, ERR_STORE, "remove '%s'", name);
    }
    if (depth <= REMOVE_DEPTH_MAX) {
        return remove_folder(dirfd, name, depth, removal, err);
    }
    AUTO(fd_closep) int fd = -1;
    if (unlinkat(dirfd, name, AT_REMOVEDIR) == 0) {
        return 0;
    }
    if (open_for_removal(dirfd, name, removal, depth, &fd, err) != 0) {
        return -1;
    }
    return move_up(dirfd, name, removal, err);
}

int file_remove_tree(int dirfd, const char *path, struct error *err)
{
    struct removal removal = {.top = -1};
    return remove_at(dirfd, path, 0, &removal, err);
}
