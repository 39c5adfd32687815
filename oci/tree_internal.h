/* What tree.c, tree_build.c and tree_merge.c share: how a tree lies in memory. */
#ifndef SLIPWAY_OCI_TREE_INTERNAL_H
#define SLIPWAY_OCI_TREE_INTERNAL_H

#include "oci/tree.h"

struct arena_chunk {
    char *data;
    size_t size; /* bytes */
};

/* Strings, xattrs and entries of one builder, freed as a whole. */
struct arena {
    long refs; /* atomic */
    struct arena_chunk *chunks;
    size_t chunks_len;
    size_t used; /* bytes of the last chunk in use */
    struct entry *entries;
    size_t entries_len;
    size_t entries_cap;
    struct content_source **sources; /* each held once */
    size_t sources_len;
    size_t sources_cap;
};

struct tree {
    long refs;                    /* atomic */
    const struct entry **entries; /* in path order */
    size_t len;
    size_t cap;
    struct arena **arenas; /* those that hold the entries */
    size_t arenas_len;
};

/* An arena with one reference. */
struct arena *arena_new(void);
/* A copy of TEXT that lives as long as ARENA. */
const char *arena_text(struct arena *arena, const char *text);
struct arena *arena_ref(struct arena *arena);
void arena_unref(struct arena *arena);

/* A tree with room for CAP entries that holds the arenas of A and B (either may be NULL). */
struct tree *tree_alloc(size_t cap, const struct tree *a, const struct tree *b);

#endif
