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

/* All blobs that were added, borrowed, in the order of their handles; NULL where SOURCE is another
 * kind. */
const git_oid *git_content_ids(const struct content_source *source, size_t *len_out);

/* The blob's id behind ENTRY; NULL where its content does not come from git. */
const git_oid *git_content_id(const struct entry *entry);

#endif
