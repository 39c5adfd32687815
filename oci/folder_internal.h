/* What the files of oci/folder.h share. */
#ifndef SLIPWAY_OCI_FOLDER_INTERNAL_H
#define SLIPWAY_OCI_FOLDER_INTERNAL_H

#include <pthread.h>
#include <sys/stat.h>

#include "oci/folder.h"

/* What of a file's stat says whether its content may have changed. */
struct file_stamp {
    uint64_t inode;
    uint64_t size;
    int64_t mtime_ns;
    int64_t ctime_ns;
};

/* A regular file of the folder; its index is its entries' `handle`. */
struct folder_file {
    const char *path; /* in folder_source.names */
    struct file_stamp stamp;
    bool may_have_xattrs; /* nobody saw yet that it has none */
    bool fine_clock;      /* its times are the kernel's, to a hundredth of a second at least */
    bool hashed;          /* guarded by folder_source.lock, as the two below */
    bool racy;            /* `digest` must not go into the cache */
    struct digest digest;
};

/* What the stat cache says of a file. */
struct cached_file {
    bool may_have_xattrs;
    struct digest digest;
};

struct folder_source {
    struct content_source base;
    int fd;
    dev_t device;
    bool fine_clock;           /* of that device */
    char *path;                /* absolute: the cache's name */
    int64_t scanned_ns;        /* when the scan began */
    struct arena *names;       /* the files' paths */
    size_t names_len;          /* bytes, with terminators */
    struct folder_file *files; /* through folder_file_at() */
    size_t files_len;
    size_t files_cap;
    pthread_mutex_t lock;     /* guards what follows, and the files' digests */
    bool cache_read;          /* the cache does not change any more */
    struct record_view cache; /* as the store has it */
    const char *cache_items;  /* in there; see folder_cache.c */
    const char *cache_paths;
    size_t cache_len;      /* items */
    uint32_t *cache_slots; /* a hash table by inode, sized to a power of two: indices + 1 */
    size_t cache_slots_cap;
    bool cache_stale; /* the files say something that the cache in the store does not */
};

/* The file HANDLE of SOURCE; good until the next is added. */
struct folder_file *folder_file_at(const struct folder_source *source, uint64_t handle);

/* A source for the folder PATH (absolute) open as FD; both are taken over. */
struct folder_source *folder_source_new(int fd, char *path);

/* Adds a file that STATs so; KNOWN (may be NULL) is what the cache says of it. Returns its handle.
 */
uint64_t folder_source_add(struct folder_source *source, const char *path, const struct stat *st,
                           const struct cached_file *known, bool may_have_xattrs);

/* Reads the cache, if nobody did. Any thread. */
void folder_cache_load(struct folder_source *source, struct store *store);

/* Forgets what was read, where everything that may be looked up was. */
void folder_cache_drop(struct folder_source *source);

/* Whether a cache that was read has the file PATH with this stamp; OUT is what it says of it. */
bool folder_cache_find(const struct folder_source *source, const char *path,
                       const struct file_stamp *stamp, struct cached_file *out);

/* SOURCE as a folder's, NULL if it is another kind. */
struct folder_source *folder_source_of(struct content_source *source);

/* The digest of the file HANDLE, if it is known from the cache or was hashed before. */
bool folder_known_digest(struct folder_source *source, struct store *store, uint64_t handle,
                         struct digest *out);

/* Remembers what was hashed. UNCHANGED: the open file's stamp was that of the scan. */
void folder_remember(struct folder_source *source, uint64_t handle, const struct digest *digest,
                     bool unchanged);

void file_stamp_of(const struct stat *st, struct file_stamp *out);
bool file_stamp_equal(const struct file_stamp *a, const struct file_stamp *b);

/* Opens the file HANDLE; *ST_OUT is the open file's. */
int folder_open_file(struct folder_source *source, uint64_t handle, int *fd_out,
                     struct stat *st_out, struct error *err);

/* A name that readdir() gave, and the filter kept. */
struct folder_name {
    size_t text; /* offset into the listing's */
    size_t len;
    enum folder_verdict verdict;
    bool is_dir;
    size_t dir; /* the scan's number of it, for the scan */
};

/* What comes next in a folder: an entry, or what lies below it. */
struct folder_place {
    const char *text; /* the name */
    size_t len;
    size_t index; /* of the folder_name */
    bool below;
};

/* The names of a folder, in the order in which they and what lies below them come in a tree. */
struct folder_listing {
    struct buf texts;
    struct folder_name *names;
    size_t names_len;
    size_t names_cap;
    struct folder_place *places;
    size_t places_len;
};

/* Reads the folder PATH of SOURCE; what FILTER (may be NULL) drops is not in it. One that is gone
 * is empty, unless it is the first. OUT is zeroed, and to be released in any case. ERR_USAGE. */
int folder_listing_read(const struct folder_source *source, const struct folder_filter *filter,
                        const char *path, struct folder_listing *out, struct error *err);
void folder_listing_release(struct folder_listing *listing);

/* An entry that readdir() gave, and what its stat says. */
struct stat_item {
    size_t dir;           /* the scan's number of the folder it lies in */
    size_t child;         /* the scan's number of it, if it is a folder */
    const char *dir_path; /* borrowed; one string per folder */
    size_t name;          /* offset into the batch's names */
    enum folder_verdict verdict;
    bool is_dir;
    /* What stat_batch_run() fills: */
    bool gone; /* deleted meanwhile: the rest is not filled */
    bool has_xattrs;
    bool xattrs_unknown;      /* not asked for */
    bool is_known;            /* the cache has the file as it is: */
    struct cached_file known; /* what it says of it */
    char *link;               /* a symbolic link's target */
    struct stat st;
};

enum { STAT_BATCH_SIZE = 256 };

/* Items that are looked at in one go, on any thread. */
struct stat_batch {
    struct folder_source *source; /* borrowed */
    struct store *store;          /* borrowed; NULL: without the stat cache */
    bool no_xattrs;               /* do not ask for any */
    struct buf names;
    struct stat_item items[STAT_BATCH_SIZE];
    size_t len;
    struct error err; /* set where it failed; the items from there on are not filled */
};

struct stat_batch *stat_batch_new(struct folder_source *source, struct store *store,
                                  bool no_xattrs);
void stat_batch_freep(struct stat_batch **batch);
const char *stat_item_name(const struct stat_batch *batch, const struct stat_item *item);

/* A task of a pool: looks at all items of the struct stat_batch ARG. */
void stat_batch_run(void *arg);

#endif
