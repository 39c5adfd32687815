#include "cli/result_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

struct result_file {
    char *path;
    char *temp;  /* NULL: written in place */
    int unnamed; /* the file at work where it has no name until it is ready; else -1 */
    struct writer *writer;
};

/* Whether PATH can be replaced by a rename: it is missing, or an ordinary file that is no mount. */
static bool replaceable(const char *path)
{
    struct statx info = {0};
    if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_TYPE, &info) != 0) {
        return errno == ENOENT;
    }
    bool mount = info.stx_attributes_mask & info.stx_attributes & STATX_ATTR_MOUNT_ROOT;
    return S_ISREG(info.stx_mode) && !mount;
}

/* The folder that PATH lies in; the caller's. */
static char *folder_of(const char *path)
{
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/') {
        len--;
    }
    while (len > 0 && path[len - 1] != '/') {
        len--;
    }
    while (len > 1 && path[len - 1] == '/') {
        len--;
    }
    return len > 0 ? mem_strndup(path, len) : mem_strdup(".");
}

/* A kill that cannot be caught leaves nothing of a file without a name. Not all file systems have
 * such, and only /proc gives it its name. */
static int open_temp(struct result_file *file)
{
    AUTO(mem_freep) char *folder = folder_of(file->path);
    AUTO(fd_closep)
    int fd = access("/proc/self/fd", X_OK) == 0
                 ? open(folder, O_WRONLY | O_TMPFILE | O_CLOEXEC, 0644)
                 : -1;
    file->unnamed = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;
    if (file->unnamed >= 0) {
        return fd_steal(&fd);
    }
    return open(file->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
}

static int open_target(struct result_file *file, struct error *err)
{
    int fd = -1;
    if (strcmp(file->path, "-") == 0) {
        fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
        if (fd < 0) {
            return error_errno(err, ERR_STORE, "standard output");
        }
    } else if (replaceable(file->path)) {
        char random[17];
        file_random_name(random);
        file->temp = mem_printf("%s.tmp-%s", file->path, random);
        fd = open_temp(file);
        if (fd < 0) {
            error_errno(err, ERR_STORE, "open '%s'", file->path);
            free(MEM_STEAL(file->temp));
            return -1;
        }
    } else if (file_open(AT_FDCWD, file->path, O_WRONLY | O_CREAT | O_TRUNC, 0644, &fd, err) != 0) {
        return -1;
    }
    file->writer = writer_fd(fd, file->path);
    return 0;
}

static int open_any(const char *path, struct result_file **out, struct error *err)
{
    AUTO(result_file_freep) struct result_file *file = mem_calloc(1, sizeof *file);
    file->unnamed = -1;
    file->path = mem_strdup(path);
    if (open_target(file, err) != 0) {
        return -1;
    }
    *out = MEM_STEAL(file);
    return 0;
}

int result_file_open(const char *path, struct result_file **out, struct error *err)
{
    if (strcmp(path, "-") == 0 && isatty(STDOUT_FILENO)) {
        return error_set(err, ERR_USAGE,
                         "an archive is not written to a terminal: name a file or redirect");
    }
    return open_any(path, out, err);
}

static int check_writable(const char *path, int mode, const char *named, struct error *err)
{
    return faccessat(AT_FDCWD, path, mode, AT_EACCESS) == 0
               ? 0
               : error_errno(err, ERR_STORE, "open '%s'", named);
}

int result_file_check(const char *path, struct error *err)
{
    struct stat st;
    if (path[0] == '\0') {
        return error_set(err, ERR_USAGE, "the file's name is empty");
    }
    if (strcmp(path, "-") == 0) {
        return 0;
    }
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        errno = EISDIR;
        return error_errno(err, ERR_STORE, "open '%s'", path);
    }
    if (!replaceable(path)) {
        return check_writable(path, W_OK, path, err);
    }
    AUTO(mem_freep) char *folder = folder_of(path);
    return check_writable(folder, W_OK | X_OK, path, err);
}

int result_folder_check(const char *path, struct error *err)
{
    struct stat st;
    if (path[0] == '\0') {
        return error_set(err, ERR_USAGE, "the folder's name is empty");
    }
    AUTO(mem_freep) char *at = mem_strdup(path);
    while (stat(at, &st) != 0 && errno == ENOENT && strcmp(at, ".") != 0 && strcmp(at, "/") != 0) {
        char *up = folder_of(at);
        free(at);
        at = up;
    }
    if (stat(at, &st) != 0 || !S_ISDIR(st.st_mode)) {
        errno = ENOTDIR;
        return error_errno(err, ERR_STORE, "open '%s'", path);
    }
    return check_writable(at, W_OK | X_OK, path, err);
}

struct writer *result_file_writer(struct result_file *file)
{
    return file->writer;
}

int result_file_commit(struct result_file *file, struct error *err)
{
    writer_freep(&file->writer);
    if (!file->temp) {
        return 0;
    }
    if (file->unnamed >= 0) {
        char link[48];
        snprintf(link, sizeof link, "/proc/self/fd/%d", file->unnamed);
        if (linkat(AT_FDCWD, link, AT_FDCWD, file->temp, AT_SYMLINK_FOLLOW) != 0) {
            return error_errno(err, ERR_STORE, "write '%s'", file->path);
        }
    }
    if (rename(file->temp, file->path) != 0) {
        return error_errno(err, ERR_STORE, "rename to '%s'", file->path);
    }
    free(MEM_STEAL(file->temp));
    return 0;
}

void result_file_freep(struct result_file **file)
{
    struct result_file *f = *file;
    if (!f) {
        return;
    }
    *file = NULL;
    writer_freep(&f->writer);
    fd_closep(&f->unnamed);
    if (f->temp) {
        unlink(f->temp);
    }
    free(f->temp);
    free(f->path);
    free(f);
}

int result_file_write(const char *path, const char *text, struct error *err)
{
    AUTO(result_file_freep) struct result_file *file = NULL;
    if (open_any(path, &file, err) != 0 ||
        writer_write(file->writer, text, strlen(text), err) != 0) {
        return -1;
    }
    return result_file_commit(file, err);
}
