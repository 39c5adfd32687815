/*
 * Who uses what: how room is made beside running builds (oci/store.h, "Making room").
 *
 * A process that uses the store is known by its lock file in tmp/, whose time says since when. What
 * it relies on it touches, once: then the file is younger than the process, and whoever makes room
 * takes only what is older than all processes. Looking at a file's time and removing it must not be
 * torn apart by a touch, so both happen under the lock file "locks/prune": shared for touching, for
 * one alone for removing.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "oci/store_internal.h"

#define USE_LOCK "locks/" STORE_USE_LOCK

int64_t store_time_of(const struct stat *st)
{
    return st->st_mtim.tv_sec * (int64_t)1000000000 + st->st_mtim.tv_nsec;
}

int store_hold(struct store *store, struct error *err)
{
    if (store_temp_prepare(store, err) == 0) {
        return 0;
    }
    if (err->sys_errno != EROFS && err->sys_errno != EACCES) {
        return -1;
    }
    error_clear(err); /* where we cannot write, nobody like us removes anything */
    return 0;
}

/* Takes the lock in the way HOW (LOCK_SH, LOCK_EX), for as long as it takes to touch or remove a
 * file; false where the store cannot be written. Its file stays open: a build touches hundreds. */
static bool take_use_lock(struct store *store, int how)
{
    pthread_mutex_lock(&store->use_lock);
    if (store->use_fd < 0) {
        store->use_fd =
            openat(store->fd, USE_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, STORE_FILE_MODE);
    }
    int locked = -1;
    do {
        locked = store->use_fd >= 0 ? flock(store->use_fd, how) : -1;
    } while (store->use_fd >= 0 && locked != 0 && errno == EINTR);
    if (locked != 0) {
        pthread_mutex_unlock(&store->use_lock);
    }
    return locked == 0;
}

static void give_use_lock(struct store *store)
{
    flock(store->use_fd, LOCK_UN);
    pthread_mutex_unlock(&store->use_lock);
}

bool store_used(struct store *store, const char *path, const struct stat *st)
{
    int64_t held = atomic_load_explicit(&store->held_ns, memory_order_relaxed);
    if (held == 0 || store_time_of(st) >= held) {
        return true;
    }
    if (!take_use_lock(store, LOCK_SH)) {
        return true;
    }
    bool there = utimensat(store->fd, path, NULL, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
    give_use_lock(store);
    return there;
}

bool store_touch(struct store *store, const char *path)
{
    struct stat st;
    if (fstatat(store->fd, path, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return errno != ENOENT && errno != ENOTDIR; /* whoever opens it says what is wrong */
    }
    return store_used(store, path, &st);
}

/* Since when the process has been there whose lock file NAME of the folder TMP is; INT64_MAX if it
 * is gone. */
static int64_t began(int tmp, const char *name)
{
    AUTO(fd_closep) int fd = openat(tmp, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0 || flock(fd, LOCK_SH | LOCK_NB) == 0) {
        return INT64_MAX;
    }
    return store_time_of(&st);
}

int store_unused_since(struct store *store, int64_t *since_out, unsigned *others_out,
                       struct error *err)
{
    struct stat own;
    if (store_temp_prepare(store, err) != 0) {
        return -1;
    }
    atomic_store(&store->held_ns, 0); /* looking at things is no use of them */
    if (fstat(store->temp_lock, &own) != 0) {
        error_errno(err, ERR_STORE, "stat '%s'", store->temp);
        return store_fault(store, err);
    }
    AUTO(fd_closep)
    int tmp = openat(store->fd, "tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *dir = tmp >= 0 ? fdopendir(dup(tmp)) : NULL;
    if (!dir) {
        error_errno(err, ERR_STORE, "list 'tmp'");
        return store_fault(store, err);
    }
    int64_t since = store_time_of(&own);
    unsigned others = 0;
    const char *mine = store->temp + strlen("tmp/");
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        size_t len = strlen(e->d_name);
        bool is_lock = len > 5 && strcmp(e->d_name + len - 5, ".lock") == 0;
        if (!is_lock || strncmp(e->d_name, mine, strlen(mine)) == 0) {
            continue;
        }
        int64_t at = began(tmp, e->d_name);
        others += at != INT64_MAX;
        since = at < since ? at : since;
    }
    closedir(dir);
    *since_out = since;
    *others_out = others;
    return 0;
}

/* Gone at once, or moved to TEMP (a folder). The lock is held. *REMOVED_OUT as for
 * store_remove_unused(). */
static int detach_locked(struct store *store, const char *path, int64_t since, const char *temp,
                         bool *removed_out, struct error *err)
{
    struct stat st;
    if (fstatat(store->fd, path, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        *removed_out = false;
        return errno == ENOENT ? 0 : error_errno(err, ERR_STORE, "stat '%s'", path);
    }
    *removed_out = store_time_of(&st) < since;
    if (!*removed_out) {
        return 0;
    }
    int result = S_ISDIR(st.st_mode) ? renameat(store->fd, path, store->fd, temp)
                                     : unlinkat(store->fd, path, 0);
    return result == 0 ? 0 : error_errno(err, ERR_STORE, "remove '%s'", path);
}

static int detach(struct store *store, const char *path, int64_t since, const char *temp,
                  bool *removed_out, struct error *err)
{
    if (!take_use_lock(store, LOCK_EX)) {
        return error_errno(err, ERR_STORE, "lock '%s'", USE_LOCK);
    }
    int rc = detach_locked(store, path, since, temp, removed_out, err);
    give_use_lock(store);
    return rc;
}

int store_remove_unused(struct store *store, const char *path, int64_t since, bool *removed_out,
                        struct error *err)
{
    AUTO(mem_freep) char *temp = NULL;
    if (store_temp_name(store, &temp, err) != 0 ||
        detach(store, path, since, temp, removed_out, err) != 0 ||
        file_remove_tree(store->fd, temp, err) != 0) {
        return store_fault(store, err);
    }
    return 0;
}
