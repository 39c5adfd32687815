#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/thread.h"
#include "registry/registry_internal.h"

enum {
    MISSED_RETRIES = 5, /* of a manifest whose blobs are not seen */
    VANISHED_MAX = 3,   /* manifests that were taken with thanks and are not there */
};

enum job_state {
    JOB_PRESUMED, /* brought to this repository before: looked at only if the tag does not hold the
                     manifest already */
    JOB_WAITING,
    JOB_RUNNING,
    JOB_DONE,
};

struct job {
    struct descriptor blob;
    enum job_state state;
    struct job *next;
};

struct push {
    struct registry *registry;
    struct place place;
    char *name; /* "HOST/REPOSITORY" */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct job *jobs;
    struct job **last;
    size_t waiting; /* jobs not begun */
    size_t running;
    pthread_t threads[TRANSFERS_MAX];
    size_t threads_len;
    bool ended;       /* threads are to end */
    atomic_bool wary; /* what HEAD says of blobs turned out to be wrong */
    bool failed;
    struct error err; /* the first failure */
    atomic_bool stop;
    _Atomic uint64_t bytes_sent;
    struct push_aheads aheads;
};

int push_open(struct registry *registry, const struct reference *to, struct push **out,
              struct error *err)
{
    if (registry->offline) {
        AUTO(mem_freep) char *shown = reference_familiar(to);
        return error_set(err, ERR_USAGE, "offline: %s cannot be pushed", shown);
    }
    struct push *push = mem_calloc(1, sizeof *push);
    push->registry = registry;
    push->last = &push->jobs;
    registry_place(registry, to->host, to->repository, PLACE_PUSH, &push->place);
    push->name = place_name(&push->place);
    pthread_mutex_init(&push->lock, NULL);
    pthread_cond_init(&push->changed, NULL);
    push_aheads_init(&push->aheads, registry, &push->place, &push->stop, &push->bytes_sent);
    *out = push;
    return 0;
}

static struct job *next_job(struct push *push)
{
    struct job *job = push->jobs;
    while (job && job->state != JOB_WAITING) {
        job = job->next;
    }
    return job;
}

static void run_job(struct push *push, struct job *job)
{
    struct error err = {0};
    struct upload upload = {
        .registry = push->registry,
        .place = &push->place,
        .blob = &job->blob,
        .stop = &push->stop,
        .bytes_sent = &push->bytes_sent,
        .unseen = atomic_load(&push->wary),
        .aheads = &push->aheads,
    };
    job->state = JOB_RUNNING;
    push->waiting--;
    push->running++;
    pthread_mutex_unlock(&push->lock);
    int rc = upload_blob(&upload, &err);
    pthread_mutex_lock(&push->lock);
    push->running--;
    job->state = JOB_DONE;
    if (rc != 0 && !push->failed) {
        /* The others need not go on: the image will not be complete. */
        push->failed = true;
        push->err = err;
        atomic_store(&push->stop, true);
    }
    pthread_cond_broadcast(&push->changed);
}

static void *push_thread(void *arg)
{
    struct push *push = arg;
    pthread_mutex_lock(&push->lock);
    while (!push->ended) {
        struct job *job = push->failed ? NULL : next_job(push);
        if (job) {
            run_job(push, job);
        } else {
            pthread_cond_wait(&push->changed, &push->lock);
        }
    }
    pthread_mutex_unlock(&push->lock);
    return NULL;
}

static void wake_threads(struct push *push)
{
    while (push->threads_len < TRANSFERS_MAX && push->threads_len < push->waiting + push->running) {
        thread_start(&push->threads[push->threads_len++], push_thread, push);
    }
    pthread_cond_broadcast(&push->changed);
}

/* Whether the store remembers that the blob was brought to this repository (or came from it). */
static bool is_presumed(const struct push *push, const struct digest *digest)
{
    AUTO(strlist_release) struct strlist origins = {0};
    struct error ignored = {0};
    return store_origin_list(push->registry->store, digest, &origins, &ignored) == 0 &&
           strlist_has(&origins, push->name);
}

