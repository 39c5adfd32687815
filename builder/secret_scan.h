/*
 * A last look at what a RUN wrote: the bytes of a secret must not be in a layer.
 */
#ifndef SLIPWAY_BUILDER_SECRET_SCAN_H
#define SLIPWAY_BUILDER_SECRET_SCAN_H

#include "base/buf.h"
#include "oci/tree.h"

/* Shorter secrets are not looked for: they are words that may stand anywhere. */
enum { SECRET_SCAN_MIN = 20 };

/* Looks for SECRET (without white space at its ends) in the names, link targets, attributes and
 * contents of DIFF's entries. Found: ERR_STEP that names the path and ID. */
int secret_scan(struct tree *diff, const char *id, const struct buf *secret, struct error *err);

#endif
