/*
 * Files: read whole, write atomically, make folders, remove folders, open safely inside a root.
 *
 * Paths are given as (int dirfd, const char *path) as for openat; every descriptor is O_CLOEXEC.
 */
#ifndef SLIPWAY_BASE_FILE_H
#define SLIPWAY_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"

/* Opens PATH with openat's FLAGS (O_CLOEXEC is added) and MODE. ERR_STORE where it fails; errno is
 * in err->sys_errno. */
int file_open(int dirfd, const char *path, int flags, mode_t mode, int *fd_out, struct error *err);

/* Opens PATH inside the folder ROOTFD with openat2 and RESOLVE_IN_ROOT: links and ".." cannot lead
 * out of it. With O_NOFOLLOW in FLAGS the last component is not followed. */
int file_open_in_root(int rootfd, const char *path, int flags, mode_t mode, int *fd_out,
                      struct error *err);

/* As file_open_in_root, and no component may be a symbolic link (RESOLVE_NO_SYMLINKS). */
int file_open_no_links(int rootfd, const char *path, int flags, mode_t mode, int *fd_out,
                       struct error *err);

/* Reads all of PATH into OUT, at most MAX bytes. `*found_out` (may be NULL) becomes whether the
 * file exists; without it a missing file is an error. */
int file_read(int dirfd, const char *path, size_t max, struct buf *out, bool *found_out,
              struct error *err);

/* Reads FD to its end into OUT, at most MAX bytes. NAME is for messages. */
int file_read_fd(int fd, const char *name, size_t max, struct buf *out, struct error *err);

/* Whether FD lies on a file system with one of the LEN numbers MAGICS (statfs(2), f_type). */
bool file_is_on(int fd, const uint32_t *magics, size_t len);

/* Writes all LEN bytes to FD. NAME is for messages. */
int file_write_fd(int fd, const char *name, const void *data, size_t len, struct error *err);

/* Replaces PATH by LEN bytes with MODE: temporary name in the same folder, write, rename. With
 * DURABLE, fsync before the rename. The temporary file is removed where it fails. */
int file_write_atomic(int dirfd, const char *path, const void *data, size_t len, mode_t mode,
                      bool durable, struct error *err);

/* Makes PATH and its missing parents (MODE less the umask). An existing folder is fine. */
int file_make_dirs(int dirfd, const char *path, mode_t mode, struct error *err);

/* Removes PATH and everything below it without following links and without crossing into another
 * file system (a mount point met inside is an error). Read-only folders are made writable first.
 * What is not there is fine. */
int file_remove_tree(int dirfd, const char *path, struct error *err);

/* 16 characters that no other process will make: for temporary names. */
void file_random_name(char out[17]);

#endif
