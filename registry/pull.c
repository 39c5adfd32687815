#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/limits.h"
#include "base/memory.h"
#include "base/thread.h"
#include "registry/registry_internal.h"

enum {
    CORRUPT_TRIES = 3,     /* something on the way may have been at fault */
    MISSED_TRIES = 3,      /* of what a manifest names and is not there, or not yet */
    IMPATIENT_RETRIES = 3, /* where another place has the blob, too */
};

/* A download into the store. */
struct blob_sink {
    struct http_sink base;
    struct blob_writer *writer;
    const struct descriptor *blob;
    const char *place; /* for messages */
    bool too_long;
};

static int sink_write(struct http_sink *sink, const void *data, size_t len, struct error *err)
{
    struct blob_sink *s = (struct blob_sink *)sink;
    if (len > s->blob->size - blob_writer_size(s->writer)) {
        char digest[DIGEST_TEXT_SIZE];
        s->too_long = true;
        return error_set(
            err, ERR_REMOTE,
            "%s: blob %s is corrupt: more than the %llu bytes that its descriptor says", s->place,
            digest_format(&s->blob->digest, digest), (unsigned long long)s->blob->size);
    }
    return writer_write(blob_writer_stream(s->writer), data, len, err);
}

static int sink_restart(struct http_sink *sink, struct error *err)
{
    return blob_writer_restart(((struct blob_sink *)sink)->writer, err);
}

/* For the progress callback. */
struct blob_progress {
    struct registry *registry;
    const struct descriptor *blob;
};

static void on_progress(void *ctx, uint64_t current, uint64_t total)
{
    (void)total;
    struct blob_progress *p = ctx;
    registry_tell(p->registry, p->blob, TRANSFER_DOWN, STATUS_RUNNING, current);
}

/* One download into a file of its own. *CORRUPT_OUT: other bytes came than those wanted. */
static int download_once(struct registry *registry, const struct place *place,
                         const struct descriptor *blob, struct http_request *request,
                         bool *corrupt_out, struct error *err)
{
    AUTO(mem_freep) char *name = place_name(place);
    AUTO(strlist_release) struct strlist scopes = {0};
    AUTO(blob_writer_freep) struct blob_writer *writer = NULL;
    AUTO(http_response_release) struct http_response response = {0};
    struct blob_progress progress = {registry, blob};
    *corrupt_out = false;
    place_scope(place, "pull", &scopes);
    if (blob_writer_open(registry->store, &writer, err) != 0) {
        return -1;
    }
    blob_writer_expected(writer, &blob->digest);
    struct blob_sink sink = {
        .base = {sink_write, sink_restart}, .writer = writer, .blob = blob, .place = name};
    request->sink = &sink.base;
    request->progress_ctx = &progress;
    if (registry_call(registry, place->endpoint, &scopes, request, &response, err) != 0) {
        *corrupt_out = sink.too_long;
        return -1;
    }
    if (http_check(request, &response, err) != 0) {
        return -1;
    }
    if (blob_writer_commit(writer, &blob->digest, blob->size, NULL, NULL, err) != 0) {
        *corrupt_out = err->code == ERR_REMOTE;
        return error_wrap(err, "%s", name);
    }
    return 0;
}

/* LAST: nobody else is known to have it. */
static int download_from(struct registry *registry, const struct place *place,
                         const struct descriptor *blob, bool last, struct error *err)
{
    char digest[DIGEST_TEXT_SIZE];
    AUTO(mem_freep) char *url = place_url(place, "blobs", digest_format(&blob->digest, digest));
    struct http_trouble trouble = {0};
    if (blob->size > LIMIT_BLOB_BYTES) {
        return error_set(err, ERR_REMOTE, "%s: a blob of %llu bytes is too large", digest,
                         (unsigned long long)blob->size);
    }
    for (unsigned tries = 1;; tries++) {
        struct http_request request = {.url = url,
                                       .sink_size = blob->size,
                                       .immutable = true,
                                       .retries = last ? 0 : IMPATIENT_RETRIES,
                                       .trouble = &trouble,
                                       /* A blob may be what its Content-Encoding says, or that is
                                        * said of its own compression: its digest decides. */
                                       .verbatim = tries % 2 == 0,
                                       .progress = on_progress};
        bool corrupt = false;
        bool again = false;
        if (download_once(registry, place, blob, &request, &corrupt, err) == 0) {
            return 0;
        }
        struct error failure = *err;
        bool missed = last && failure.http_status == 404 && tries < MISSED_TRIES;
        if ((missed || (corrupt && tries < CORRUPT_TRIES)) &&
            http_back_off(registry->client, &trouble, NULL, &again, err) != 0) {
            return -1;
        }
        if (!again) {
            *err = failure;
            return -1;
        }
        error_clear(err);
    }
}

