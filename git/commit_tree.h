/*
 * A commit's tree out of the object database as a tree of ours; contents are read from the database
 * when asked for.
 *
 * Modes are 0644, 0755 and 0777 for links; folders 0755; owner 0:0; times volatile. Names are
 * hostile until checked: "..", ".git" in all its spellings, slashes, and two entries in one place
 * are errors.
 */
#ifndef SLIPWAY_GIT_COMMIT_TREE_H
#define SLIPWAY_GIT_COMMIT_TREE_H

#include "base/event.h"
#include "git/libgit2.h"
#include "git/url.h"
#include "oci/folder.h"
#include "oci/store.h"
#include "oci/tree.h"

/* What the walk needs. */
struct commit_tree_request {
    struct store *store;                /* remembers digests; opens submodules' mirrors */
    const struct git_url *url;          /* of the repository: submodules are relative to it */
    const struct folder_filter *filter; /* judges paths relative to SUBDIR; NULL: keep all */
    struct event_sink *events;
    bool offline;
    bool no_submodules; /* their folders stay empty */
};

/* A commit's tree. */
struct commit_tree {
    git_oid id;        /* of the git tree at the folder asked for */
    struct tree *tree; /* the caller's */
    bool cached;       /* not walked: the store had it (git/tree_cache.h) */
    bool cacheable;    /* it is all that the id says, and nothing has to be said about it */
};

/* The tree of COMMIT below SUBDIR ("" for all). REPO may be freed afterwards: the tree's sources
 * hold what they need. ERR_USAGE where SUBDIR is missing (nearest name) or no folder; ERR_REMOTE
 * for hostile or damaged objects. */
int commit_tree_open(const struct commit_tree_request *request, git_repository *repo,
                     const git_oid *commit, const char *subdir, struct commit_tree *out,
                     struct error *err);

/* Remembers in STORE, under NAME, the digests that TREE's files have by now, so that the next build
 * hashes nothing. Failing to is no error. */
void commit_tree_save_digests(const struct tree *tree, struct store *store, const char *name);

/* Whether NAME may stand in a tree: not empty, ".", "..", with a slash, nor a spelling of ".git"
 * that some file system takes for it. */
bool git_name_is_safe(const char *name);

#endif
