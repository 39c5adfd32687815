/*
 * Blobs of an object database as the content of a tree's files. An entry's handle is the index of
 * its blob's id.
 */
#ifndef SLIPWAY_GIT_CONTENT_H
#define SLIPWAY_GIT_CONTENT_H

#include "git/libgit2.h"
#include "oci/tree.h"

/* A source over REPO's object database, which it holds; NAME (copied) is the repository's URL for
 * messages. NULL where there is no database (libgit2's error is set). */
struct content_source *git_content_new(git_repository *repo, const char *name);

/* Adds a blob; its handle. Only while the tree is being made. */
uint64_t git_content_add(struct content_source *source, const git_oid *id);

/* The same for a file that is checked out with CRLF (git/eol.h): what is read has it. */
uint64_t git_content_add_crlf(struct content_source *source, const git_oid *id);

/* All blobs that were added, borrowed, in the order of their handles; NULL where SOURCE is another
 * kind. */
const git_oid *git_content_ids(const struct content_source *source, size_t *len_out);

/* The id of the blob that ENTRY's content is; NULL where it does not come from git, or is not the
 * blob as it is. */
const git_oid *git_content_id(const struct entry *entry);

#endif