static void add_origin(struct strlist *origins, const char *origin)
{
    if (origin && !strlist_has(origins, origin)) {
        strlist_add(origins, origin);
    }
}

/* From the places where it is known to be, one after the other; the first one's error counts. */
static int download(struct registry *registry, const struct descriptor *blob,
                    const char *first_origin, struct error *err)
{
    AUTO(strlist_release) struct strlist origins = {0};
    AUTO(strlist_release) struct strlist known = {0};
    char digest[DIGEST_TEXT_SIZE];
    digest_format(&blob->digest, digest);
    if (store_origin_list(registry->store, &blob->digest, &known, err) != 0) {
        return -1;
    }
    add_origin(&origins, first_origin);
    for (size_t i = 0; i < known.len; i++) {
        add_origin(&origins, known.items[i]);
    }
    if (registry->offline) {
        return error_set(err, ERR_REMOTE, "offline: %s%s%s is not in the store", digest,
                         origins.len ? " of " : "", origins.len ? origins.items[0] : "");
    }
    struct error first = {0};
    for (size_t i = 0; i < origins.len; i++) {
        AUTO(place_release) struct place place = {0};
        struct error failure = {0};
        if (!registry_place_of_origin(registry, origins.items[i], PLACE_PULL, &place)) {
            continue;
        }
        bool last = i + 1 == origins.len;
        if (download_from(registry, &place, blob, last, &failure) == 0) {
            return 0;
        }
        if (first.code == ERR_NONE || failure.code == ERR_CANCELLED) {
            first = failure;
        }
        if (failure.code == ERR_STORE || failure.code == ERR_CANCELLED) {
            break;
        }
    }
    if (first.code == ERR_NONE) {
        return error_set(err, ERR_STORE,
                         "blob %s is not in the store and no registry is known to have it", digest);
    }
    *err = first;
    return -1;
}

static bool is_under_way(const struct registry *registry, const struct transfer *wanted)
{
    const struct transfer *t = registry->transfers;
    while (t && (t->endpoint != wanted->endpoint || !digest_equal(&t->digest, &wanted->digest))) {
        t = t->next;
    }
    return t != NULL;
}

int transfer_begin(struct registry *registry, struct transfer *mine, const atomic_bool *stop,
                   struct error *err)
{
    pthread_mutex_lock(&registry->lock);
    while (is_under_way(registry, mine) && !(stop && atomic_load(stop))) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec++;
        pthread_cond_timedwait(&registry->changed, &registry->lock, &until);
    }
    bool stopped = stop && atomic_load(stop);
    if (!stopped) {
        mine->next = registry->transfers;
        registry->transfers = mine;
    }
    pthread_mutex_unlock(&registry->lock);
    return stopped ? error_set(err, ERR_CANCELLED, "stopped") : 0;
}

void transfer_end(struct registry *registry, struct transfer *mine)
{
    pthread_mutex_lock(&registry->lock);
    struct transfer **at = &registry->transfers;
    while (*at != mine) {
        at = &(*at)->next;
    }
    *at = mine->next;
    pthread_cond_broadcast(&registry->changed);
    pthread_mutex_unlock(&registry->lock);
}

static void remember_failure(struct registry *registry, const struct digest *digest)
{
    pthread_mutex_lock(&registry->lock);
    registry->failed =
        mem_realloc(registry->failed, registry->failed_len + 1, sizeof *registry->failed);
    registry->failed[registry->failed_len++] = *digest;
    pthread_mutex_unlock(&registry->lock);
}

