/*
 * What COPY and ADD take from a tree and where they put it (Dockerfile reference, COPY and ADD), as
 * functions on trees.
 *
 *     struct copy_plan plan = {...};
 *     copy_select(source, pattern, &plan, &sources, err);   // the entries that a source names
 *     copy_into(edit, source, &sources.items[i], &plan, err);   // one of them, links followed
 */
#ifndef SLIPWAY_BUILDER_COPY_H
#define SLIPWAY_BUILDER_COPY_H

#include "builder/chmod.h"
#include "builder/edit.h"
#include "builder/ignore.h"
#include "oci/folder.h"

/* How to copy. Borrowed parts. */
struct copy_plan {
    const char *dest;             /* absolute; a final "/" says that it is a folder */
    const struct owner *chown;    /* NULL: owners as in the source */
    const struct chmod *chmod;    /* NULL: modes as in the source */
    const struct ignore *exclude; /* --exclude; NULL: none */
    bool parents;                 /* --parents */
};

/* One source after wildcards and links. */
struct copy_source {
    char *name;  /* its path as matched (gives the name at the destination), tree form */
    char *path;  /* the same with links followed: an entry of the tree, or "" for the root */
    char *below; /* --parents: the path to make below the destination (tree form), "" where nothing
                    matched and only the destination is made; else NULL */
    size_t made; /* --parents: bytes of BELOW that the source before this one has as well */
};

struct copy_sources {
    struct copy_source *items;
    size_t len;
};

/* Frees what SOURCES holds. */
void copy_sources_release(struct copy_sources *sources);

/* Adds what PATTERN (after expansion, relative to the tree's root) names in TREE. WILDCARDS: take
 * *, ? and [ as such. What is named and not there is ERR_STEP ("NAME: not found"). */
int copy_select(struct tree *tree, const char *pattern, bool wildcards,
                const struct copy_plan *plan, struct copy_sources *out, struct error *err);

/* Copies SOURCE of TREE. */
int copy_into(struct edit *edit, struct tree *tree, const struct copy_source *source,
              const struct copy_plan *plan, struct error *err);

/* Unpacks the archive's tree ARCHIVE below plan->dest as tar would (ADD): owners from the archive
 * unless plan->chown. */
int copy_unpack(struct edit *edit, struct tree *archive, const struct copy_plan *plan,
                struct error *err);

/* Calls VISIT for every entry of SOURCE that would be copied, in path order, with its path relative
 * to the source. Used for keys, so that key and copy cannot disagree. */
typedef int (*copy_visit_fn)(void *ctx, size_t index, const struct entry *entry,
                             const char *relative, struct error *err);

/* Whether SOURCE is there for its destination alone. */
bool copy_is_nothing(const struct copy_source *source);

/* Calls VISIT for every entry of SOURCE that PLAN would copy, and ends with what VISIT returned
 * where that is not 0. */
int copy_visit(struct tree *tree, const struct copy_source *source, const struct copy_plan *plan,
               copy_visit_fn visit, void *ctx, struct error *err);

/* What is done with DIR, an entry above a source; LEN: how much of the source's BELOW leads to it.
 */
typedef int (*copy_parent_fn)(void *ctx, const struct entry *dir, size_t len, struct error *err);

/* Calls EACH for what --parents makes above SOURCE, outermost first; without --parents for nothing.
 */
int copy_each_parent(struct tree *tree, const struct copy_source *source, copy_parent_fn each,
                     void *ctx, struct error *err);

#endif
