/*
 * The stat cache: what the files of a folder hashed to, so that an unchanged file costs one stat.
 *
 * A record of kind "stat", named by the folder's absolute path: a line "slipway-stat 1 COUNT\n",
 * then COUNT fixed-size items and the paths that they point to, all in the machine's own byte
 * order. A digest is kept only if the ctime of the file lies well before the scan that stat'ed it:
 * a later write then must give it another ctime, however coarse the file system's clock is.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/memory.h"
#include "base/spill.h"
#include "oci/folder_internal.h"

#define KIND_STAT "stat"
#define CACHE_MAGIC "slipway-stat 2 "

enum { COUNT_DIGITS = 10 };

/* Clocks of network file systems differ from ours, and the coarsest file systems count in 2 s; the
 * common local ones take the kernel's own time, which it renews at every tick (10 ms at most). */
static const int64_t coarse_margin_ns = 2000000000;
static const int64_t fine_margin_ns = 50000000;

struct stored_item {
    uint64_t inode;
    uint64_t size;
    int64_t mtime_ns;
    int64_t ctime_ns;
    uint32_t path;
    uint32_t path_len;
    uint32_t may_have_xattrs;
    uint32_t unused;
    uint8_t digest[DIGEST_BYTES];
};

static const char *cache_name(const struct folder_source *source)
{
    return source->path[0] ? source->path : "/";
}

static struct stored_item item_at(const struct folder_source *source, size_t index)
{
    struct stored_item item;
    spill_looked(1);
    memcpy(&item, source->cache_items + index * sizeof item, sizeof item);
    return item;
}

/* Finds the items in the record's bytes. Items that do not fit end the list: the rest is as good as
 * missing. */
static void parse_cache(struct folder_source *source)
{
    const char *data = source->cache.value;
    size_t len = source->cache.len;
    enum { USED = sizeof CACHE_MAGIC - 1 + COUNT_DIGITS + 1 };
    const size_t used = USED;
    char line[USED + 1] = "";
    uint64_t count = 0;
    if (len < used) {
        return;
    }
    memcpy(line, data, used);
    if (sscanf(line, CACHE_MAGIC "%10" SCNu64, &count) != 1 || data[used - 1] != '\n' ||
        count > (len - used) / sizeof(struct stored_item)) {
        return;
    }
    source->cache_items = data + used;
    source->cache_paths = data + used + count * sizeof(struct stored_item);
    size_t paths_len = len - (size_t)(source->cache_paths - data);
    for (uint64_t i = 0; i < count; i++) {
        struct stored_item item = item_at(source, i);
        if (item.path >= paths_len || item.path_len >= paths_len - item.path ||
            source->cache_paths[item.path + item.path_len] != '\0') {
            return;
        }
        source->cache_len++;
    }
}

static size_t slot_of(const struct folder_source *source, uint64_t inode)
{
    return (size_t)(inode * 0x9E3779B97F4A7C15U >> 32) & (source->cache_slots_cap - 1);
}

static void fill_slots(struct folder_source *source)
{
    source->cache_slots_cap = 64;
    while (source->cache_slots_cap < source->cache_len * 2) {
        source->cache_slots_cap *= 2;
    }
    source->cache_slots = spill_calloc(source->cache_slots_cap, sizeof *source->cache_slots);
    for (size_t i = 0; i < source->cache_len; i++) {
        size_t at = slot_of(source, item_at(source, i).inode);
        while (source->cache_slots[at]) {
            at = (at + 1) & (source->cache_slots_cap - 1);
        }
        source->cache_slots[at] = (uint32_t)(i + 1);
    }
}

void folder_cache_drop(struct folder_source *source)
{
    record_view_release(&source->cache);
    spill_free(source->cache_slots, source->cache_slots_cap * sizeof *source->cache_slots);
    source->cache_slots = NULL;
    source->cache_len = 0;
}

/* The lock is held. */
static void load(struct folder_source *source, struct store *store)
{
    struct error ignored = {0};
    source->cache_read = true;
    if (store &&
        store_record_view(store, KIND_STAT, cache_name(source), &source->cache, &ignored) == 0 &&
        source->cache.value) {
        parse_cache(source);
        fill_slots(source);
    }
}

void folder_cache_load(struct folder_source *source, struct store *store)
{
    pthread_mutex_lock(&source->lock);
    if (!source->cache_read) {
        load(source, store);
    }
    pthread_mutex_unlock(&source->lock);
}