struct push_ahead *push_ahead_begin(struct push *push)
{
    return push_aheads_add(&push->aheads);
}

void push_add_blob(struct push *push, const struct descriptor *blob)
{
    bool presumed = is_presumed(push, &blob->digest);
    pthread_mutex_lock(&push->lock);
    struct job *job = push->jobs;
    while (job && !digest_equal(&job->blob.digest, &blob->digest)) {
        job = job->next;
    }
    if (!job) {
        job = mem_calloc(1, sizeof *job);
        *job = (struct job){.blob = *blob, .state = presumed ? JOB_PRESUMED : JOB_WAITING};
        *push->last = job;
        push->last = &job->next;
        push->waiting += !presumed;
        wake_threads(push);
    }
    pthread_mutex_unlock(&push->lock);
}

/* Waits for everything that was begun. */
static int wait_blobs(struct push *push, struct error *err)
{
    pthread_mutex_lock(&push->lock);
    while ((push->waiting > 0 && !push->failed) || push->running > 0) {
        pthread_cond_wait(&push->changed, &push->lock);
    }
    bool failed = push->failed;
    if (failed) {
        *err = push->err;
    }
    pthread_mutex_unlock(&push->lock);
    return failed ? -1 : 0;
}

/* Now the presumed blobs (AGAIN: and those brought over before) are looked at like the others. */
static void release_presumed(struct push *push, bool again)
{
    pthread_mutex_lock(&push->lock);
    for (struct job *job = push->jobs; job; job = job->next) {
        if (job->state == JOB_PRESUMED || (again && job->state == JOB_DONE)) {
            job->state = JOB_WAITING;
            push->waiting++;
        }
    }
    wake_threads(push);
    pthread_mutex_unlock(&push->lock);
}

/* What the registry has under NAME (a tag or digest): *SAME_OUT where it is MANIFEST; OTHER gets
 * what else it is, *FOUND_OUT whether anything. */
static int look_up(struct push *push, const char *name, const struct descriptor *manifest,
                   bool *same_out, bool *found_out, struct descriptor *other, struct error *err)
{
    *same_out = false;
    if (registry_look_up(push->registry, &push->place, name, found_out, other, err) != 0) {
        return -1;
    }
    *same_out = *found_out && digest_equal(&other->digest, &manifest->digest);
    return 0;
}

bool says_immutable(const struct error *err)
{
    return err->http_status >= 400 && err->http_status < 500 &&
           (strcasestr(err->text, "immutable") || strstr(err->text, "ImageAlreadyExists"));
}

/* A manifest on its way to a name. */
struct putting {
    struct push *push;
    const char *name; /* tag or digest */
    const struct descriptor *manifest;
    struct buf bytes;
    struct http_trouble trouble; /* of all attempts */
    struct http_response last;   /* the answer to a failure */
    unsigned vanished;
};

static void putting_release(struct putting *p)
{
    buf_release(&p->bytes);
    http_response_release(&p->last);
}

/* The registry's own name for what was put must be ours; where it gives none, it is asked. */
static int confirm_manifest(struct putting *p, struct error *err)
{
    const char *said = http_header(&p->last, "Docker-Content-Digest");
    struct descriptor holds = {0};
    char digest[DIGEST_TEXT_SIZE];
    bool found = false;
    bool same = true;
    if (said && strcmp(said, digest_format(&p->manifest->digest, digest)) != 0) {
        error_set(err, ERR_REMOTE, "%s: the registry calls the manifest %.100s instead of %s",
                  p->push->name, said, digest);
        err->http_status = p->last.status;
        return -1;
    }
    if ((!said || p->last.status != 201) &&
        look_up(p->push, p->name, p->manifest, &same, &found, &holds, err) != 0) {
        return -1;
    }
    if (!same) {
        error_set(err, ERR_REMOTE, "%s: the manifest was answered with HTTP %d and is not there",
                  p->push->name, p->last.status);
        /* As good as unanswered, a few times: somebody in between may have spoken. */
        err->http_status = p->vanished++ < VANISHED_MAX ? 0 : p->last.status;
        return -1;
    }
    return 0;
}

