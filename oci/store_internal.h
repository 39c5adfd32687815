/* What the store's own files share. */
#ifndef SLIPWAY_OCI_STORE_INTERNAL_H
#define SLIPWAY_OCI_STORE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "oci/store.h"

enum { STORE_DIR_MODE = 0700, STORE_FILE_MODE = 0644 };

struct store {
    char *path;           /* absolute */
    int fd;               /* the folder */
    pthread_mutex_t lock; /* guards the three below */
    char *temp;           /* "tmp/PID-RANDOM" once something temporary was asked for */
    int temp_lock;        /* holds the flock on "tmp/PID-RANDOM.lock" */
    char *spread;         /* "tmp/PID-RANDOM/RANDOM" once a temporary folder was asked for */
    atomic_uint counter;  /* for names inside `temp` */
    struct store_remover *remover; /* guarded by `lock`; NULL until something is to be removed */
    struct incoming *incoming;     /* guarded by `lock`: blobs that are being fetched */
    /* Since when this process holds the store (the time of `temp_lock`); 0: it does not, and leaves
     * times alone. */
    _Atomic int64_t held_ns;
    pthread_mutex_t use_lock; /* of this process's threads, besides the flock on: */
    int use_fd;               /* STORE_USE_LOCK; -1: not opened yet */
};

/* The lock file that keeps touching and removing apart. */
#define STORE_USE_LOCK "prune"

/* As store_touch() for PATH, whose stat is ST. */
bool store_used(struct store *store, const char *path, const struct stat *st);

/* The time of last use, in ns since 1970. */
int64_t store_time_of(const struct stat *st);

/* Puts the store's folder in front of ERR's text. Returns -1. */
int store_fault(const struct store *store, struct error *err);

/* Asks the file system to lay the folders made in PATH from now on far from each other. ext4 seeks
 * the inode of a new file near its folder; without a journal it passes over, one by one, those that
 * were freed in the last minutes, and a store was just removed there or a layer moved away: making
 * a file then costs a thousand times more. Elsewhere it does nothing. */
void store_spread(int dirfd, const char *path);

/* Makes this process's part of tmp/ if it is not there yet. */
int store_temp_prepare(struct store *store, struct error *err);

/* Removes what store_remove_later() was given and ends its thread. */
void store_remover_end(struct store *store);

/* Removes it. */
void store_temp_remove(struct store *store);

/* Removes the parts of tmp/ whose owners are gone. Failing is no error: the next one tries again.
 */
void store_temp_sweep(struct store *store);

/* Writes the COUNT PARTS one behind the other to the file PATH: temporary name, then rename. */
int store_write_file(struct store *store, const char *path, const struct iovec *parts, size_t count,
                     struct error *err);

/* The name of the file for NAME below records/KIND/ or locks/; the caller's. */
char *store_file_name(const char *name);

/* Whether KIND or the like may be a folder's name: lower-case letters, digits and dashes. */
bool store_kind_is_valid(const char *kind);

/* The name that the record in the file PATH says it has; NULL where it says none. The caller's. */
char *store_record_name(struct store *store, const char *path);

/* Gives the unfinished file TEMP of tmp/, which holds SIZE bytes of DIGEST, its name among the
 * blobs; *TAKEN_OUT is false, and TEMP still there, if the blob was there already. */
int store_adopt_file(struct store *store, const char *temp, const struct digest *digest,
                     uint64_t size, bool *taken_out, struct error *err);

/* What a blob writer does for those who read along (oci/incoming.h). The first gives NULL where
 * nobody expects DIGEST, or another writer has it; FD stays the writer's. The last lets go of it:
 * COMPLETE where the blob has its name. */
struct incoming *incoming_write(struct store *store, const struct digest *digest, int fd);
void incoming_grow(struct incoming *incoming, uint64_t len);
void incoming_restart(struct incoming *incoming);
void incoming_end(struct incoming **incoming, bool complete);

/* Path of a blob, relative to the store. Returns OUT. */
enum { STORE_BLOB_PATH_SIZE = 80 };
char *store_blob_path(const struct digest *digest, char out[STORE_BLOB_PATH_SIZE]);

#endif
