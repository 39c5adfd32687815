/*
 * Trees and layers as real folders, for RUN, `-o type=local` and `-o type=tar`.
 */
#ifndef SLIPWAY_OCI_UNPACK_H
#define SLIPWAY_OCI_UNPACK_H

#include "base/strlist.h"
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

/* Whether unpack_layer() would find LAYER unpacked and need nothing else. */
bool unpack_is_there(struct store *store, const struct layer *layer, enum unpack_style style);

/* The time (seconds) that stands for replaced times in the unpacked layer PATH (as unpack_layer
 * gave it). */
int unpack_stamp(struct store *store, const char *path, int64_t *out, struct error *err);

/* Makes the folder CONTENT (relative to store_fd(), it is moved) the unpacked form of the layer
 * DIFF_ID in STYLE, with STAMP as its time. If there is one already, CONTENT stays where it is and
 * *MOVED_OUT is false. */
int unpack_adopt(struct store *store, const struct digest *diff_id, enum unpack_style style,
                 const char *content, int64_t stamp, bool *moved_out, struct error *err);

/* Where only some owners exist (a user namespace), files and folders of others are ours and carry
 * "UID:GID" in this attribute; the second function reads it (what is no such text leaves the ids
 * alone). */
#define UNPACK_OWNER_XATTR "user.slipway.owner"

/* Reads the attribute VALUE of SIZE bytes; ids that it does not give are left as they are. */
void unpack_owner_read(const void *value, size_t size, uint32_t *uid, uint32_t *gid);

/* The folders of the unpacked layer PATH (as unpack_layer() gave it) that its layer has no entries
 * for: they belong to root with mode 0755 there, whatever they are in the layers below. Added to
 * OUT. */
int unpack_implied(struct store *store, const char *path, struct strlist *out, struct error *err);

/* Writes TREE into the existing folder DIRFD, which must be empty or is merged into. */
int unpack_tree(struct tree *tree, int dirfd, enum unpack_style style, enum timestamps timestamps,
                struct error *err);

#endif
