/* The repositories of the remote cache, and the asking of them. */
#include "builder/remote_cache.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/memory.h"
#include "base/thread.h"
#include "builder/remote_cache_internal.h"
#include "builder/remote_entry.h"
#include "registry/entry.h"
#include "registry/reference.h"

enum {
    PATIENCE_MS = 2000,      /* for the first contact, counted from the build's begin */
    BRIEF_TIMEOUT_MS = 5000, /* without progress, of later questions */
    PREFIX_MAX = 60,         /* of 128 that a tag may have, 65 are "-" and the key */
    HICCUPS_MAX = 2,
    HICCUP_US = 100 * 1000, /* before a server is asked again, doubled each time */
    BLAMES_MAX = 3,         /* builds done again before the cache is not asked any more */
};

int64_t remote_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void remote_tag(const struct remote_repository *repository, const struct digest *key,
                char out[REMOTE_TAG_SIZE])
{
    char hex[DIGEST_HEX_SIZE];
    snprintf(out, REMOTE_TAG_SIZE, "%s-%s", repository->prefix, digest_hex(key, hex));
}

static int parse_name(const char *name, struct reference *out, struct error *err)
{
    if (reference_parse(name, out, err) != 0) {
        return -1;
    }
    bool long_tag = out->tag && strlen(out->tag) > PREFIX_MAX;
    if (!out->has_digest && !long_tag) {
        return 0;
    }
    reference_release(out);
    return error_set(err, ERR_USAGE, "'%s': %s", name,
                     long_tag ? "the tag, with which the entries' tags begin, has more than 60 "
                                "characters"
                              : "a digest is no place for a cache: give HOST/REPOSITORY");
}

int remote_cache_check(const char *name, struct error *err)
{
    struct reference ref = {0};
    if (parse_name(name, &ref, err) != 0) {
        return -1;
    }
    reference_release(&ref);
    return 0;
}

static struct remote_repository *find(struct remote_cache *cache, const struct reference *ref,
                                      const char *prefix)
{
    for (size_t i = 0; i < cache->len; i++) {
        struct remote_repository *r = &cache->items[i];
        if (strcmp(r->host, ref->host) == 0 && strcmp(r->repository, ref->repository) == 0 &&
            strcmp(r->prefix, prefix) == 0) {
            return r;
        }
    }
    return NULL;
}

static int add(struct remote_cache *cache, const char *name, bool to, struct error *err)
{
    struct reference ref = {0};
    if (parse_name(name, &ref, err) != 0) {
        return -1;
    }
    const char *prefix = ref.tag ? ref.tag : "step";
    struct remote_repository *r = find(cache, &ref, prefix);
    if (!r) {
        cache->items = mem_realloc(cache->items, cache->len + 1, sizeof *cache->items);
        r = &cache->items[cache->len++];
        *r = (struct remote_repository){.cache = cache,
                                        .name = reference_familiar(&ref),
                                        .host = mem_strdup(ref.host),
                                        .repository = mem_strdup(ref.repository),
                                        .prefix = mem_strdup(prefix)};
    }
    r->to = r->to || to;
    r->from = r->from || !to;
    reference_release(&ref);
    return 0;
}

void remote_sleep(struct remote_cache *cache, int ms)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&cache->changed, &cache->lock, &until);
}

/* Under the lock. A warning for each repository, once. */
static void set_down(struct remote_repository *r, const char *why)
{
    if (r->state != REMOTE_DOWN) {
        r->state = REMOTE_DOWN;
        event_warning(r->cache->events, NULL, 0, "the cache %s is not used: %s", r->name, why);
    }
}

/* A server that answered with a hiccup (docker-registry does while somebody writes the same
 * manifest) is asked again; one that does not answer is not. */
static int get_entry(struct remote_repository *r, const char *tag, bool *found_out,
                     struct buf *bytes, struct error *err)
{
    const struct entry_place at = {r->host, r->repository, tag};
    for (unsigned retry = 0;; retry++) {
        buf_clear(bytes);
        if (registry_get_entry(r->cache->brief, &at, found_out, bytes, err) == 0) {
            return 0;
        }
        if (err->http_status < 500 || retry == HICCUPS_MAX) {
            return -1;
        }
        error_clear(err);
        usleep(HICCUP_US << retry);
    }
}

/* The first contact: connection, credentials and token are there when a step asks. */
static void *probe(void *arg)
{
    struct remote_repository *r = arg;
    struct remote_cache *cache = r->cache;
    struct digest none = {0};
    char tag[REMOTE_TAG_SIZE];
    AUTO(buf_release) struct buf bytes = BUF_INIT(LIMIT_MANIFEST_BYTES);
    struct error err = {0};
    bool found = false;
    remote_tag(r, &none, tag);
    int rc = get_entry(r, tag, &found, &bytes, &err);
    pthread_mutex_lock(&cache->lock);
    if (rc == 0 && r->state == REMOTE_UNKNOWN) {
        r->state = REMOTE_UP;
    } else if (rc != 0 && err.code != ERR_CANCELLED) {
        set_down(r, err.text);
    }
    pthread_cond_broadcast(&cache->changed);
    pthread_mutex_unlock(&cache->lock);
    return NULL;
}

