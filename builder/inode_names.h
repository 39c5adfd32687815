/* Which path a file with several names was met under first. */
#ifndef SLIPWAY_BUILDER_INODE_NAMES_H
#define SLIPWAY_BUILDER_INODE_NAMES_H

#include <sys/types.h>

/* Zero-initialised; lives with its owner. */
struct inode_names {
    void *root;
};

/* Frees what NAMES holds. */
void inode_names_release(struct inode_names *names);

/* The path under which NUMBER was first given; PATH itself the first time. Borrowed. */
const char *inode_names_first(struct inode_names *names, ino_t number, const char *path);

#endif
