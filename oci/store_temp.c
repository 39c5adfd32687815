/*
 * Unfinished files: every process has a folder of its own below tmp/.
 *
 * Who owns "tmp/PID-RANDOM" holds an flock on "tmp/PID-RANDOM.lock". The kernel drops it when the
 * owner dies, however it dies, and it means the same in every PID namespace; the number in the name
 * is only for people. The lock file is there before the folder and goes after it, so that a folder
 * without one belongs to nobody.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "oci/store_internal.h"

void store_spread(int dirfd, const char *path)
{
    AUTO(fd_closep) int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    int flags = 0;
    if (fd >= 0 && ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 && !(flags & FS_TOPDIR_FL)) {
        flags |= FS_TOPDIR_FL;
        ioctl(fd, FS_IOC_SETFLAGS, &flags);
    }
}

/* A file takes 10 to 40 us to make, and up to milliseconds where store_spread() did not help. */
enum { SLOW_FILE_US = 80, FOLDER_TRIES = 12 };

/* Takes the lock file PATH for us. *TAKEN_OUT is false if a sweeper was faster, which may see the
 * file between its making and its locking. */
static int take_lock(struct store *store, const char *path, int *fd_out, bool *taken_out,
                     struct error *err)
{
    AUTO(fd_closep) int fd = -1;
    if (file_open(store->fd, path, O_RDWR | O_CREAT | O_EXCL, STORE_FILE_MODE, &fd, err) != 0) {
        return -1;
    }
    int locked = 0;
    do {
        locked = flock(fd, LOCK_EX); /* held for an instant by a sweeper at most */
    } while (locked != 0 && errno == EINTR);
    struct stat st;
    if (locked != 0 || fstat(fd, &st) != 0) {
        return error_errno(err, ERR_STORE, "lock '%s'", path);
    }
    *taken_out = st.st_nlink > 0;
    *fd_out = *taken_out ? fd_steal(&fd) : -1;
    return 0;
}

static int make_temp(struct store *store, struct error *err)
{
    for (;;) {
        char random[17];
        file_random_name(random);
        AUTO(mem_freep) char *temp = mem_printf("tmp/%ld-%s", (long)getpid(), random);
        AUTO(mem_freep) char *lock = mem_printf("%s.lock", temp);
        AUTO(fd_closep) int fd = -1;
        bool taken = false;
        if (take_lock(store, lock, &fd, &taken, err) != 0) {
            return -1;
        }
        if (!taken) {
            continue;
        }
        if (mkdirat(store->fd, temp, STORE_DIR_MODE) != 0) {
            error_errno(err, ERR_STORE, "make folder '%s'", temp);
            unlinkat(store->fd, lock, 0);
            return -1;
        }
        struct stat st;
        if (fstat(fd, &st) == 0) {
            atomic_store(&store->held_ns, store_time_of(&st));
        }
        store->temp = MEM_STEAL(temp);
        store->temp_lock = fd_steal(&fd);
        return 0;
    }
}