bool remote_is_up(struct remote_repository *r)
{
    struct remote_cache *cache = r->cache;
    pthread_mutex_lock(&cache->lock);
    int64_t left = 1;
    while (r->state == REMOTE_UNKNOWN && left > 0 && !atomic_load(&cache->stop)) {
        left = cache->opened_ms + PATIENCE_MS - remote_now_ms();
        if (left > 0) {
            remote_sleep(cache, (int)left);
        }
    }
    if (r->state == REMOTE_UNKNOWN && !atomic_load(&cache->stop)) {
        set_down(r, "no answer within 2 seconds");
    }
    bool up = r->state == REMOTE_UP;
    pthread_mutex_unlock(&cache->lock);
    return up;
}

static int add_all(struct remote_cache *cache, const struct strlist *names, bool to,
                   struct error *err)
{
    for (size_t i = 0; i < names->len; i++) {
        if (add(cache, names->items[i], to, err) != 0) {
            return error_wrap(err, to ? "--cache-to" : "--cache-from");
        }
    }
    return 0;
}

int remote_cache_open(const struct build_request *request, struct remote_cache **out,
                      struct error *err)
{
    *out = NULL;
    if (request->cache_from.len + request->cache_to.len == 0) {
        return 0;
    }
    AUTO(remote_cache_freep) struct remote_cache *cache = mem_calloc(1, sizeof *cache);
    cache->store = request->store;
    cache->registry = request->registry;
    cache->events = request->events;
    cache->last = &cache->jobs;
    /* What came by stdin comes only once. */
    cache->eager = (request->context && strcmp(request->context, "-") == 0) ||
                   (request->dockerfile && strcmp(request->dockerfile, "-") == 0);
    cache->opened_ms = remote_now_ms();
    pthread_mutex_init(&cache->lock, NULL);
    pthread_cond_init(&cache->changed, NULL);
    if (add_all(cache, &request->cache_from, false, err) != 0 ||
        add_all(cache, &request->cache_to, true, err) != 0 ||
        registry_open_brief(cache->registry, BRIEF_TIMEOUT_MS, &cache->stop, &cache->brief, err) !=
            0) {
        return -1;
    }
    for (size_t i = 0; i < cache->len; i++) {
        if (request->offline) {
            set_down(&cache->items[i], "--offline opens no connection");
        } else {
            thread_start(&cache->items[i].probe, probe, &cache->items[i]);
        }
    }
    *out = MEM_STEAL(cache);
    return 0;
}

bool remote_has_offer(struct remote_cache *cache, const struct remote_repository *repository,
                      const struct digest *key, bool refused)
{
    for (size_t i = 0; i < cache->offers_len; i++) {
        const struct remote_offer *offer = &cache->offers[i];
        if (offer->by == repository && offer->refused == refused &&
            digest_equal(&offer->key, key)) {
            return true;
        }
    }
    return false;
}

static void add_offer(struct remote_repository *r, const struct digest *key,
                      const struct step_result *result, bool refused)
{
    struct remote_cache *cache = r->cache;
    pthread_mutex_lock(&cache->lock);
    cache->offers = mem_realloc(cache->offers, cache->offers_len + 1, sizeof *cache->offers);
    cache->offers[cache->offers_len++] =
        (struct remote_offer){.by = r, .key = *key, .result = *result, .refused = refused};
    pthread_mutex_unlock(&cache->lock);
}

static bool is_refused(struct remote_repository *r, const struct digest *key)
{
    pthread_mutex_lock(&r->cache->lock);
    bool refused = r->cache->deaf || remote_has_offer(r->cache, r, key, true);
    pthread_mutex_unlock(&r->cache->lock);
    return refused;
}

static int remember_origin(struct remote_repository *r, const struct layer *layer,
                           struct error *err)
{
    AUTO(mem_freep) char *origin = mem_printf("%s/%s", r->host, r->repository);
    return store_origin_add(r->cache->store, &layer->blob.digest, origin, err);
}

static int have_layer(struct remote_repository *r, const struct layer *layer, struct error *err)
{
    AUTO(tree_unrefp) struct tree *tree = NULL;
    struct layer copy = *layer;
    const struct image image = {.layers = &copy, .layers_len = 1};
    return remember_origin(r, layer, err) == 0 &&
                   registry_get_layer(r->cache->registry, &image, 0, err) == 0
               ? layer_tree(r->cache->store, layer, &tree, err)
               : -1;
}

