/*
 * The path at the destination of the first name of each inode, so that hard links stay hard links.
 * (A file of its own because <search.h> has a `struct entry` too.)
 */
#ifndef SLIPWAY_BUILDER_LINK_MAP_H
#define SLIPWAY_BUILDER_LINK_MAP_H

/* Zero-initialised is empty. */
struct link_map {
    void *root;
};

/* The path that INODE (any pointer that stands for it) has already, or NULL after noting that it is
 * PATH, which is copied. Borrowed until link_map_release(). */
const char *link_map_seen(struct link_map *map, const void *inode, const char *path);

/* Frees what MAP holds. */
void link_map_release(struct link_map *map);

#endif
