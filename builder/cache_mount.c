/* Cache mounts in the store. */
#include "builder/cache_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/file.h"
#include "base/memory.h"
#include "oci/unpack.h"

enum { PRIVATE_MAX = 256, LOCK_POLL_US = 50000 };

void cache_mount_unlockp(int *lock)
{
    fd_closep(lock);
}

/* Makes the folder under a temporary name, so that nobody sees it half made. */
static int make_folder(struct store *store, const struct cache_mount_spec *spec, const char *path,
                       struct error *err)
{
    int root = store_fd(store);
    AUTO(mem_freep) char *temp = NULL;
    AUTO(fd_closep) int fd = -1;
    if (store_temp_dir(store, &temp, err) != 0) {
        return -1;
    }
    AUTO(mem_freep) char *data = mem_printf("%s/data", temp);
    AUTO(mem_freep) char *id = mem_printf("%s/id", temp);
    if (mkdirat(root, data, 0700) != 0) {
        return error_errno(err, ERR_STORE, "make '%s'", data);
    }
    if (file_write_atomic(root, id, spec->id, strlen(spec->id), 0600, false, err) != 0 ||
        file_open(root, data, O_RDONLY | O_DIRECTORY, 0, &fd, err) != 0 ||
        (spec->content && unpack_tree(spec->content, fd, UNPACK_PLAIN, TIMES_KEEP, err) != 0)) {
        return -1;
    }
    if (fchown(fd, spec->uid, spec->gid) != 0 || fchmod(fd, spec->mode) != 0) {
        return error_errno(err, ERR_STORE, "give the folder to %u:%u", spec->uid, spec->gid);
    }
    if (renameat(root, temp, root, path) != 0 && errno != EEXIST && errno != ENOTEMPTY) {
        return error_errno(err, ERR_STORE, "make '%s'", path);
    }
    struct error ignored = {0};
    file_remove_tree(root, temp, &ignored);
    return 0;
}

static int open_folder(struct store *store, const struct cache_mount_spec *spec, const char *path,
                       struct error *err)
{
    if (store_touch(store, path)) {
        return 0;
    }
    if (file_make_dirs(store_fd(store), "cache-mounts", 0700, err) != 0) {
        return -1;
    }
    return make_folder(store, spec, path, err);
}

/* Tries to have PATH for itself; *LOCK_OUT stays -1 where somebody else has it. */
static int try_lock(struct store *store, const char *path, int *lock_out, struct error *err)
{
    AUTO(mem_freep) char *name = mem_printf("%s/lock", path);
    AUTO(fd_closep) int fd = -1;
    if (file_open(store_fd(store), name, O_RDWR | O_CREAT, 0600, &fd, err) != 0) {
        return -1;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        *lock_out = fd_steal(&fd);
        return 0;
    }
    return errno == EWOULDBLOCK ? 0 : error_errno(err, ERR_STORE, "lock '%s'", name);
}

static int wait_lock(struct store *store, const char *path, int *lock_out, struct error *err)
{
    while (*lock_out < 0) {
        if (cancel_requested()) {
            return cancel_error(err);
        }
        if (try_lock(store, path, lock_out, err) != 0) {
            return -1;
        }
        if (*lock_out < 0) {
            usleep(LOCK_POLL_US);
        }
    }
    return 0;
}

/* The first of PATH, PATH-1, ... that nobody has. */
static int open_private(struct store *store, const struct cache_mount_spec *spec, char **path,
                        int *lock_out, struct error *err)
{
    for (int i = 0; i < PRIVATE_MAX; i++) {
        AUTO(mem_freep) char *name = i ? mem_printf("%s-%d", *path, i) : mem_strdup(*path);
        if (open_folder(store, spec, name, err) != 0 || try_lock(store, name, lock_out, err) != 0) {
            return -1;
        }
        if (*lock_out >= 0) {
            free(*path);
            *path = MEM_STEAL(name);
            return 0;
        }
    }
    return error_set(err, ERR_STORE, "%d builds use it at once", PRIVATE_MAX);
}

int cache_mount_open(struct store *store, const struct cache_mount_spec *spec, char **path_out,
                     int *lock_out, struct error *err)
{
    struct digest digest;
    char hex[DIGEST_HEX_SIZE];
    digest_of(spec->id, strlen(spec->id), &digest);
    AUTO(mem_freep) char *path = mem_printf("cache-mounts/%s", digest_hex(&digest, hex));
    AUTO(fd_closep) int lock = -1;
    if (spec->sharing == MOUNT_PRIVATE) {
        if (open_private(store, spec, &path, &lock, err) != 0) {
            return -1;
        }
    } else if (open_folder(store, spec, path, err) != 0 ||
               (spec->sharing == MOUNT_LOCKED && wait_lock(store, path, &lock, err) != 0)) {
        return -1;
    }
    *path_out = mem_printf("%s/data", path);
    *lock_out = fd_steal(&lock);
    return 0;
}
