/*
 * The tree of the commit that was built last, remembered in one record of the store for each
 * repository and folder: the id of git's tree says what it holds, so that the same tree again is
 * not walked.
 */
#ifndef SLIPWAY_GIT_TREE_CACHE_H
#define SLIPWAY_GIT_TREE_CACHE_H

#include "git/libgit2.h"
#include "oci/store.h"
#include "oci/tree.h"

/* The name under which the tree of folder SUBDIR of repository URL is kept; the caller's. */
char *tree_cache_name(const char *url, const char *subdir);

/* The tree kept under NAME if its id is ID, its files' contents read through SOURCE, which must be
 * new (git_content_new()); NULL if there is none. */
struct tree *tree_cache_load(struct store *store, const char *name, const git_oid *id,
                             struct content_source *source);

/* Keeps TREE, whose id is ID, with the digests that its files have by now. A tree whose files come
 * from several repositories is not kept. Failing is no error. */
void tree_cache_save(struct store *store, const char *name, const git_oid *id,
                     const struct tree *tree);

#endif
