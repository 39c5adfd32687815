/*
 * Parts of the tree that a context has: of a commit or an archive, which are there as a whole. Of a
 * folder only what is wanted is looked at in the first place (oci/folder.h).
 */
#ifndef SLIPWAY_BUILDER_CONTEXT_PART_H
#define SLIPWAY_BUILDER_CONTEXT_PART_H

#include "builder/ignore.h"
#include "oci/tree.h"

/* WHOLE without what IGNORE excludes; an excluded folder stays where something below it stays. The
 * caller's. */
struct tree *context_without_ignored(struct tree *whole, const struct ignore *ignore);

/* The entries of WHOLE below the folder PART, which exists, with their paths from there. The
 * caller's. */
struct tree *context_part(struct tree *whole, const char *part);

#endif
