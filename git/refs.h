/*
 * The refs of a repository, here or at a server, and which of them a word means.
 */
#ifndef SLIPWAY_GIT_REFS_H
#define SLIPWAY_GIT_REFS_H

#include <stdbool.h>

#include "base/error.h"
#include "git/libgit2.h"

struct ref_list {
    struct ref {
        char *name; /* "HEAD", "refs/heads/x", "refs/tags/x^{}" for what an annotated tag stands for
                     */
        git_oid id;
    } * items;
    size_t len;
    size_t cap;
};

/* Frees the names. */
void ref_list_release(struct ref_list *list);

/* Adds a ref. Names that git forbids are passed over: they come from a server. */
void ref_list_add(struct ref_list *list, const char *name, const git_oid *id);

/* Adds all refs of REPO, and its HEAD: what a remote's HEAD was for a mirror. */
int ref_list_read(struct ref_list *list, git_repository *repo, struct error *err);

/* The ref that WANT (NULL: HEAD) names: a branch, else a tag. NULL: none. Borrowed. */
const struct ref *ref_list_named(const struct ref_list *list, const char *want);
/* The same for what comes behind commit ids: HEAD, refs/..., heads/... . */
const struct ref *ref_list_special(const struct ref_list *list, const char *want);

/* ERR_USAGE: WANT is not in the repository DISPLAY; names the nearest. Returns -1. */
int ref_list_missing(const struct ref_list *list, const char *want, const char *display,
                     struct error *err);

/* Whether WANT has the form of a commit id: 4 to 40 hex digits; of a whole one. */
bool ref_is_hex(const char *want);

/* Whether WANT is a whole commit id: 40 hex digits. */
bool ref_is_commit_id(const char *want);

/* Where a mirror keeps the remote's HEAD. */
#define REF_MIRROR_HEAD "refs/slipway/head"
/* The entry of a mirror's configuration with the branch that the remote's HEAD names. A symbolic
 * ref to a branch that was not fetched would do as well, but libgit2 then asks for everything anew.
 */
#define CONFIG_MIRROR_BRANCH "slipway.headbranch"

#endif
