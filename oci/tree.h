/*
 * A root file system as a value: an ordered list of entries, each with its whole metadata and a
 * handle to its content.
 *
 * A tree is made by a builder and never changes afterwards:
 *
 *     struct tree_builder *b = tree_builder_new();
 *     tree_builder_add(b, &entry);              // copies strings, any order; a later entry of the
 * same path wins struct tree *t = tree_builder_finish(b);  // sorts; frees the builder
 *
 * Entries stand in byte order of their paths (strcmp), each path once. A path is relative, clean
 * (base/path.h), and "" for the root's own entry, which most trees lack. A tree that is a
 * *difference* (a layer) may hold ENTRY_WHITEOUT entries (the path they delete) and ENTRY_OPAQUE (a
 * folder's path + "/" is not used: the entry's path is the folder's, see below). tree_merge() lays
 * a difference over a tree.
 *
 * Trees are reference counted; entries and their strings live as long as a tree that holds them.
 * All functions are safe from several threads on the same tree, as it does not change.
 */
#ifndef SLIPWAY_OCI_TREE_H
#define SLIPWAY_OCI_TREE_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/stream.h"
#include "oci/digest.h"

enum entry_type {
    ENTRY_FILE,
    ENTRY_DIR,
    ENTRY_SYMLINK,
    ENTRY_HARDLINK, /* the same inode as `link`, a path of the same difference; `target` once the
                       tree is finished */
    ENTRY_CHAR,
    ENTRY_BLOCK,
    ENTRY_FIFO,
    ENTRY_WHITEOUT, /* only in differences: the path is deleted */
};

enum entry_flag {
    /* The time only tells when somebody checked out, built or wrote it: the layer writer replaces
       it (design: "Times"). */
    ENTRY_TIME_VOLATILE = 1,
    /* A folder of a difference hides everything that lies below it in the tree underneath (foreign
       layers' opaque marker). */
    ENTRY_OPAQUE = 2,
    /* `digest` is the SHA-256 of the file's content. */
    ENTRY_HAS_DIGEST = 4,
    /* A folder that is here only because something below it changed (its metadata are the tree's).
     */
    ENTRY_PARENT = 8,
};

struct xattr {
    const char *name; /* "security.capability", "user.x" */
    const void *value;
    size_t size;
};

/* Where the content of files comes from. Implementations embed it as first member. Reference
 * counted. */
struct content_source;
struct entry;

struct content_ops {
    /* Opens the content of the file ENTRY (which has this source) from its start. It ends after
     * exactly entry->size bytes, or fails: a file that changed its size meanwhile is an error.
     * Called from any thread. */
    int (*open)(struct content_source *source, const struct entry *entry, struct reader **out,
                struct error *err);
    /* Adds the whole content of ENTRY, entry->size bytes that fit OUT, where no other file of the
     * source is likely to be read. NULL: as by open(). Called from any thread. */
    int (*read)(struct content_source *source, const struct entry *entry, struct buf *out,
                struct error *err);
    /* Releases the source. */
    void (*free)(struct content_source *source);
};

struct content_source {
    const struct content_ops *ops;
    long refs; /* atomic; 1 when made */
};

/* Takes one more reference; gives one back, and closes the source with the last. */
struct content_source *content_ref(struct content_source *source);

/* Gives a reference back; the last one closes SOURCE. NULL is fine. */
void content_unref(struct content_source *source);
/* Cleanup for AUTO(). */
void content_unrefp(struct content_source **source);

/* One entry. Plain data; strings are borrowed from the tree (or, when given to a builder, from the
 * caller for the call). */
struct entry {
    const char *path;
    const char
        *link; /* SYMLINK: target as it stands; HARDLINK: path of the file it is the same as */
    const struct entry *target; /* HARDLINK in a finished tree: the file's entry */
    struct content_source *
        source; /* FILE with size > 0: where the content is. Borrowed: the tree holds a reference */
    union {
        uint64_t handle; /* FILE: the source's own mark (an offset, an index) */
        struct {
            uint32_t rdev_major; /* CHAR, BLOCK */
            uint32_t rdev_minor;
        };
    };
    uint64_t size;              /* FILE: bytes */
    int64_t mtime;              /* seconds since 1970 */
    const struct xattr *xattrs; /* sorted by name */
    uint32_t mode;              /* 07777 */
    uint32_t uid;
    uint32_t gid;
    uint16_t xattrs_len;
    uint8_t type;         /* enum entry_type */
    uint8_t flags;        /* enum entry_flag */
    struct digest digest; /* with ENTRY_HAS_DIGEST */
};

/* A large tree is as large as its entries: 64 bytes of pointers and numbers of 8 bytes, then the
 * small ones. */
