/* Opening the store, and its locks. */
#include "oci/store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/spill.h"
#include "oci/store_internal.h"

/* A variable that is set and not empty. */
static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && value[0] ? value : NULL;
}

static int default_path(char **out, struct error *err)
{
    const char *home = variable("SLIPWAY_HOME");
    if (home) {
        *out = mem_strdup(home);
        return 0;
    }
    /* The XDG base directory specification: a relative path is to be ignored. */
    const char *data = variable("XDG_DATA_HOME");
    if (data && data[0] == '/') {
        *out = mem_printf("%s/slipway", data);
        return 0;
    }
    home = variable("HOME");
    if (home) {
        *out = mem_printf("%s/.local/share/slipway", home);
        return 0;
    }
    enum { SIZE = 16 * 1024 };
    AUTO(mem_freep) char *text = mem_alloc(SIZE);
    struct passwd entry;
    struct passwd *found = NULL;
    if (getpwuid_r(getuid(), &entry, text, SIZE, &found) != 0 || !found) {
        return error_set(err, ERR_STORE,
                         "no folder for the store: neither SLIPWAY_HOME nor HOME is set");
    }
    *out = mem_printf("%s/.local/share/slipway", found->pw_dir);
    return 0;
}

int store_fault(const struct store *store, struct error *err)
{
    return error_wrap(err, "store '%s'", store->path);
}

/* The folders that everybody needs. In a store that is there already this writes nothing, so that a
 * store on a read-only file system can be read. */
static int make_folders(struct store *store, struct error *err)
{
    static const char *const folders[] = {"blobs/sha256", "records", "locks", "tmp"};
    bool is_new = faccessat(store->fd, "tmp", F_OK, 0) != 0;
    if (is_new) {
        store_spread(store->fd, ".");
    }
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        if (file_make_dirs(store->fd, folders[i], STORE_DIR_MODE, err) != 0) {
            return store_fault(store, err);
        }
    }
    return 0;
}

int store_open(const char *path, struct store **out, struct error *err)
{
    AUTO(mem_freep) char *wanted = NULL;
    if (path) {
        wanted = mem_strdup(path);
    } else if (default_path(&wanted, err) != 0) {
        return -1;
    }
    AUTO(store_freep) struct store *store = mem_calloc(1, sizeof *store);
    pthread_mutex_init(&store->lock, NULL);
    pthread_mutex_init(&store->use_lock, NULL);
    store->fd = -1;
    store->use_fd = -1;
    store->temp_lock = -1;
    store->path = mem_strdup(wanted);
    if (file_make_dirs(AT_FDCWD, wanted, STORE_DIR_MODE, err) != 0 ||
        file_open(AT_FDCWD, wanted, O_RDONLY | O_DIRECTORY, 0, &store->fd, err) != 0) {
        return store_fault(store, err);
    }
    char *absolute = realpath(wanted, NULL);
    if (!absolute) {
        error_errno(err, ERR_STORE, "open '%s'", wanted);
        return store_fault(store, err);
    }
    free(store->path);
    store->path = absolute;
    if (make_folders(store, err) != 0) {
        return -1;
    }
    store_temp_sweep(store);
    spill_set_home(store->fd);
    *out = MEM_STEAL(store);
    return 0;
}

void store_freep(struct store **store)
{
    struct store *s = *store;
    if (s) {
        if (s->fd >= 0) {
            store_temp_remove(s);
        }
        fd_closep(&s->use_fd);
        fd_closep(&s->fd);
        pthread_mutex_destroy(&s->use_lock);
        pthread_mutex_destroy(&s->lock);
        free(s->path);
        free(s);
    }
    *store = NULL;
}

const char *store_path(const struct store *store)
{
    return store->path;
}

int store_fd(const struct store *store)
{
    return store->fd;
}

char *store_file_name(const char *name)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "._-:+";
    enum { LONGEST = 128 };
    size_t len = strlen(name);
    if (len > 0 && len <= LONGEST && name[0] != '.' && strspn(name, plain) == len) {
        return mem_strdup(name);
    }
    struct digest digest;
    char hex[DIGEST_HEX_SIZE];
    digest_of(name, len, &digest);
    return mem_printf("@%s", digest_hex(&digest, hex));
}

bool store_kind_is_valid(const char *kind)
{
    size_t len = strlen(kind);
    return len > 0 && strspn(kind, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

/* Whether the file behind FD still has the name PATH: who makes room may remove a lock that it
 * holds, and then a lock on the removed file excludes nobody. */
static bool still_named(int dirfd, const char *path, int fd)
{
    struct stat named;
    struct stat open;
    return fstatat(dirfd, path, &named, AT_SYMLINK_NOFOLLOW) == 0 && fstat(fd, &open) == 0 &&
           named.st_ino == open.st_ino && named.st_dev == open.st_dev;
}

/* flock() itself cannot wait for a lock and for the wish to stop: it is asked again and again, at
 * first often. */
static int wait_for_lock(int fd, struct error *err)
{
    int pause_ms = 1;
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            return error_errno(err, ERR_STORE, "lock");
        }
        struct pollfd stop = {.fd = cancel_fd(), .events = POLLIN};
        poll(&stop, 1, pause_ms);
        if (cancel_requested()) {
            return cancel_error(err);
        }
        pause_ms = pause_ms < 50 ? pause_ms * 2 : 50;
    }
    return 0;
}

int store_lock(struct store *store, const char *name, int *lock_out, struct error *err)
{
    AUTO(mem_freep) char *file = store_file_name(name);
    AUTO(mem_freep) char *path = mem_printf("locks/%s", file);
    for (;;) {
        AUTO(fd_closep) int fd = -1;
        if (file_open(store->fd, path, O_RDWR | O_CREAT | O_NOFOLLOW, STORE_FILE_MODE, &fd, err) !=
                0 ||
            wait_for_lock(fd, err) != 0) {
            return err->code == ERR_CANCELLED ? -1 : store_fault(store, err);
        }
        if (still_named(store->fd, path, fd)) {
            *lock_out = fd_steal(&fd);
            return 0;
        }
    }
}

void store_unlockp(int *lock)
{
    fd_closep(lock);
}
