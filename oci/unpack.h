/*
 * Trees and layers as real folders, for RUN, `-o type=local` and `-o type=tar`.
 */
#ifndef SLIPWAY_OCI_UNPACK_H
#define SLIPWAY_OCI_UNPACK_H

#include "oci/layer.h"

enum unpack_style {
    UNPACK_OVERLAY,      /* a layer for overlayfs: whiteouts are 0/0 devices, opaque folders
                            trusted.overlay.opaque; owners are set */
    UNPACK_OVERLAY_USER, /* the same inside a user namespace: user.overlay.opaque; owners that are
                            not mapped stay ours */
    UNPACK_PLAIN,        /* files for people: no whiteouts; owners are set only as root */
};

/* Makes sure that LAYER lies unpacked in the store in STYLE: from DIFF where it is given, else by
 * streaming its blob (verified by diff id) out of the store. *PATH_OUT is relative to store_fd(),
 * the caller's. Entries whose time was replaced when the layer was written (time in the TIME_BASE
 * window and equal to layer_time_of() the content, or equal TIME_BASE) get one real time, the
 * moment of unpacking, so that make and cargo see sources newer than an old cache mount; it is kept
 * in the file `stamp` beside the folder. Nothing is ever written outside the folder (openat2).
 * Several processes may ask at once. */
int unpack_layer(struct store *store, const struct layer *layer, struct tree *diff,
                 enum unpack_style style, char **path_out, struct error *err);

/* Writes TREE into the existing folder DIRFD, which must be empty or is merged into. */
int unpack_tree(struct tree *tree, int dirfd, enum unpack_style style, enum timestamps timestamps,
                struct error *err);

#endif
