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
    memcpy(&item, source->cache_items + index * sizeof item, sizeof item);
    return item;
}

/* Finds the items in the record's bytes. Items that do not fit end the list: the rest is as good as
 * missing. */
static void parse_cache(struct folder_source *source)
{
    const char *data = buf_text(&source->cache_bytes);
    size_t len = source->cache_bytes.len;
    const size_t used = sizeof CACHE_MAGIC - 1 + COUNT_DIGITS + 1;
    uint64_t count = 0;
    if (len < used || sscanf(data, CACHE_MAGIC "%10" SCNu64, &count) != 1 ||
        data[used - 1] != '\n' || count > (len - used) / sizeof(struct stored_item)) {
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
    source->cache_slots = mem_calloc(source->cache_slots_cap, sizeof *source->cache_slots);
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
    buf_release(&source->cache_bytes);
    source->cache_bytes = (struct buf)BUF_INIT(0);
    free(source->cache_slots);
    source->cache_slots = NULL;
    source->cache_len = 0;
}

/* The lock is held. */
static void load(struct folder_source *source, struct store *store)
{
    bool found = false;
    struct error ignored = {0};
    source->cache_read = true;
    if (store &&
        store_record_get(store, KIND_STAT, cache_name(source), &source->cache_bytes, &found,
                         &ignored) == 0 &&
        found) {
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
    struct folder_file *file = &source->files[handle];
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
    struct folder_file *file = &source->files[handle];
    int64_t margin = file->fine_clock ? fine_margin_ns : coarse_margin_ns;
    pthread_mutex_lock(&source->lock);
    file->digest = *digest;
    file->hashed = true;
    file->racy = !unchanged || file->stamp.ctime_ns >= source->scanned_ns - margin;
    source->cache_stale = source->cache_stale || !file->racy;
    pthread_mutex_unlock(&source->lock);
}

static int by_path(const void *a, const void *b, void *ctx)
{
    const struct folder_source *source = ctx;
    return strcmp(source->files[*(const uint32_t *)a].path,
                  source->files[*(const uint32_t *)b].path);
}

/* The numbers of all files whose digest may be kept, by path; the caller's. The lock is held. */
static uint32_t *collect(struct folder_source *source, size_t *len_out)
{
    uint32_t *list = mem_calloc(source->files_len + 1, sizeof *list);
    size_t len = 0;
    for (size_t i = 0; i < source->files_len; i++) {
        struct folder_file *file = &source->files[i];
        if ((file->hashed || look_up(source, file)) && !file->racy) {
            list[len++] = (uint32_t)i;
        }
    }
    qsort_r(list, len, sizeof *list, by_path, source);
    *len_out = len;
    return list;
}

static void render(const struct folder_source *source, const uint32_t *list, size_t len,
                   struct buf *out)
{
    size_t at = 0;
    buf_reserve(out, 64 + len * sizeof(struct stored_item) + source->names_len);
    buf_printf(out, CACHE_MAGIC "%0*zu\n", COUNT_DIGITS, len);
    for (size_t i = 0; i < len; i++) {
        const struct folder_file *file = &source->files[list[i]];
        size_t path_len = strlen(file->path);
        struct stored_item item = {.inode = file->stamp.inode,
                                   .size = file->stamp.size,
                                   .mtime_ns = file->stamp.mtime_ns,
                                   .ctime_ns = file->stamp.ctime_ns,
                                   .path = (uint32_t)at,
                                   .path_len = (uint32_t)path_len,
                                   .may_have_xattrs = file->may_have_xattrs};
        memcpy(item.digest, file->digest.bytes, DIGEST_BYTES);
        buf_append(out, &item, sizeof item);
        at += path_len + 1;
    }
    for (size_t i = 0; i < len; i++) {
        const char *path = source->files[list[i]].path;
        buf_append(out, path, strlen(path) + 1);
    }
}

static void save(struct folder_source *source, struct store *store)
{
    AUTO(buf_release) struct buf bytes = BUF_INIT(0);
    pthread_mutex_lock(&source->lock);
    if (source->cache_stale && source->names_len < UINT32_MAX && source->files_len < UINT32_MAX) {
        size_t len = 0;
        AUTO(mem_freep) uint32_t *list = collect(source, &len);
        render(source, list, len, &bytes);
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
