/*
 * libgit2 made ready once for all threads, its errors as ours, and repositories opened with or
 * without its check of the owner.
 */
#ifndef SLIPWAY_GIT_LIBRARY_H
#define SLIPWAY_GIT_LIBRARY_H

#include <stdbool.h>

#include "base/error.h"
#include "git/libgit2.h"

/* Initialises libgit2 once; safe from any thread. */
int git_library_init(struct error *err);

/* Sets CODE and a text made as by printf with ": " and libgit2's last words behind (redacted, one
 * line). Returns -1. */
int git_fault(struct error *err, enum error_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Opens the repository at PATH (no search upwards without SEARCH). libgit2 refuses what another
 * user owns unless safe.directory names it; TRUSTED leaves that out, for what is opened only to
 * read objects and the index and from whose configuration nothing is run. Returns libgit2's code;
 * its message is still set. */
int git_library_open(const char *path, bool search, bool trusted, git_repository **out);

/* Cleanup for AUTO(). */
void git_repository_freep(git_repository **repo);

/* Cleanup for AUTO(). */
void git_reference_freep(git_reference **ref);

/* Cleanup for AUTO(). */
void git_object_freep(git_object **object);

/* Cleanup for AUTO(). */
void git_commit_freep(git_commit **commit);

/* Cleanup for AUTO(). */
void git_tree_freep(git_tree **tree);

/* Cleanup for AUTO(). */
void git_remote_freep(git_remote **remote);

/* Cleanup for AUTO(). */
void git_odb_freep(git_odb **odb);

/* Cleanup for AUTO(). */
void git_odb_object_freep(git_odb_object **object);

/* Cleanup for AUTO(). */
void git_config_freep(git_config **config);

/* Cleanup for AUTO(). */
void git_index_freep(git_index **index);

/* Cleanup for AUTO(). */
void git_index_iterator_freep(git_index_iterator **iterator);

/* Cleanup for AUTO(). */
void git_buf_disposep(git_buf *buf);

#endif
