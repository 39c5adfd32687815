/*
 * A folder of this machine as a tree: one stat per file, contents hashed only when asked for,
 * hashes remembered by a stat cache.
 */
#ifndef SLIPWAY_OCI_FOLDER_H
#define SLIPWAY_OCI_FOLDER_H

#include "base/pool.h"
#include "oci/store.h"
#include "oci/tree.h"

enum folder_verdict {
    FOLDER_KEEP,
    FOLDER_DROP,
    FOLDER_ENTER /* drop the folder's own entry unless something below is kept */
};

struct folder_filter {
    /* What to do with PATH (tree form). May be NULL: keep all. */
    enum folder_verdict (*judge)(void *ctx, const char *path, bool is_dir);
    void *ctx;
};

/* How a folder is looked at; all zero is fine. */
struct folder_options {
    const struct folder_filter *filter; /* NULL: keep all */
    /* Whose stat cache tells the digests of files that did not change since they were last hashed,
     * and that they have no xattrs, so that nobody need ask. NULL: none. */
    struct store *store;
    bool root_owned; /* owners are 0:0 in place of those on disk */
    bool no_xattrs;  /* leave extended attributes out */
};

/* Scans PATH without following links. Ownership and modes are as on disk, all times
 * ENTRY_TIME_VOLATILE, sockets are empty files. User xattrs and security.capability are read. Hard
 * links inside become ENTRY_HARDLINK. Entries' source reads through openat2 beneath the folder
 * (RESOLVE_NO_SYMLINKS); handle is private. Files that the stat cache knows have ENTRY_HAS_DIGEST.
 * OPTIONS may be NULL. ERR_USAGE where PATH is no folder. */
int folder_tree(const char *path, const struct folder_options *options, struct tree **out,
                struct error *err);

/* Fills the digests of the files at [FIRST, END) of TREE which a folder_tree() made (others are
 * hashed too, without the cache), in parallel, with the help of the stat cache of STORE (robust
 * against racy timestamps as git's index: a file whose mtime or ctime is not older than the cache's
 * own writing is hashed again). Safe to call from several threads. After it the entries have
 * ENTRY_HAS_DIGEST. */
int tree_hash_files(struct tree *tree, size_t first, size_t end, struct store *store,
                    struct pool *pool, struct error *err);

/* The source that the files of a folder_tree() are read from, borrowed from TREE; NULL: there is
 * none to read. */
struct content_source *folder_tree_source(const struct tree *tree);

/* Writes the stat cache of the folder behind SOURCE (NULL is fine) back if it changed. Failing to
 * is no error. */
void folder_save_cache(struct content_source *source, struct store *store);

#endif
