/*
 * Scanning a folder. This thread reads the folders in the order of their paths, asks the filter and
 * makes the entries; what each entry's stat says is looked up in batches by a pool (folder_stat.c)
 * meanwhile, a ring of them at a time.
 */
#include "oci/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/memory.h"
#include "oci/folder_internal.h"

enum { BATCHES = 32 };

/* A folder found and not yet read, or read. */
struct found_dir {
    char *path;
    size_t parent; /* index of the folder it lies in */
    bool pending;  /* its own entry is added once something below it is kept */
    bool has_xattrs;
    struct stat st; /* for that */
};

/* The first path seen of an inode with several links. */
struct inode_path {
    dev_t device;
    ino_t inode;
    char *path;
};

/* A folder whose names are being gone through. */
struct level {
    size_t dir;
    struct folder_listing listing;
    size_t at;
};

struct scan {
    struct folder_source *source;
    const struct folder_options *options;
    struct tree_builder *builder;
    struct found_dir *dirs; /* grows while they are read in order */
    size_t dirs_len;
    size_t dirs_cap;
    struct inode_path *inodes; /* a hash table, sized to a power of two */
    size_t inodes_len;
    size_t inodes_cap;
    struct buf path;      /* of the entry at hand, relative */
    struct buf absolute;  /* the same, absolute: for xattrs */
    struct level *levels; /* the folder at hand and those above it */
    size_t levels_len;
    size_t levels_cap;
    struct pool *pool;
    struct pool_group groups[BATCHES];   /* the batch that the pool has: one task or none */
    struct stat_batch *batches[BATCHES]; /* a ring; the last one is being filled */
    size_t first;
    size_t batches_len;
};

static void scan_release(struct scan *scan)
{
    for (size_t i = 0; scan->pool && i < BATCHES; i++) {
        pool_wait(scan->pool, &scan->groups[i]);
    }
    for (size_t i = 0; i < BATCHES; i++) {
        stat_batch_freep(&scan->batches[i]);
    }
    for (size_t i = 0; i < scan->levels_len; i++) {
        folder_listing_release(&scan->levels[i].listing);
    }
    free(scan->levels);
    pool_free(scan->pool);
    for (size_t i = 0; i < scan->dirs_len; i++) {
        free(scan->dirs[i].path);
    }
    for (size_t i = 0; i < scan->inodes_cap; i++) {
        free(scan->inodes[i].path);
    }
    free(scan->dirs);
    free(scan->inodes);
    buf_release(&scan->path);
    buf_release(&scan->absolute);
    tree_builder_freep(&scan->builder);
    if (scan->source) {
        content_unref(&scan->source->base);
    }
}

static struct inode_path *inode_slot(struct inode_path *table, size_t cap, const struct stat *st)
{
    size_t at = (size_t)(st->st_ino * 0x9E3779B97F4A7C15U ^ st->st_dev) & (cap - 1);
    while (table[at].path && (table[at].inode != st->st_ino || table[at].device != st->st_dev)) {
        at = (at + 1) & (cap - 1);
    }
    return &table[at];
}

static void grow_inodes(struct scan *scan)
{
    size_t cap = scan->inodes_cap ? scan->inodes_cap * 2 : 64;
    struct inode_path *table = mem_calloc(cap, sizeof *table);
    for (size_t i = 0; i < scan->inodes_cap; i++) {
        if (scan->inodes[i].path) {
            struct stat st = {.st_ino = scan->inodes[i].inode, .st_dev = scan->inodes[i].device};
            *inode_slot(table, cap, &st) = scan->inodes[i];
        }
    }
    free(scan->inodes);
    scan->inodes = table;
    scan->inodes_cap = cap;
}

/* The path under which the inode was seen before; NULL: PATH is the first. */
static const char *first_link(struct scan *scan, const char *path, const struct stat *st)
{
    if (scan->inodes_len * 2 >= scan->inodes_cap) {
        grow_inodes(scan);
    }
    struct inode_path *slot = inode_slot(scan->inodes, scan->inodes_cap, st);
    if (slot->path) {
        return slot->path;
    }
    *slot =
        (struct inode_path){.device = st->st_dev, .inode = st->st_ino, .path = mem_strdup(path)};
    scan->inodes_len++;
    return NULL;
}

static bool is_kept_xattr(const char *name)
{
    return strncmp(name, "user.", 5) == 0 || strcmp(name, "security.capability") == 0;
}

static int by_xattr_name(const void *a, const void *b)
{
    return strcmp(((const struct xattr *)a)->name, ((const struct xattr *)b)->name);
}

/* The kept attributes of one entry. */
struct xattr_list {
    struct buf names; /* as llistxattr() gives them */
    struct buf values;
    struct xattr items[LIMIT_XATTRS_PER_ENTRY];
    uint32_t len;
};

