/* The writing side of the remote cache: a queue of entries, and threads that bring them over while
 * the build goes on. */
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/memory.h"
#include "base/thread.h"
#include "builder/remote_cache_internal.h"
#include "builder/remote_entry.h"
#include "registry/entry.h"

enum {
    STALL_MS = 20000, /* at the build's end, nothing moved for so long: given up */
    TICK_MS = 100,
};

static void job_free(struct remote_job *job)
{
    platform_release(&job->platform);
    free(job->created_by);
    free(job);
}

static void set_media_type(struct descriptor *d, const char *media_type)
{
    memcpy(d->media_type, media_type, strlen(media_type) + 1);
}

/* Brings one entry over. */
static int write_entry(struct remote_job *job, bool *there_out, struct error *err)
{
    struct remote_repository *r = job->to;
    struct remote_cache *cache = r->cache;
    AUTO(buf_release) struct buf config = BUF_INIT(0);
    AUTO(buf_release) struct buf manifest = BUF_INIT(0);
    struct descriptor blobs[2] = {{.size = 0}, job->result.layer.blob};
    char tag[REMOTE_TAG_SIZE];
    remote_entry_config(&job->result, job->created_by, &job->platform, &config);
    set_media_type(&blobs[0], MEDIA_OCI_CONFIG);
    blobs[0].size = config.len;
    if (store_put_blob(cache->store, config.data, config.len, &blobs[0].digest, err) != 0) {
        return -1;
    }
    remote_entry_manifest(&job->key, &job->result, job->created_by, &blobs[0], &manifest);
    remote_tag(r, &job->key, tag);
    const struct entry_place at = {r->host, r->repository, tag};
    const struct registry_entry entry = {
        .blobs = blobs,
        .blobs_len = job->result.empty ? 1 : 2,
        .manifest = &manifest,
        .replace = job->replace,
        .stop = &cache->stop,
        .moved = &cache->moved,
        .bytes_sent = &r->bytes_sent,
    };
    return registry_put_entry(cache->registry, &at, &entry, there_out, err);
}

/* Whether ERR concerns one entry (the disk, a manifest that the registry does not like), and not
 * all that is still to come. */
static bool is_particular(const struct error *err)
{
    int status = err->http_status;
    return err->code == ERR_STORE || status == 400 || status == 409 || status == 413;
}

/* Under the lock. */
static void write_failed(struct remote_repository *r, const struct error *err)
{
    if (is_particular(err)) {
        if (!r->damaged) {
            event_warning(r->cache->events, NULL, 0, "the cache %s: an entry is not written: %s",
                          r->name, err->text);
        }
        r->damaged = true;
        return;
    }
    if (!r->write_down) {
        r->write_down = true;
        event_warning(r->cache->events, NULL, 0, "the cache %s is not written to: %s", r->name,
                      err->text);
    }
}

/* Under the lock. */
static void job_done(struct remote_job *job, int rc, bool there, const struct error *err)
{
    struct remote_repository *r = job->to;
    struct remote_cache *cache = r->cache;
    if (rc != 0 && err->code == ERR_CANCELLED && !atomic_load(&cache->stop)) {
        /* The build failed and stops everything; what is done is worth keeping nevertheless. */
        cache->held = true;
        job->next = cache->jobs;
        cache->last = cache->jobs ? cache->last : &job->next;
        cache->jobs = job;
        cache->waiting++;
        return;
    }
    if (rc != 0) {
        write_failed(r, err);
    } else {
        r->there += there;
        r->written += !there;
    }
    job_free(job);
}

/* Under the lock, which it gives up meanwhile. */
static void do_job(struct remote_cache *cache, struct remote_job *job)
{
    struct error err = {0};
    bool there = false;
    bool down = job->to->write_down;
    cache->running++;
    pthread_mutex_unlock(&cache->lock);
    bool skip = down || !remote_is_up(job->to);
    int rc = skip ? 0 : write_entry(job, &there, &err);
    pthread_mutex_lock(&cache->lock);
    cache->running--;
    atomic_fetch_add(&cache->moved, 1);
    if (skip) {
        job_free(job);
    } else {
        job_done(job, rc, there, &err);
    }
    pthread_cond_broadcast(&cache->changed);
}

static struct remote_job *take_job(struct remote_cache *cache)
{
    struct remote_job *job = cache->held ? NULL : cache->jobs;
    if (job) {
        cache->jobs = job->next;
        cache->last = cache->jobs ? cache->last : &cache->jobs;
        cache->waiting--;
    }
    return job;
}

