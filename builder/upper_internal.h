/* What upper_diff.c and upper_entry.c share: one file of a folder with all that a layer says of it.
 */
#ifndef SLIPWAY_BUILDER_UPPER_INTERNAL_H
#define SLIPWAY_BUILDER_UPPER_INTERNAL_H

#include <stdbool.h>
#include <sys/stat.h>

#include "base/error.h"
#include "oci/tree.h"

struct node {
    bool found;
    struct stat st;       /* st_uid and st_gid are those that the file is meant to have */
    bool opaque;          /* a folder that hides what lies below it */
    bool noted;           /* the owner is from UNPACK_OWNER_XATTR */
    char *link;           /* a symbolic link's target */
    struct xattr *xattrs; /* sorted by name, without overlayfs' own and ours */
    size_t xattrs_len;
};

void node_release(struct node *node);

/* Reads PATH (tree form) below ROOT (-1: nothing is found) without following links. What is not
 * there is no error. */
int node_read(int root, const char *path, struct node *out, struct error *err);

/* A deleted path, as overlayfs marks it. */
bool node_is_whiteout(const struct node *node);

/* Whether type, mode, owner, xattrs, size, device and link are the same. Times are not compared. */
bool node_same(const struct node *a, const struct node *b);

/* The node as an entry; strings and xattrs are borrowed. */
void node_entry(const struct node *node, const char *path, struct entry *out);

/* Whether PATH has the same bytes below both roots. */
int node_same_content(int a, int b, const char *path, bool *same_out, struct error *err);

/* A content source that reads files below ROOT (which is dup'ed). */
struct content_source *upper_source(int root);

/* Makes PATH readable; the handle is for the entry, which may get another path later. Before the
 * source is used by several threads. */
uint64_t upper_source_add(struct content_source *source, const char *path);

#endif