/* Processor time of this thread. */
static int64_t thread_time_us(void)
{
    struct timespec now = {0};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Whether files are quickly made in the folder PATH: see store_spread(). What goes wrong here is
 * found by who really makes files. */
static bool is_quick(struct store *store, const char *path)
{
    AUTO(mem_freep) char *file = mem_printf("%s/probe", path);
    int64_t before = thread_time_us();
    AUTO(fd_closep)
    int fd = openat(store->fd, file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, STORE_FILE_MODE);
    int64_t spent = thread_time_us() - before;
    unlinkat(store->fd, file, 0);
    return spent <= SLOW_FILE_US;
}

/* Makes the folder for temporary folders, apart from the store's other files: what is unpacked has
 * thousands of inodes. */
static int make_spread(struct store *store, struct error *err)
{
    store_spread(store->fd, store->temp);
    for (unsigned tries = 1;; tries++) {
        char random[17];
        file_random_name(random);
        AUTO(mem_freep) char *path = mem_printf("%s/%s", store->temp, random);
        if (mkdirat(store->fd, path, STORE_DIR_MODE) != 0) {
            return error_errno(err, ERR_STORE, "make folder '%s'", path);
        }
        if (tries == FOLDER_TRIES || is_quick(store, path)) {
            store->spread = MEM_STEAL(path);
            return 0;
        }
    }
}

int store_temp_prepare(struct store *store, struct error *err)
{
    pthread_mutex_lock(&store->lock);
    int result = store->temp ? 0 : make_temp(store, err);
    pthread_mutex_unlock(&store->lock);
    return result == 0 ? 0 : store_fault(store, err);
}

void store_temp_remove(struct store *store)
{
    store_remover_end(store);
    if (store->temp) {
        AUTO(mem_freep) char *lock = mem_printf("%s.lock", store->temp);
        struct error ignored = {0};
        /* What cannot be removed (it is still mounted) keeps its lock file: the next who opens the
         * store tries again. */
        if (file_remove_tree(store->fd, store->temp, &ignored) == 0) {
            unlinkat(store->fd, lock, 0);
        }
    }
    fd_closep(&store->temp_lock);
    mem_freep(&store->temp);
    mem_freep(&store->spread);
}

/* NAME is a lock file of tmp/. */
static void sweep_one(int tmp, const char *name)
{
    AUTO(fd_closep) int fd = openat(tmp, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0) {
        return;
    }
    AUTO(mem_freep) char *folder = mem_strndup(name, strlen(name) - strlen(".lock"));
    struct error ignored = {0};
    if (file_remove_tree(tmp, folder, &ignored) == 0) {
        unlinkat(tmp, name, 0);
    }
}

/* NAME is something else in tmp/: of no owner if it has no lock file. */
static void sweep_orphan(int tmp, const char *name)
{
    AUTO(mem_freep) char *lock = mem_printf("%s.lock", name);
    struct stat st;
    if (fstatat(tmp, lock, &st, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT) {
        struct error ignored = {0};
        if (file_remove_tree(tmp, name, &ignored) != 0) {
            return;
        }
    }
}

static bool is_lock_name(const char *name)
{
    size_t len = strlen(name);
    return len > 5 && strcmp(name + len - 5, ".lock") == 0;
}

void store_temp_sweep(struct store *store)
{
    int tmp = openat(store->fd, "tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *dir = tmp >= 0 ? fdopendir(tmp) : NULL;
    if (!dir) {
        fd_closep(&tmp);
        return;
    }
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        if (e->d_name[0] == '.') {
            continue;
        }
        if (is_lock_name(e->d_name)) {
            sweep_one(tmp, e->d_name);
        } else {
            sweep_orphan(tmp, e->d_name);
        }
    }
    closedir(dir);
}

int store_temp_name(struct store *store, char **path_out, struct error *err)
{
    if (store_temp_prepare(store, err) != 0) {
        return -1;
    }
    *path_out = mem_printf("%s/%u", store->temp, atomic_fetch_add(&store->counter, 1U));
    return 0;
}

int store_temp_file(struct store *store, int *fd_out, struct error *err)
{
    AUTO(mem_freep) char *name = NULL;
    if (store_temp_name(store, &name, err) != 0 ||
        file_open(store->fd, name, O_RDWR | O_CREAT | O_EXCL, 0600, fd_out, err) != 0) {
        return -1;
    }
    unlinkat(store->fd, name, 0);
    return 0;
}

int store_temp_dir(struct store *store, char **path_out, struct error *err)
{
    if (store_temp_prepare(store, err) != 0) {
        return -1;
    }
    pthread_mutex_lock(&store->lock);
    int result = store->spread ? 0 : make_spread(store, err);
    pthread_mutex_unlock(&store->lock);
    if (result != 0) {
        return store_fault(store, err);
    }
    AUTO(mem_freep)
    char *path = mem_printf("%s/%u", store->spread, atomic_fetch_add(&store->counter, 1U));
    if (mkdirat(store->fd, path, STORE_DIR_MODE) != 0) {
        error_errno(err, ERR_STORE, "make folder '%s'", path);
        return store_fault(store, err);
    }
    *path_out = MEM_STEAL(path);
    return 0;
}

int store_write_file(struct store *store, const char *path, const struct iovec *parts, size_t count,
                     struct error *err)
{
    AUTO(mem_freep) char *temp = NULL;
    if (store_temp_name(store, &temp, err) != 0) {
        return -1;
    }
    AUTO(fd_closep) int fd = -1;
    if (file_open(store->fd, temp, O_WRONLY | O_CREAT | O_EXCL, STORE_FILE_MODE, &fd, err) != 0) {
        return store_fault(store, err);
    }
    int result = 0;
    for (size_t i = 0; i < count && result == 0; i++) {
        result = file_write_fd(fd, path, parts[i].iov_base, parts[i].iov_len, err);
    }
    if (result == 0 && renameat(store->fd, temp, store->fd, path) != 0) {
        result = error_errno(err, ERR_STORE, "rename to '%s'", path);
    }
    if (result != 0) {
        unlinkat(store->fd, temp, 0);
        return store_fault(store, err);
    }
    return 0;
}
