/*
 * Submodules of a commit: .gitmodules read from the object database, each opened through its own
 * mirror.
 */
#ifndef SLIPWAY_GIT_SUBMODULES_H
#define SLIPWAY_GIT_SUBMODULES_H

#include "git/commit_tree.h"
#include "git/libgit2.h"
#include "git/mirror.h"

/* Every submodule that .gitmodules names. */
struct submodules {
    struct submodule {
        char *name; /* of its section; not checked. NULL: it has none */
        char *path; /* tree form, from the root of the repository */
        char *url;  /* as it stands there */
    } * items;
    size_t len;
};

/* Frees what LIST holds. */
void submodules_release(struct submodules *list);

/* Reads .gitmodules of the tree ROOT; none is an empty list. ERR_REMOTE for paths that lead out or
 * into .git. */
int submodules_read(git_repository *repo, const git_tree *root, struct submodules *out,
                    struct error *err);

/* Opens the mirror that holds COMMIT of the submodule at PATH. URL_OUT (release it) is its URL. */
int submodule_open(const struct commit_tree_request *request, const struct submodules *list,
                   const char *path, const git_oid *commit, struct git_url *url_out,
                   struct git_mirror *out, struct error *err);

#endif