static void xattr_list_freep(struct xattr_list **list)
{
    if (*list) {
        buf_release(&(*list)->names);
        buf_release(&(*list)->values);
        free(*list);
    }
}

/* Fills LIST for the entry whose path is scan->absolute. */
static int read_xattrs(const struct scan *scan, struct xattr_list *list, struct error *err)
{
    const char *path = buf_text(&scan->absolute);
    ssize_t size =
        llistxattr(path, buf_reserve(&list->names, LIMIT_XATTR_BYTES), LIMIT_XATTR_BYTES);
    if (size < 0) {
        return error_errno(err, ERR_USAGE, "list attributes of '%s'", path);
    }
    const char *end = list->names.data + size;
    for (const char *name = list->names.data; name < end; name += strlen(name) + 1) {
        if (!is_kept_xattr(name)) {
            continue;
        }
        if (list->len == LIMIT_XATTRS_PER_ENTRY) {
            return error_set(err, ERR_USAGE, "'%s' has more than %d extended attributes", path,
                             LIMIT_XATTRS_PER_ENTRY);
        }
        char *to = buf_reserve(&list->values, LIMIT_XATTR_BYTES);
        ssize_t got = lgetxattr(path, name, to, LIMIT_XATTR_BYTES);
        if (got < 0) {
            return error_errno(err, ERR_USAGE, "read attribute %s of '%s'", name, path);
        }
        list->items[list->len++] = (struct xattr){.name = name, .size = (size_t)got};
        list->values.len += (size_t)got;
    }
    /* The values moved while they grew: only now they have their places. */
    size_t at = 0;
    for (uint32_t i = 0; i < list->len; i++) {
        list->items[i].value = buf_text(&list->values) + at;
        at += list->items[i].size;
    }
    qsort(list->items, list->len, sizeof list->items[0], by_xattr_name);
    return 0;
}

/* Adds ENTRY, with its extended attributes if it has any. */
static int add_with_xattrs(struct scan *scan, struct entry *entry, bool has_xattrs,
                           struct error *err)
{
    if (tree_builder_len(scan->builder) >= LIMIT_ENTRIES) {
        return error_set(err, ERR_USAGE, "'%s' has more than %zu entries", scan->source->path,
                         LIMIT_ENTRIES);
    }
    AUTO(xattr_list_freep) struct xattr_list *list = NULL;
    if (has_xattrs) {
        list = mem_calloc(1, sizeof *list);
        buf_clear(&scan->absolute);
        buf_printf(&scan->absolute, "%s/%s", scan->source->path, entry->path);
        if (read_xattrs(scan, list, err) != 0) {
            return -1;
        }
    }
    entry->xattrs = list ? list->items : NULL;
    entry->xattrs_len = list ? (uint16_t)list->len : 0;
    if (entry->source) {
        tree_builder_add_kept(scan->builder, entry);
    } else {
        tree_builder_add(scan->builder, entry);
    }
    return 0;
}

static void fill_entry(const struct scan *scan, struct entry *entry, const char *path,
                       const struct stat *st)
{
    bool root_owned = scan->options->root_owned;
    *entry = (struct entry){.path = path,
                            .mtime = st->st_mtim.tv_sec,
                            .mode = st->st_mode & 07777,
                            .uid = root_owned ? 0 : st->st_uid,
                            .gid = root_owned ? 0 : st->st_gid,
                            .flags = ENTRY_TIME_VOLATILE};
}

/* The folders from INDEX upwards whose entries waited for something to be kept below them. */
static int add_parents(struct scan *scan, size_t index, struct error *err)
{
    while (scan->dirs[index].pending) {
        struct found_dir *dir = &scan->dirs[index];
        dir->pending = false;
        struct entry entry;
        fill_entry(scan, &entry, dir->path, &dir->st);
        entry.type = ENTRY_DIR;
        if (add_with_xattrs(scan, &entry, dir->has_xattrs, err) != 0) {
            return -1;
        }
        index = dir->parent;
    }
    return 0;
}

static int add_file(struct scan *scan, struct entry *entry, const struct stat_item *item,
                    struct error *err)
{
    const struct stat *st = &item->st;
    const char *first = st->st_nlink > 1 ? first_link(scan, entry->path, st) : NULL;
    if (first) {
        entry->type = ENTRY_HARDLINK;
        entry->link = first;
        tree_builder_add(scan->builder, entry);
        return 0;
    }
    entry->type = ENTRY_FILE;
    entry->size = (uint64_t)st->st_size;
    entry->source = &scan->source->base;
    entry->handle =
        folder_source_add(scan->source, entry->path, st, item->is_known ? &item->known : NULL,
                          item->has_xattrs || item->xattrs_unknown);
    entry->path = folder_file_at(scan->source, entry->handle)->path;
    if (item->is_known && entry->size > 0) {
        entry->digest = item->known.digest;
        entry->flags |= ENTRY_HAS_DIGEST;
    }
    return add_with_xattrs(scan, entry, item->has_xattrs, err);
}