static int put_once(struct putting *p, struct error *err)
{
    struct push *push = p->push;
    AUTO(mem_freep) char *url = place_url(&push->place, "manifests", p->name);
    AUTO(strlist_release) struct strlist headers = {0};
    AUTO(strlist_release) struct strlist scopes = {0};
    strlist_addf(&headers, "Content-Type: %s", p->manifest->media_type);
    place_scope(&push->place, "pull,push", &scopes);
    struct http_request request = {.method = "PUT",
                                   .url = url,
                                   .headers = &headers,
                                   .body = p->bytes.data,
                                   .body_len = p->bytes.len,
                                   .retries = HTTP_NO_RETRIES,
                                   .trouble = &p->trouble};
    http_response_release(&p->last);
    if (registry_make_repository(push->registry, &push->place, err) != 0) {
        return -1;
    }
    if (registry_call(push->registry, push->place.endpoint, &scopes, &request, &p->last, err) !=
            0 ||
        http_check(&request, &p->last, err) != 0) {
        return registry_explain_push(push->registry, &push->place, err);
    }
    return confirm_manifest(p, err);
}

/* Puts MANIFEST under NAME. A PUT whose answer was lost is looked for before it is repeated: an
 * immutable tag takes it only once. */
static int put_manifest(struct push *push, const char *name, const struct descriptor *manifest,
                        struct error *err)
{
    AUTO(putting_release)
    struct putting p = {.push = push,
                        .name = name,
                        .manifest = manifest,
                        .bytes = BUF_INIT(LIMIT_MANIFEST_BYTES),
                        .trouble = {.stop = &push->stop}};
    if (store_read_blob(push->registry->store, &manifest->digest, LIMIT_MANIFEST_BYTES, &p.bytes,
                        err) != 0) {
        return -1;
    }
    while (put_once(&p, err) != 0) {
        struct error failure = *err;
        struct error ignored = {0};
        struct descriptor holds = {0};
        bool same = false;
        bool found = false;
        bool again = false;
        if (failure.code != ERR_REMOTE || !http_is_transient(failure.http_status)) {
            return -1;
        }
        if (http_back_off(push->registry->client, &p.trouble, &p.last, &again, err) != 0) {
            return -1;
        }
        if (look_up(push, name, manifest, &same, &found, &holds, &ignored) == 0 && same) {
            break;
        }
        if (!again) {
            *err = failure;
            return -1;
        }
    }
    error_clear(err);
    return 0;
}

static int immutable(struct push *push, const char *tag, const struct descriptor *manifest,
                     const struct descriptor *holds, struct error *err)
{
    char mine[DIGEST_TEXT_SIZE];
    char theirs[DIGEST_TEXT_SIZE];
    struct error refusal = *err;
    error_set(err, ERR_IMMUTABLE,
              "%s:%s: the tag is immutable and holds %s, not %s: push under a new tag (%s)",
              push->name, tag, digest_format(&holds->digest, theirs),
              digest_format(&manifest->digest, mine), refusal.text);
    err->http_status = refusal.http_status;
    return -1;
}

/* One tag, unless it holds the manifest already. */
static int put_tag(struct push *push, const char *tag, const struct descriptor *manifest,
                   struct error *err)
{
    struct descriptor holds = {0};
    bool found = false;
    bool same = false;
    if (put_manifest(push, tag, manifest, err) == 0) {
        return 0;
    }
    if (!says_immutable(err)) {
        return -1;
    }
    /* Perhaps somebody else put the very same there a moment ago. */
    struct error ignored = {0};
    if (look_up(push, tag, manifest, &same, &found, &holds, &ignored) == 0 && same) {
        error_clear(err);
        return 0;
    }
    if (found) {
        return immutable(push, tag, manifest, &holds, err);
    }
    err->code = ERR_IMMUTABLE; /* and what it holds is not for us to see */
    return -1;
}

