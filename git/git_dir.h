/*
 * The .git that `ADD --keep-git-dir` leaves: one commit without its history at a detached HEAD, as
 * `git fetch --depth=1` and `git checkout` leave it, and the same bytes for the same commit, ref
 * and URL whenever it is made. So the index knows no times and sizes of files (git compares
 * contents once, and then writes them there), and there are no logs, no FETCH_HEAD and no samples
 * of hooks.
 *
 * The ref that was asked for is there: a branch under refs/heads, a tag (with its object) under
 * refs/tags. The remote "origin" is the URL without credentials. Submodules lie in .git/modules,
 * each with a HEAD of its own, as `git submodule update` leaves them.
 */
#ifndef SLIPWAY_GIT_GIT_DIR_H
#define SLIPWAY_GIT_GIT_DIR_H

#include "git/commit_tree.h"
#include "git/mirror.h"

/* The entries of .git (and of the .git files of submodules) for what MIRROR stands at; a difference
 * to be laid over the commit's tree. The tree must have been walked before (commit_tree_open()):
 * names and numbers are not checked again. */
int git_dir_make(const struct commit_tree_request *request, const struct git_mirror *mirror,
                 struct tree **out, struct error *err);

#endif