/* A folder: its entry is added now, or when something below it is kept. */
static int add_dir(struct scan *scan, struct entry *entry, const struct stat_item *item,
                   struct error *err)
{
    struct found_dir *dir = &scan->dirs[item->child];
    dir->st = item->st;
    dir->has_xattrs = item->has_xattrs;
    dir->pending = item->verdict == FOLDER_ENTER;
    if (dir->pending) {
        return 0;
    }
    entry->type = ENTRY_DIR;
    return add_with_xattrs(scan, entry, item->has_xattrs, err);
}

/* What the path of the entry NAME of the folder PARENT is: into scan->path. */
static void set_path(struct scan *scan, const char *parent, const char *name)
{
    buf_clear(&scan->path);
    if (parent[0]) {
        buf_append(&scan->path, parent, strlen(parent));
        buf_putc(&scan->path, '/');
    }
    buf_append(&scan->path, name, strlen(name));
}

static int add_item(struct scan *scan, const struct stat_batch *batch, const struct stat_item *item,
                    struct error *err)
{
    const struct stat *st = &item->st;
    struct entry entry;
    if (item->gone) {
        return 0;
    }
    set_path(scan, item->dir_path, stat_item_name(batch, item));
    fill_entry(scan, &entry, scan->path.data, st);
    if (item->verdict == FOLDER_KEEP && add_parents(scan, item->dir, err) != 0) {
        return -1;
    }
    switch (st->st_mode & S_IFMT) {
    case S_IFREG:
        return add_file(scan, &entry, item, err);
    case S_IFDIR:
        return add_dir(scan, &entry, item, err);
    case S_IFLNK:
        entry.type = ENTRY_SYMLINK;
        entry.link = item->link;
        break;
    case S_IFIFO:
        entry.type = ENTRY_FIFO;
        break;
    case S_IFSOCK: /* no image can hold one: an empty file in its place, as BuildKit has it */
        entry.type = ENTRY_FILE;
        entry.flags |= ENTRY_HAS_DIGEST;
        digest_of("", 0, &entry.digest);
        break;
    default:
        entry.type = S_ISCHR(st->st_mode) ? ENTRY_CHAR : ENTRY_BLOCK;
        entry.rdev_major = major(st->st_rdev);
        entry.rdev_minor = minor(st->st_rdev);
    }
    return add_with_xattrs(scan, &entry, item->has_xattrs, err);
}

static size_t ring_at(const struct scan *scan, size_t index)
{
    return (scan->first + index) % BATCHES;
}

/* Hands the last batch to the pool. */
static void submit_batch(struct scan *scan)
{
    size_t at = ring_at(scan, scan->batches_len - 1);
    if (!scan->pool) {
        scan->pool = pool_new(0);
    }
    pool_submit(scan->pool, &scan->groups[at], stat_batch_run, scan->batches[at]);
}

/* Makes the entries of the oldest batch, once it is looked up. */
static int take_batch(struct scan *scan, struct error *err)
{
    size_t at = scan->first;
    struct stat_batch *batch = scan->batches[at];
    if (batch->len < STAT_BATCH_SIZE) {
        /* Not handed over. A small folder needs no thread at all. */
        stat_batch_run(batch);
    } else {
        pool_wait(scan->pool, &scan->groups[at]);
    }
    if (batch->err.code != ERR_NONE) {
        *err = batch->err;
        return -1;
    }
    for (size_t k = 0; k < batch->len; k++) {
        if (add_item(scan, batch, &batch->items[k], err) != 0) {
            return -1;
        }
    }
    stat_batch_freep(&scan->batches[at]);
    scan->first = ring_at(scan, 1);
    scan->batches_len--;
    return 0;
}

/* The last batch, with room for an item. */
static int last_batch(struct scan *scan, struct stat_batch **batch_out, struct error *err)
{
    struct stat_batch *last =
        scan->batches_len ? scan->batches[ring_at(scan, scan->batches_len - 1)] : NULL;
    if (last && last->len < STAT_BATCH_SIZE) {
        *batch_out = last;
        return 0;
    }
    if (scan->batches_len == BATCHES && take_batch(scan, err) != 0) {
        return -1;
    }
    *batch_out = stat_batch_new(scan->source, scan->options->store, scan->options->no_xattrs);
    scan->batches[ring_at(scan, scan->batches_len++)] = *batch_out;
    return 0;
}

/* A number for the folder whose path is in scan->path. */
static size_t add_found_dir(struct scan *scan, size_t parent)
{
    if (scan->dirs_len == scan->dirs_cap) {
        scan->dirs_cap *= 2;
        scan->dirs = mem_realloc(scan->dirs, scan->dirs_cap, sizeof *scan->dirs);
    }
    scan->dirs[scan->dirs_len] =
        (struct found_dir){.path = mem_strdup(scan->path.data), .parent = parent};
    return scan->dirs_len++;
}

