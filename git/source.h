/*
 * Source from git: a URL[#ref[:subdir]] as a tree, read straight from the object database of a bare
 * mirror in the store; no checkout.
 */
#ifndef SLIPWAY_GIT_SOURCE_H
#define SLIPWAY_GIT_SOURCE_H

#include "base/event.h"
#include "oci/folder.h"
#include "oci/store.h"
#include "oci/tree.h"

/* What is wanted. Plain data, all borrowed for the call. */
struct git_request {
    struct store *store;
    const char *url;
    const char *checksum;               /* hex: what the id of the commit, or of the tag, must begin
                                           with; NULL: any */
    const struct folder_filter *filter; /* prunes; NULL: keep all. Not with a .git */
    struct event_sink *events;          /* get one EVENT_TRANSFER; may be NULL */
    bool offline;                       /* fetch nothing */
    bool keep_git_dir;                  /* with a .git (git/git_dir.h), as the URL may ask too */
};

/* Whether TEXT names a git repository as docker and this design understand it: git://, ssh://,
 * git+..., user@host:path, file://, http(s)://...git[#...], codecommit::..., github.com/... */
bool git_is_url(const char *text);

struct git_source {
    char *url;           /* without fragment and without credentials: fit for messages */
    char *ref;           /* as asked for; NULL: HEAD */
    char *subdir;        /* tree form, "" for the root */
    char commit[65];     /* hex id */
    int64_t commit_time; /* seconds */
    char tree_id[65];    /* id of the tree at subdir: the content's key */
    bool cacheable;      /* `tree` may be remembered under its id */
    size_t digests;      /* how many of its files have a digest that the store remembers */
    struct tree *tree;   /* modes 0644, 0755, links 0777; owner 0:0; volatile times; submodules
                            included as folders */
};

/* Frees what SOURCE holds. */
void git_source_release(struct git_source *source);

/* Call when the build is over: remembers the tree and the digests that its files have by now
 * (tree_hash_files()), so that the next build walks and hashes nothing. USED is SOURCE's tree, or
 * one made of some of its entries. Failing to is no error. */
void git_source_save_digests(const struct git_source *source, const struct tree *used,
                             struct store *store);

/* Fetches (only what is new; nothing at all if offline, or if the ref is a commit id that is there)
 * and opens. Credentials: URL's user info, netrc, git's credential
 * helpers (git config credential.helper), ssh agent and default keys. ERR_AUTH, ERR_REMOTE naming
 * URL (without secrets) and ref, ERR_USAGE for a ref or subdir that does not exist (nearest name)
 * and for a request that contradicts the URL's query, ERR_STEP for another commit than the
 * checksum's. */
int git_source_open(const struct git_request *request, struct git_source *out, struct error *err);

/* For a local folder: whether it lies in a git work tree. *COMMIT_TIME_OUT is HEAD's time. With it,
 * TREE (of folder_tree()) is returned anew with git's modes (0644, 0755 by the index's or the
 * owner's x bit, folders 0755, links) and owner 0:0, so that a clean folder gives what its commit
 * gives. Files that git ignores stay (docker's rule is .dockerignore), .git itself too unless
 * filtered. */
int git_normalise_folder(const char *path, struct tree *tree, bool *is_work_tree_out,
                         int64_t *commit_time_out, struct tree **out, struct error *err);

#endif
