/*
 * An edit: what a step adds to a tree, path by path, and at the end the difference with its
 * parents.
 *
 *     struct edit *e = edit_new(base);            // NULL: nothing is known of what lies below
 * (COPY --link) edit_make_dirs(e, "srv/app", &owner, err); edit_put(e, &entry, err); struct tree
 * *diff = edit_finish(e);
 *
 * Look-ups see the base as already edited. One thread at a time.
 */
#ifndef SLIPWAY_BUILDER_EDIT_H
#define SLIPWAY_BUILDER_EDIT_H

#include "oci/tree.h"

struct edit;

/* Owner of what is made. */
struct owner {
    uint32_t uid;
    uint32_t gid;
};

/* What folders are like that are made on the way. */
struct new_dirs {
    struct owner owner;
    uint32_t mode;
};

/* Begins on BASE (a reference is taken; may be NULL). */
struct edit *edit_new(struct tree *base);

/* The entry at PATH as it stands now, NULL if there is none; links are not followed. Borrowed until
 * the next change. */
const struct entry *edit_find(struct edit *e, const char *path);

/* PATH without links, as tree_resolve(). */
int edit_resolve(struct edit *e, const char *path, bool follow_last, char **out, struct error *err);

/* Makes folder PATH (no links in it) and its missing parents as LIKE says, volatile time. ERR_STEP
 * where something else stands there. */
int edit_make_dirs(struct edit *e, const char *path, const struct new_dirs *like,
                   struct error *err);

/* Puts ENTRY at its path. A folder over something else, or something else over a folder, is
 * ERR_STEP unless FORCE, which replaces. */
int edit_put(struct edit *e, const struct entry *entry, bool force, struct error *err);

/* The difference, with the parents of what changed (ENTRY_PARENT, as they are in the base). Frees
 * the edit. */
struct tree *edit_finish(struct edit *e);

/* Cleanup for AUTO(). */
void edit_freep(struct edit **e);

#endif
