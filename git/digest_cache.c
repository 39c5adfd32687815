#include "git/digest_cache.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/spill.h"

#define RECORD_KIND "git-digests"
/* A record begins with this; another version is another word. */
#define MAGIC "slipway git digests 1\n"
enum { MAGIC_LEN = sizeof MAGIC - 1, KEEP_FACTOR = 4, KEEP_ALWAYS = 20000 };

void digest_cache_release(struct digest_cache *cache)
{
    spill_free(cache->items, cache->cap * sizeof *cache->items);
    *cache = (struct digest_cache){0};
}

void digest_cache_load(struct store *store, const char *name, struct digest_cache *out)
{
    *out = (struct digest_cache){0};
    AUTO(record_view_release) struct record_view data = {0};
    struct error ignored = {0};
    if (store_record_view(store, RECORD_KIND, name, &data, &ignored) != 0 || !data.value ||
        data.len < MAGIC_LEN || memcmp(data.value, MAGIC, MAGIC_LEN) != 0 ||
        (data.len - MAGIC_LEN) % sizeof *out->items != 0) {
        return;
    }
    out->len = out->cap = (data.len - MAGIC_LEN) / sizeof *out->items;
    out->items = spill_realloc(NULL, 0, data.len - MAGIC_LEN);
    memcpy(out->items, data.value + MAGIC_LEN, data.len - MAGIC_LEN);
}

static int compare(const void *a, const void *b)
{
    return memcmp(((const struct blob_digest *)a)->id, ((const struct blob_digest *)b)->id,
                  GIT_OID_RAWSZ);
}

bool digest_cache_find(const struct digest_cache *cache, const git_oid *id, struct digest *out)
{
    struct blob_digest key;
    memcpy(key.id, id->id, sizeof key.id);
    const struct blob_digest *found =
        cache->len ? bsearch(&key, cache->items, cache->len, sizeof key, compare) : NULL;
    if (found) {
        memcpy(out->bytes, found->digest, sizeof out->bytes);
    }
    return found != NULL;
}

void digest_cache_add(struct digest_cache *cache, const git_oid *id, const struct digest *digest)
{
    if (cache->len == cache->cap) {
        cache->items = spill_grow(cache->items, &cache->cap, sizeof *cache->items);
    }
    struct blob_digest *item = &cache->items[cache->len++];
    memcpy(item->id, id->id, sizeof item->id);
    memcpy(item->digest, digest->bytes, sizeof item->digest);
}

static void sort_unique(struct digest_cache *cache)
{
    if (cache->len == 0) {
        return;
    }
    qsort(cache->items, cache->len, sizeof *cache->items, compare);
    size_t kept = 1;
    for (size_t i = 1; i < cache->len; i++) {
        if (compare(&cache->items[kept - 1], &cache->items[i]) != 0) {
            cache->items[kept++] = cache->items[i];
        }
    }
    cache->len = kept;
}

void digest_cache_save(struct store *store, const char *name, struct digest_cache *cache)
{
    sort_unique(cache);
    AUTO(digest_cache_release) struct digest_cache old;
    digest_cache_load(store, name, &old);
    size_t missing = 0;
    for (size_t i = 0; i < cache->len; i++) {
        missing +=
            !old.len || !bsearch(&cache->items[i], old.items, old.len, sizeof *old.items, compare);
    }
    if (missing == 0) {
        return;
    }
    if (old.len <= cache->len * KEEP_FACTOR + KEEP_ALWAYS) {
        for (size_t i = 0; i < old.len; i++) {
            git_oid id;
            struct digest digest;
            memcpy(id.id, old.items[i].id, sizeof id.id);
            memcpy(digest.bytes, old.items[i].digest, sizeof digest.bytes);
            digest_cache_add(cache, &id, &digest);
        }
        sort_unique(cache);
    }
    AUTO(buf_release) struct buf data = BUF_INIT_LARGE(0);
    buf_append(&data, MAGIC, MAGIC_LEN);
    buf_append(&data, cache->items, cache->len * sizeof *cache->items);
    struct error ignored = {0};
    store_record_put(store, RECORD_KIND, name, data.data, data.len, &ignored);
}