static_assert(sizeof(struct entry) == 112, "an entry grew");

/* Whether ENTRY is a device: has rdev_major and rdev_minor, and no handle. */
static inline bool entry_is_device(const struct entry *entry)
{
    return entry->type == ENTRY_CHAR || entry->type == ENTRY_BLOCK;
}

struct tree;
struct tree_builder;

/* Takes and drops a reference. NULL is fine for unref. */
struct tree *tree_ref(struct tree *tree);

/* Gives a reference back; the last one frees TREE. NULL is fine. */
void tree_unref(struct tree *tree);
/* Cleanup for AUTO(). */
void tree_unrefp(struct tree **tree);

/* Number of entries, and the one at INDEX (in path order), borrowed. */
size_t tree_len(const struct tree *tree);

/* The entry at INDEX in path order, borrowed. */
const struct entry *tree_at(const struct tree *tree, size_t index);

/* The entry of PATH, borrowed; NULL if there is none. Links are not followed. */
const struct entry *tree_find(const struct tree *tree, const char *path);

/* Index of the first entry whose path is not less than PATH (tree_len() if none). Everything below
 * folder D lies in [tree_lower_bound("D/"), tree_lower_bound("D0")): use tree_below(). */
size_t tree_lower_bound(const struct tree *tree, const char *path);

/* The range [*FIRST_OUT, *END_OUT) of the entries below folder DIR ("" is everything but the root's
 * own entry), DIR's own entry excluded. */
void tree_below(const struct tree *tree, const char *dir, size_t *first_out, size_t *end_out);

/* Follows links inside the tree as a kernel would with TREE as its root, at most LIMIT_SYMLINKS:
 * *OUT is the path without links (the caller's), existing or not (the part that does not exist is
 * appended as it stands). With FOLLOW_LAST the last component is followed too. A loop, or a
 * component that is neither folder nor link, is ERR_USAGE naming PATH. */
int tree_resolve(const struct tree *tree, const char *path, bool follow_last, char **out,
                 struct error *err);

/* tree_resolve() over any look-up: FIND gives the entry of a path or NULL. */
typedef const struct entry *(*tree_find_fn)(void *ctx, const char *path);

/* As tree_resolve(), looking paths up by FIND with CTX. */
int tree_resolve_with(tree_find_fn find, void *ctx, const char *path, bool follow_last, char **out,
                      struct error *err);

/* The file entry behind a hard link; other entries are returned as they are. */
const struct entry *entry_inode(const struct entry *entry);

/* Opens the content of a FILE (or the file behind a HARDLINK). */
int entry_open(const struct entry *entry, struct reader **out, struct error *err);

/* Reads the whole content, at most MAX bytes. */
int entry_read(const struct entry *entry, size_t max, struct buf *out, struct error *err);

/* An empty tree. */
struct tree *tree_empty(void);

/* DIFF laid over BASE (both stay): whiteouts and opaque folders delete, a non-folder replaces what
 * lay below, entries of the same path replace. Hard links whose first name was replaced or deleted
 * keep their content. The result holds no whiteouts. */
struct tree *tree_merge(struct tree *base, struct tree *diff);

/* A builder without entries; tree_builder_finish() consumes it. */
struct tree_builder *tree_builder_new(void);
/* Copies ENTRY's strings and xattrs; takes a reference of its source. */
void tree_builder_add(struct tree_builder *b, const struct entry *entry);
/* The same for an entry whose path lives as long as its source, which it must have: it is not
 * copied. */
void tree_builder_add_kept(struct tree_builder *b, const struct entry *entry);
/* Whether an entry with that path was added (a linear structure is kept for this from the first
 * call on). */
bool tree_builder_has(struct tree_builder *b, const char *path);
/* The entry that was added last with that path, NULL if none; borrowed until the next
 * tree_builder_add(). */
const struct entry *tree_builder_get(struct tree_builder *b, const char *path);
/* How many entries were added. */
size_t tree_builder_len(const struct tree_builder *b);
/* Sorts, keeps the last of equal paths, resolves hard links (a link to a link becomes a link to the
 * file, and the first of its paths in byte order is the file; a link whose target is missing in
 * this tree keeps target NULL) and frees the builder. */
struct tree *tree_builder_finish(struct tree_builder *b);
/* Cleanup for AUTO(): drops an unfinished builder. */
void tree_builder_freep(struct tree_builder **b);

/* A content source over bytes in memory; handle is the offset. DATA is taken over (malloc'd). */
struct content_source *content_memory(void *data, size_t len);

/* A content source over the open file FD, which it closes; handle is the offset. */
struct content_source *content_file(int fd);

#endif
