/* Writing entries into a folder: what unpack.c and unpack_write.c share. */
#ifndef SLIPWAY_OCI_UNPACK_INTERNAL_H
#define SLIPWAY_OCI_UNPACK_INTERNAL_H

#include "base/strlist.h"
#include "oci/unpack.h"

struct unpacker;

/* Where the content of a file comes from while it is written. */
struct unpack_content {
    /* The next bytes, borrowed until the next call; none at the end. */
    int (*view)(void *ctx, const void **data_out, size_t *got_out, struct error *err);
    void *ctx;
};

/* Begins to write below ROOTFD (borrowed). Times that say nothing become STAMP; where it is
 * negative, what TIMESTAMPS says. */
struct unpacker *unpacker_new(int rootfd, enum unpack_style style, int64_t stamp,
                              enum timestamps timestamps);

/* Writes one entry. CONTENT may be NULL for a file of no bytes and for all that is no file. Errors
 * name the entry. */
int unpacker_add(struct unpacker *u, const struct entry *entry,
                 const struct unpack_content *content, struct error *err);

/* Sets the modes and times of folders. */
int unpacker_finish(struct unpacker *u, struct error *err);

/* Sets ENTRY's extended attributes at PROC, a /proc/self/fd path. Not every file system and not
 * every user can hold every one. */
int unpack_xattrs(const char *proc, const struct entry *entry, struct error *err);

/* Gives the open file or folder FD (O_PATH will do) ENTRY's owner, mode (not folders': they come
 * last) and attributes. Owners that cannot be set in a user namespace are noted in an attribute. */
int unpack_attributes(enum unpack_style style, int fd, const struct entry *entry,
                      struct error *err);

/* After unpacker_finish(): the folders that were made although no entry spoke of them. Borrowed. */
const struct strlist *unpacker_implied(const struct unpacker *u);

/* Writes all of TREE and finishes. */
int unpack_write_tree(struct unpacker *u, struct tree *tree, struct error *err);

/* Where the layer lies: "unpacked/STYLE/HEX", the caller's. */
char *unpack_folder(const struct digest *diff_id, enum unpack_style style);

/* Whether FOLDER is there and counts; one that does not is removed. */
int unpack_find(struct store *store, const char *folder, bool *found_out, struct error *err);

/* Gives the folder TEMP (with "root" in it) its stamp and renames it to FOLDER. *MOVED_OUT is false
 * where there is one already. */
int unpack_publish(struct store *store, const char *temp, const char *folder, int64_t stamp,
                   bool *moved_out, struct error *err);

/* Cleanup for AUTO(). */
void unpacker_freep(struct unpacker **u);

#endif