bool folder_cache_find(const struct folder_source *source, const char *path,
                       const struct file_stamp *stamp, struct cached_file *out)
{
    if (source->cache_len == 0) {
        return false;
    }
    size_t at = slot_of(source, stamp->inode);
    for (; source->cache_slots[at]; at = (at + 1) & (source->cache_slots_cap - 1)) {
        struct stored_item item = item_at(source, source->cache_slots[at] - 1);
        struct file_stamp stored = {.inode = item.inode,
                                    .size = item.size,
                                    .mtime_ns = item.mtime_ns,
                                    .ctime_ns = item.ctime_ns};
        if (file_stamp_equal(&stored, stamp) &&
            strcmp(source->cache_paths + item.path, path) == 0) {
            out->may_have_xattrs = item.may_have_xattrs != 0;
            memcpy(out->digest.bytes, item.digest, DIGEST_BYTES);
            return true;
        }
    }
    return false;
}

/* Looks the file up in the cache; fills its digest. The lock is held. */
static bool look_up(struct folder_source *source, struct folder_file *file)
{
    struct cached_file hit;
    if (!folder_cache_find(source, file->path, &file->stamp, &hit)) {
        return false;
    }
    file->digest = hit.digest;
    file->hashed = true;
    return true;
}

bool folder_known_digest(struct folder_source *source, struct store *store, uint64_t handle,
                         struct digest *out)
{
    pthread_mutex_lock(&source->lock);
    if (!source->cache_read) {
        load(source, store);
    }
    struct folder_file *file = folder_file_at(source, handle);
    bool known = file->hashed || look_up(source, file);
    if (known) {
        *out = file->digest;
    }
    pthread_mutex_unlock(&source->lock);
    return known;
}

void folder_remember(struct folder_source *source, uint64_t handle, const struct digest *digest,
                     bool unchanged)
{
    struct folder_file *file = folder_file_at(source, handle);
    int64_t margin = file->fine_clock ? fine_margin_ns : coarse_margin_ns;
    pthread_mutex_lock(&source->lock);
    file->digest = *digest;
    file->hashed = true;
    file->racy = !unchanged || file->stamp.ctime_ns >= source->scanned_ns - margin;
    source->cache_stale = source->cache_stale || !file->racy;
    pthread_mutex_unlock(&source->lock);
}

/* The next file from *AT on whose digest may be kept; NULL: there is none. The lock is held. */
static struct folder_file *next_kept(struct folder_source *source, size_t *at)
{
    while (*at < source->files_len) {
        struct folder_file *file = folder_file_at(source, (*at)++);
        if ((file->hashed || look_up(source, file)) && !file->racy) {
            return file;
        }
    }
    return NULL;
}

/* Files come in the order in which the scan met them: by path. The lock is held. */
static void render(struct folder_source *source, struct buf *out)
{
    size_t len = 0;
    size_t path_at = 0;
    const size_t head = strlen(CACHE_MAGIC) + COUNT_DIGITS + 1;
    buf_printf(out, CACHE_MAGIC "%0*d\n", COUNT_DIGITS, 0);
    size_t at = 0;
    for (const struct folder_file *file; (file = next_kept(source, &at)); len++) {
        size_t path_len = strlen(file->path);
        struct stored_item item = {.inode = file->stamp.inode,
                                   .size = file->stamp.size,
                                   .mtime_ns = file->stamp.mtime_ns,
                                   .ctime_ns = file->stamp.ctime_ns,
                                   .path = (uint32_t)path_at,
                                   .path_len = (uint32_t)path_len,
                                   .may_have_xattrs = file->may_have_xattrs};
        memcpy(item.digest, file->digest.bytes, DIGEST_BYTES);
        buf_append(out, &item, sizeof item);
        path_at += path_len + 1;
    }
    char count[COUNT_DIGITS + 1];
    snprintf(count, sizeof count, "%0*zu", COUNT_DIGITS, len);
    memcpy(out->data + head - 1 - COUNT_DIGITS, count, COUNT_DIGITS);
    at = 0;
    for (const struct folder_file *file; (file = next_kept(source, &at));) {
        buf_append(out, file->path, strlen(file->path) + 1);
    }
}

static void save(struct folder_source *source, struct store *store)
{
    AUTO(buf_release) struct buf bytes = BUF_INIT_LARGE(0);
    pthread_mutex_lock(&source->lock);
    if (source->cache_stale && source->names_len < UINT32_MAX && source->files_len < UINT32_MAX) {
        render(source, &bytes);
        source->cache_stale = false;
    }
    pthread_mutex_unlock(&source->lock);
    if (bytes.len > 0) {
        struct error ignored = {0}; /* without it the next build only hashes more */
        store_record_put(store, KIND_STAT, cache_name(source), bytes.data, bytes.len, &ignored);
    }
}

struct content_source *folder_tree_source(const struct tree *tree)
{
    for (size_t i = 0; i < tree_len(tree); i++) {
        struct content_source *source = tree_at(tree, i)->source;
        if (folder_source_of(source)) {
            return source;
        }
    }
    return NULL;
}

void folder_save_cache(struct content_source *base, struct store *store)
{
    struct folder_source *source = folder_source_of(base);
    if (source) {
        save(source, store);
    }
}