/* Whether R has an entry for KEY that is one. */
static bool ask(struct remote_repository *r, const struct digest *key, struct step_result *out)
{
    struct remote_cache *cache = r->cache;
    AUTO(buf_release) struct buf bytes = BUF_INIT(LIMIT_MANIFEST_BYTES);
    struct error err = {0};
    struct step_result result = {0};
    bool found = false;
    char tag[REMOTE_TAG_SIZE];
    remote_tag(r, key, tag);
    if (get_entry(r, tag, &found, &bytes, &err) != 0) {
        pthread_mutex_lock(&cache->lock);
        if (err.code != ERR_CANCELLED) {
            set_down(r, err.text);
        }
        pthread_mutex_unlock(&cache->lock);
        return false;
    }
    if (!found) {
        return false;
    }
    bool good = remote_entry_parse(bytes.data, bytes.len, key, &result, &err) == 0 &&
                (!cache->eager || result.empty || have_layer(r, &result.layer, &err) == 0);
    if (!good) {
        event_warning(cache->events, NULL, 0, "the cache %s: the entry %s is passed over: %s",
                      r->name, tag, err.text);
    }
    add_offer(r, key, &result, !good);
    *out = result;
    return good;
}

/* What is found is as good as made here. */
static bool remember(struct remote_repository *r, const struct digest *key,
                     const struct step_result *result)
{
    struct error err = {0};
    if ((!result->empty && remember_origin(r, &result->layer, &err) != 0) ||
        step_cache_put(r->cache->store, key, result, &err) != 0) {
        event_warning(r->cache->events, NULL, 0, "the cache %s: %s", r->name, err.text);
        return false;
    }
    return true;
}

void remote_cache_get(struct remote_cache *cache, const struct digest *key, bool *found_out,
                      struct step_result *out)
{
    *found_out = false;
    for (size_t i = 0; cache && i < cache->len && !*found_out; i++) {
        struct remote_repository *r = &cache->items[i];
        struct step_result result = {0};
        if (r->from && remote_is_up(r) && !is_refused(r, key) && ask(r, key, &result) &&
            remember(r, key, &result)) {
            *found_out = true;
            *out = result;
        }
    }
}

/* Whether the layer of OFFER was needed and is not to be had, or is not what it should be. */
static bool is_bad(struct remote_cache *cache, const struct remote_offer *offer)
{
    const struct layer *layer = &offer->result.layer;
    struct error ignored = {0};
    if (offer->refused || offer->result.empty) {
        return false;
    }
    if (!store_has_blob(cache->store, &layer->blob.digest, NULL)) {
        return registry_blob_failed(cache->registry, &layer->blob.digest);
    }
    AUTO(tree_unrefp) struct tree *tree = NULL;
    return layer_tree(cache->store, layer, &tree, &ignored) != 0;
}

static void refuse(struct remote_cache *cache, struct remote_offer *offer)
{
    char hex[DIGEST_HEX_SIZE];
    char tag[REMOTE_TAG_SIZE];
    struct error ignored = {0};
    offer->refused = true;
    remote_tag(offer->by, &offer->key, tag);
    store_record_remove(cache->store, "steps", digest_hex(&offer->key, hex), &ignored);
    event_warning(cache->events, NULL, 0,
                  "the cache %s: the layer of the entry %s cannot be had as it should be: the "
                  "step is done here",
                  offer->by->name, tag);
}

bool remote_cache_blame(struct remote_cache *cache)
{
    bool any = false;
    if (!cache) {
        return false;
    }
    pthread_mutex_lock(&cache->lock);
    for (size_t i = 0; i < cache->offers_len && !cache->deaf; i++) {
        if (is_bad(cache, &cache->offers[i])) {
            refuse(cache, &cache->offers[i]);
            any = true;
        }
    }
    cache->held = false;
    pthread_cond_broadcast(&cache->changed);
    cache->blames += any;
    cache->deaf = cache->deaf || cache->blames >= BLAMES_MAX;
    pthread_mutex_unlock(&cache->lock);
    return any;
}

void remote_cache_freep(struct remote_cache **pointer)
{
    struct remote_cache *cache = *pointer;
    *pointer = NULL;
    if (!cache) {
        return;
    }
    atomic_store(&cache->stop, true);
    remote_write_end(cache);
    for (size_t i = 0; i < cache->len; i++) {
        struct remote_repository *r = &cache->items[i];
        if (r->probe) {
            pthread_join(r->probe, NULL);
        }
        free(r->name);
        free(r->host);
        free(r->repository);
        free(r->prefix);
    }
    registry_freep(&cache->brief);
    pthread_cond_destroy(&cache->changed);
    pthread_mutex_destroy(&cache->lock);
    free(cache->items);
    free(cache->offers);
    free(cache->queued);
    free(cache);
}