bool registry_blob_failed(struct registry *registry, const struct digest *digest)
{
    bool failed = false;
    pthread_mutex_lock(&registry->lock);
    for (size_t i = 0; i < registry->failed_len && !failed; i++) {
        failed = digest_equal(&registry->failed[i], digest);
    }
    pthread_mutex_unlock(&registry->lock);
    return failed;
}

int registry_fetch_blob(struct registry *registry, const struct descriptor *blob,
                        const char *first_origin, struct error *err)
{
    if (store_has_blob(registry->store, &blob->digest, NULL)) {
        return 0;
    }
    struct transfer mine = {.digest = blob->digest};
    int rc = 0;
    if (transfer_begin(registry, &mine, NULL, err) != 0) {
        return -1;
    }
    if (!store_has_blob(registry->store, &blob->digest, NULL)) {
        registry_tell(registry, blob, TRANSFER_DOWN, STATUS_RUNNING, 0);
        rc = download(registry, blob, first_origin, err);
        enum event_status status = rc == 0                      ? STATUS_DONE
                                   : err->code == ERR_CANCELLED ? STATUS_CANCELLED
                                                                : STATUS_FAILED;
        registry_tell(registry, blob, TRANSFER_DOWN, status, rc == 0 ? blob->size : 0);
        if (status == STATUS_FAILED) {
            remember_failure(registry, &blob->digest);
        }
    }
    transfer_end(registry, &mine);
    return rc;
}

int registry_get_layer(struct registry *registry, const struct image *image, size_t index,
                       struct error *err)
{
    return registry_fetch_blob(registry, &image->layers[index].blob, image->origin, err);
}

/* Several threads take one layer after the other. */
struct layers_job {
    struct registry *registry;
    const struct image *image;
    atomic_size_t next;
    size_t end;
    pthread_mutex_t lock;
    bool failed;
    struct error err;
};

static void *layers_thread(void *arg)
{
    struct layers_job *job = arg;
    for (;;) {
        size_t index = atomic_fetch_add(&job->next, 1);
        struct error err = {0};
        if (index >= job->end) {
            return NULL;
        }
        if (registry_get_layer(job->registry, job->image, index, &err) != 0) {
            pthread_mutex_lock(&job->lock);
            if (!job->failed) {
                job->failed = true;
                job->err = err;
            }
            pthread_mutex_unlock(&job->lock);
            atomic_store(&job->next, job->end);
        }
    }
}

/* All layers of [FIRST, END) that the store lacks. */
static int tell_missing(struct registry *registry, const struct image *image, size_t first,
                        size_t end, struct error *err)
{
    AUTO(buf_release) struct buf list = BUF_INIT(0);
    size_t count = 0;
    for (size_t i = first; i < end; i++) {
        char digest[DIGEST_TEXT_SIZE];
        const struct digest *layer = &image->layers[i].blob.digest;
        if (!store_has_blob(registry->store, layer, NULL)) {
            buf_printf(&list, "%s%s", count++ ? ", " : "", digest_format(layer, digest));
        }
    }
    return error_set(err, ERR_REMOTE, "offline: %zu layers%s%s are not in the store: %s", count,
                     image->origin ? " of " : "", image->origin ? image->origin : "",
                     buf_text(&list));
}

int registry_get_layers(struct registry *registry, const struct image *image, size_t first,
                        size_t count, struct error *err)
{
    struct layers_job job = {
        .registry = registry, .image = image, .next = first, .end = first + count};
    pthread_t threads[TRANSFERS_MAX];
    size_t missing = 0;
    for (size_t i = first; i < first + count; i++) {
        missing += !store_has_blob(registry->store, &image->layers[i].blob.digest, NULL);
    }
    if (registry->offline && missing > 1) {
        return tell_missing(registry, image, first, first + count, err);
    }
    size_t started = missing < TRANSFERS_MAX ? missing : TRANSFERS_MAX;
    pthread_mutex_init(&job.lock, NULL);
    for (size_t i = 0; i < started; i++) {
        thread_start(&threads[i], layers_thread, &job);
    }
    for (size_t i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_mutex_destroy(&job.lock);
    if (job.failed) {
        *err = job.err;
        return -1;
    }
    return 0;
}