/* What the name FOUND of the folder DIR is, is to be looked up. */
static int queue_item(struct scan *scan, size_t dir, const char *name, struct folder_name *found,
                      struct error *err)
{
    struct stat_batch *batch = NULL;
    if (last_batch(scan, &batch, err) != 0) {
        return -1;
    }
    if (found->is_dir) {
        set_path(scan, scan->dirs[dir].path, name);
        found->dir = add_found_dir(scan, dir);
    }
    batch->items[batch->len] = (struct stat_item){.dir = dir,
                                                  .child = found->dir,
                                                  .dir_path = scan->dirs[dir].path,
                                                  .name = batch->names.len,
                                                  .verdict = found->verdict,
                                                  .is_dir = found->is_dir};
    buf_append(&batch->names, name, found->len + 1);
    if (++batch->len == STAT_BATCH_SIZE) {
        submit_batch(scan);
    }
    return 0;
}

/* Goes down into the folder DIR. */
static int enter_dir(struct scan *scan, size_t dir, struct error *err)
{
    if (cancel_requested()) {
        return cancel_error(err);
    }
    if (scan->levels_len == scan->levels_cap) {
        scan->levels_cap = scan->levels_cap ? scan->levels_cap * 2 : 16;
        scan->levels = mem_realloc(scan->levels, scan->levels_cap, sizeof *scan->levels);
    }
    struct level *level = &scan->levels[scan->levels_len++];
    *level = (struct level){.dir = dir};
    return folder_listing_read(scan->source, scan->options->filter, scan->dirs[dir].path,
                               &level->listing, err);
}

/* Goes through all entries in the order of their paths: a tree needs no sorting then. */
static int walk(struct scan *scan, struct error *err)
{
    if (enter_dir(scan, 0, err) != 0) {
        return -1;
    }
    while (scan->levels_len > 0) {
        struct level *level = &scan->levels[scan->levels_len - 1];
        if (level->at == level->listing.places_len) {
            folder_listing_release(&level->listing);
            scan->levels_len--;
            continue;
        }
        const struct folder_place *place = &level->listing.places[level->at++];
        struct folder_name *name = &level->listing.names[place->index];
        if (place->below ? enter_dir(scan, name->dir, err) != 0
                         : queue_item(scan, level->dir, place->text, name, err) != 0) {
            return -1;
        }
    }
    while (scan->batches_len > 0) {
        if (take_batch(scan, err) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Whether the file system gives its files this machine's own time. */
static bool has_fine_clock(int fd)
{
    static const uint32_t local[] = {EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC,       BTRFS_SUPER_MAGIC,
                                     TMPFS_MAGIC,      OVERLAYFS_SUPER_MAGIC, F2FS_SUPER_MAGIC};
    return file_is_on(fd, local, ARRAY_LEN(local));
}

static int open_root(const char *path, struct folder_source **out, struct error *err)
{
    AUTO(fd_closep) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOTDIR) {
        return error_set(err, ERR_USAGE, "'%s' is no folder", path);
    }
    char *absolute = fd >= 0 ? realpath(path, NULL) : NULL;
    if (!absolute) {
        return error_errno(err, ERR_USAGE, "open folder '%s'", path);
    }
    if (strcmp(absolute, "/") == 0) {
        absolute[0] = '\0'; /* so that "%s/%s" is right for it too */
    }
    struct stat st;
    if (fstat(fd, &st) != 0) {
        error_errno(err, ERR_USAGE, "open folder '%s'", path);
        free(absolute);
        return -1;
    }
    *out = folder_source_new(fd_steal(&fd), absolute);
    (*out)->device = st.st_dev;
    (*out)->fine_clock = has_fine_clock((*out)->fd);
    return 0;
}

int folder_tree(const char *path, const struct folder_options *options, struct tree **out,
                struct error *err)
{
    static const struct folder_options none = {0};
    AUTO(scan_release) struct scan scan = {.options = options ? options : &none, .dirs_cap = 64};
    if (open_root(path, &scan.source, err) != 0) {
        return -1;
    }
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    scan.source->scanned_ns = now.tv_sec * (int64_t)1000000000 + now.tv_nsec;
    scan.builder = tree_builder_new();
    scan.dirs = mem_calloc(scan.dirs_cap, sizeof *scan.dirs);
    scan.dirs[scan.dirs_len++] = (struct found_dir){.path = mem_strdup("")};
    if (walk(&scan, err) != 0) {
        return -1;
    }
    folder_cache_drop(scan.source);
    *out = tree_builder_finish(MEM_STEAL(scan.builder));
    return 0;
}
