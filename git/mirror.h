/*
 * Where a URL's objects are: a bare mirror in the store (git/HEX, by the hash of the URL), brought
 * up to date by fetching only what the wanted ref needs; a local repository is read where it lies.
 *
 *     struct git_mirror mirror = {0};
 *     git_mirror_open(store, &url, offline, events, &mirror, err);
 *     ... mirror.repo, mirror.commit ...
 *     git_mirror_release(&mirror);
 *
 * A mirror is made under a temporary name and renamed when its first fetch is complete; fetches
 * hold the lock "git-HEX"; a broken mirror is made anew.
 */
#ifndef SLIPWAY_GIT_MIRROR_H
#define SLIPWAY_GIT_MIRROR_H

#include "base/event.h"
#include "git/libgit2.h"
#include "git/url.h"
#include "oci/store.h"

struct git_mirror {
    git_repository *repo;
    git_oid commit; /* what the URL's ref stands for */
    git_oid object; /* the same, or the tag's own object where that is what the ref names */
    char *ref; /* "refs/heads/x", "refs/tags/x"; NULL for a commit id, or a HEAD off all branches
                */
};

/* Brings the mirror of URL up to date and resolves URL's ref: a whole commit id, else branch, tag,
 * commit id (short), HEAD, refs/... or heads/... Nothing is fetched where OFFLINE, or where the ref
 * is a whole commit id that is there. ERR_USAGE names the nearest ref; ERR_AUTH, ERR_REMOTE,
 * ERR_STORE. */
int git_mirror_open(struct store *store, const struct git_url *url, bool offline,
                    struct event_sink *events, struct git_mirror *out, struct error *err);

/* Whether REPO is a mirror that git_mirror_open() made. */
bool git_mirror_is_ours(git_repository *repo);

/* Marks the mirror at REPOSITORY_PATH (absolute) as damaged: the next fetch makes it anew. */
void git_mirror_mark_broken(const char *repository_path);

/* Frees what MIRROR holds. */
void git_mirror_release(struct git_mirror *mirror);

#endif