static void *writer(void *arg)
{
    struct remote_cache *cache = arg;
    pthread_mutex_lock(&cache->lock);
    while (!cache->ended) {
        struct remote_job *job = take_job(cache);
        if (job) {
            do_job(cache, job);
        } else {
            pthread_cond_wait(&cache->changed, &cache->lock);
        }
    }
    pthread_mutex_unlock(&cache->lock);
    return NULL;
}

/* Under the lock. */
static void add_job(struct remote_repository *r, const struct remote_result *made)
{
    struct remote_cache *cache = r->cache;
    struct remote_job *job = mem_calloc(1, sizeof *job);
    *job = (struct remote_job){.to = r,
                               .key = *made->key,
                               .result = *made->result,
                               .created_by = mem_strdup(made->created_by),
                               .replace = remote_has_offer(cache, r, made->key, true)};
    platform_copy(made->platform, &job->platform);
    *cache->last = job;
    cache->last = &job->next;
    cache->waiting++;
    if (cache->threads_len < REMOTE_WRITERS &&
        cache->threads_len < cache->waiting + cache->running) {
        thread_start(&cache->threads[cache->threads_len++], writer, cache);
    }
    pthread_cond_broadcast(&cache->changed);
}

/* Under the lock. Whether KEY was put before; a build that is done again puts the same keys, and
 * those that were refused meanwhile are put anew. */
static bool is_queued(struct remote_cache *cache, const struct digest *key)
{
    for (size_t i = 0; i < cache->queued_len; i++) {
        if (digest_equal(&cache->queued[i], key)) {
            return true;
        }
    }
    cache->queued = mem_realloc(cache->queued, cache->queued_len + 1, sizeof *cache->queued);
    cache->queued[cache->queued_len++] = *key;
    return false;
}

void remote_cache_put(struct remote_cache *cache, const struct remote_result *made)
{
    bool any = false;
    for (size_t i = 0; cache && i < cache->len; i++) {
        any = any || cache->items[i].to;
    }
    if (!any) {
        return;
    }
    pthread_mutex_lock(&cache->lock);
    bool offered = false;
    for (size_t i = 0; i < cache->len; i++) {
        offered = offered || remote_has_offer(cache, &cache->items[i], made->key, false);
    }
    bool queued = offered ? false : is_queued(cache, made->key);
    for (size_t i = 0; i < cache->len && !queued; i++) {
        struct remote_repository *r = &cache->items[i];
        if (r->to && r->state != REMOTE_DOWN && !r->write_down &&
            !remote_has_offer(cache, r, made->key, false)) {
            add_job(r, made);
        }
    }
    pthread_mutex_unlock(&cache->lock);
}

static void report(struct remote_cache *cache)
{
    for (size_t i = 0; i < cache->len; i++) {
        struct remote_repository *r = &cache->items[i];
        if (r->written + r->there > 0) {
            event_note(cache->events, "cache %s: %zu entries written, %zu were there, %.1f kB sent",
                       r->name, r->written, r->there, (double)atomic_load(&r->bytes_sent) / 1e3);
        }
    }
}

/* Under the lock. Whether there is still something to wait for. */
static bool is_pending(const struct remote_cache *cache)
{
    return cache->waiting + cache->running > 0 && !cancel_requested();
}

void remote_cache_finish(struct remote_cache *cache)
{
    if (!cache) {
        return;
    }
    pthread_mutex_lock(&cache->lock);
    uint64_t seen = atomic_load(&cache->moved);
    int64_t since = remote_now_ms();
    while (is_pending(cache) && remote_now_ms() - since < STALL_MS) {
        /* What the end of a failing build cut short goes on. */
        cache->held = false;
        pthread_cond_broadcast(&cache->changed);
        remote_sleep(cache, TICK_MS);
        uint64_t moved = atomic_load(&cache->moved);
        since = moved != seen ? remote_now_ms() : since;
        seen = moved;
    }
    if (is_pending(cache)) {
        event_warning(cache->events, NULL, 0,
                      "%zu entries of the cache are not written: nothing moved for %d seconds",
                      cache->waiting + cache->running, STALL_MS / 1000);
    }
    pthread_mutex_unlock(&cache->lock);
    atomic_store(&cache->stop, true);
    remote_write_end(cache);
    report(cache);
}

void remote_write_end(struct remote_cache *cache)
{
    pthread_mutex_lock(&cache->lock);
    cache->ended = true;
    pthread_cond_broadcast(&cache->changed);
    pthread_mutex_unlock(&cache->lock);
    for (size_t i = 0; i < cache->threads_len; i++) {
        pthread_join(cache->threads[i], NULL);
    }
    cache->threads_len = 0;
    while (cache->jobs) {
        struct remote_job *next = cache->jobs->next;
        job_free(cache->jobs);
        cache->jobs = next;
    }
}