static int record_manifest(struct push *push, const struct descriptor *manifest, struct error *err)
{
    return store_origin_add(push->registry->store, &manifest->digest, push->name, err);
}

/* The registry says that a blob of the manifest is not there. */
static bool lacks_blob(const struct error *err)
{
    return (err->http_status == 400 || err->http_status == 404) &&
           strstr(err->text, "BLOB_UNKNOWN") != NULL;
}

/* As put_tag. A registry may have lost what it confirmed, or not see yet what several sent at once,
 * or the store remembers wrongly what it has: all blobs are looked at once more. */
static int put_tag_with_blobs(struct push *push, const char *tag, const struct descriptor *manifest,
                              struct error *err)
{
    struct http_trouble trouble = {.stop = &push->stop};
    while (put_tag(push, tag, manifest, err) != 0) {
        struct error failure = *err;
        bool again = false;
        if (lacks_blob(&failure) && trouble.retries < MISSED_RETRIES &&
            http_back_off(push->registry->client, &trouble, NULL, &again, err) != 0) {
            return -1;
        }
        if (!again) {
            *err = failure;
            return -1;
        }
        error_clear(err);
        /* What was looked at and found there once more is not there all the same. */
        atomic_store(&push->wary, trouble.retries > 1);
        release_presumed(push, true);
        if (wait_blobs(push, err) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Puts MANIFEST under the names that do not hold it yet, blobs first. */
static int put_names(struct push *push, const struct descriptor *manifest,
                     const struct strlist *names, struct error *err)
{
    AUTO(strlist_release) struct strlist missing = {0};
    for (size_t i = 0; i < names->len; i++) {
        struct descriptor holds = {0};
        bool same = false;
        bool found = false;
        if (look_up(push, names->items[i], manifest, &same, &found, &holds, err) != 0) {
            return -1;
        }
        if (!same) {
            strlist_add(&missing, names->items[i]);
        }
    }
    if (missing.len == names->len) {
        /* Nothing there proves that the registry still has the blobs. */
        release_presumed(push, false);
    }
    if (wait_blobs(push, err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < missing.len; i++) {
        if (put_tag_with_blobs(push, missing.items[i], manifest, err) != 0) {
            return -1;
        }
    }
    return record_manifest(push, manifest, err);
}

int push_finish(struct push *push, const struct descriptor *manifest, const char *const *tags,
                struct error *err)
{
    AUTO(strlist_release) struct strlist names = {0};
    char digest[DIGEST_TEXT_SIZE];
    for (size_t i = 0; tags && tags[i]; i++) {
        if (!strlist_has(&names, tags[i])) {
            strlist_add(&names, tags[i]);
        }
    }
    if (names.len == 0) {
        strlist_add(&names, digest_format(&manifest->digest, digest));
    }
    if (put_names(push, manifest, &names, err) != 0) {
        return error_wrap(err, "pushing %s", push->name);
    }
    return 0;
}

int push_manifest(struct push *push, const struct descriptor *manifest, struct error *err)
{
    return push_finish(push, manifest, NULL, err);
}

uint64_t push_bytes_sent(const struct push *push)
{
    return atomic_load(&push->bytes_sent);
}

void push_freep(struct push **pointer)
{
    struct push *push = *pointer;
    *pointer = NULL;
    if (!push) {
        return;
    }
    pthread_mutex_lock(&push->lock);
    push->ended = true;
    atomic_store(&push->stop, true);
    pthread_cond_broadcast(&push->changed);
    pthread_mutex_unlock(&push->lock);
    for (size_t i = 0; i < push->threads_len; i++) {
        pthread_join(push->threads[i], NULL);
    }
    push_aheads_release(&push->aheads);
    while (push->jobs) {
        struct job *next = push->jobs->next;
        free(push->jobs);
        push->jobs = next;
    }
    pthread_cond_destroy(&push->changed);
    pthread_mutex_destroy(&push->lock);
    place_release(&push->place);
    free(push->name);
    free(push);
}
