/*
 * Sending a blob while it is still being written: one PATCH of unknown length, as docker sends
 * all its layers. Who brings the blob over (upload.c) then only has to complete the session.
 *
 * There is no second attempt: where anything goes wrong the session is dropped, and the blob goes
 * up as if nothing had been tried.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "base/cancel.h"
#include "base/file.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/thread.h"
#include "registry/registry_internal.h"

#define AHEAD_FROM (4 * MIB) /* smaller ones are sent sooner than that is worth its requests */

struct push_ahead {
    struct http_growth growth; /* first: what http asks */
    struct push_aheads *all;
    struct push_ahead *next;
    pthread_t thread;
    bool started;         /* the thread is to be joined */
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    int fd;
    struct digest like; /* where has_like */
    bool has_like;
    bool ended;
    bool unwanted;
    struct digest digest; /* where ended and not unwanted */
    /* The thread's, until it was joined: */
    uint64_t sent; /* at least so much was */
    char *session; /* has the whole blob; NULL: it came to nothing */
};

void push_aheads_init(struct push_aheads *aheads, struct registry *registry,
                      const struct place *place, const atomic_bool *stop,
                      _Atomic uint64_t *bytes_sent)
{
    *aheads = (struct push_aheads){
        .registry = registry, .place = place, .stop = stop, .bytes_sent = bytes_sent};
    pthread_mutex_init(&aheads->lock, NULL);
}

/* The lock is held; it is given up for a moment. */
static void wait_a_moment(struct push_ahead *a)
{
    enum { MOMENT_NS = 50 * 1000 * 1000, SECOND_NS = 1000 * 1000 * 1000 };
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += MOMENT_NS;
    until.tv_sec += until.tv_nsec / SECOND_NS;
    until.tv_nsec %= SECOND_NS;
    pthread_cond_timedwait(&a->changed, &a->lock, &until);
}

/* The lock is held. */
static bool is_over(const struct push_ahead *a)
{
    return a->unwanted || atomic_load(a->all->stop) || cancel_requested();
}

static uint64_t file_size(int fd)
{
    struct stat st;
    return fd >= 0 && fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static uint64_t wait_growth(struct http_growth *growth, uint64_t have, bool *ended_out)
{
    struct push_ahead *a = (struct push_ahead *)growth;
    a->sent = have;
    pthread_mutex_lock(&a->lock);
    while (!is_over(a) && !a->ended && file_size(a->fd) <= have) {
        wait_a_moment(a);
    }
    *ended_out = a->ended;
    uint64_t size = is_over(a) ? 0 : file_size(a->fd);
    pthread_mutex_unlock(&a->lock);
    return size;
}

/* Whether the repository is not there yet, or holds nothing: then neither does it hold this. On ECR
 * who may push need not have the right to list. */
static bool is_new_repository(struct upload_session *s)
{
    if (upload_is_ecr(s)) {
        return false;
    }
    AUTO(mem_freep) char *url = place_url(s->u->place, "tags", "list?n=1");
    AUTO(http_response_release) struct http_response response = {0};
    AUTO(json_freep) json_t *list = NULL;
    struct error ignored = {0};
    struct http_request request = {.url = url, .retries = HTTP_NO_RETRIES};
    if (upload_call(s, &request, &response, &ignored) != 0) {
        return false;
    }
    if (response.status != 200) {
        return response.status == 404;
    }
    if (json_parse(buf_text(&response.body), response.body.len, LIMIT_JSON_BYTES, "the tags",
                   ERR_REMOTE, &list, &ignored) != 0) {
        return false;
    }
    const json_t *tags = json_object_get(list, "tags");
    return json_is_null(tags) || (json_is_array(tags) && json_array_size(tags) == 0);
}

/* Whether this store made LIKE and the repository has it. */
static bool has_other_version(const struct push_ahead *a)
{
    AUTO(strlist_release) struct strlist origins = {0};
    AUTO(mem_freep) char *name = place_name(a->all->place);
    struct error ignored = {0};
    return store_origin_list(a->all->registry->store, &a->like, &origins, &ignored) == 0 &&
           strlist_has(&origins, name);
}

/* Waits until it is known that sending is worth it; false where it is not. */
static bool await_reason(struct push_ahead *a, struct upload_session *s)
{
    bool worth = is_new_repository(s);
    pthread_mutex_lock(&a->lock);
    while (!worth && !a->has_like && !a->ended && !is_over(a)) {
        wait_a_moment(a);
    }
    bool alike = a->has_like && !is_over(a);
    pthread_mutex_unlock(&a->lock);
    return worth || (alike && has_other_version(a));
}

/* Whether S's session has all of the blob now. */
static bool send_all(struct push_ahead *a, struct upload_session *s, struct error *err)
{
    AUTO(strlist_release) struct strlist headers = {0};
    AUTO(http_response_release) struct http_response response = {0};
    strlist_add(&headers, "Content-Type: application/octet-stream");
    struct http_request request = {.method = "PATCH",
                                   .url = s->location,
                                   .headers = &headers,
                                   .body_is_file = true,
                                   .body_fd = a->fd,
                                   .body_growth = &a->growth,
                                   .retries = HTTP_NO_RETRIES};
    uint64_t size = 0;
    if (upload_call(s, &request, &response, err) != 0 ||
        http_check(&request, &response, err) != 0 ||
        (http_header(&response, "Location") && upload_take_location(s, &response, err) != 0)) {
        return false;
    }
    /* With 201 for a PATCH ECR says what it says always. */
    return response.status == 201 || !upload_parse_range(http_header(&response, "Range"), &size) ||
           size == file_size(a->fd);
}

static void *send_thread(void *arg)
{
    struct push_ahead *a = arg;
    struct error ignored = {0};
    const struct upload upload = {
        .registry = a->all->registry, .place = a->all->place, .stop = a->all->stop, .quiet = true};
    struct upload_session s = {.u = &upload, .once = true, .trouble = {.stop = a->all->stop}};
    place_scope(upload.place, "pull,push", &s.scopes);
    if (registry_make_repository(upload.registry, upload.place, &ignored) == 0 &&
        await_reason(a, &s) && upload_open(&s, &ignored) == 0) {
        if (send_all(a, &s, &ignored)) {
            a->session = MEM_STEAL(s.location);
        } else {
            upload_drop(&s);
            atomic_fetch_add(a->all->bytes_sent, a->sent);
        }
    }
    upload_session_release(&s);
    return NULL;
}

struct push_ahead *push_aheads_add(struct push_aheads *aheads)
{
    struct push_ahead *a = mem_calloc(1, sizeof *a);
    *a = (struct push_ahead){.growth = {.wait = wait_growth}, .all = aheads, .fd = -1};
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->changed, NULL);
    pthread_mutex_lock(&aheads->lock);
    a->next = aheads->first;
    aheads->first = a;
    pthread_mutex_unlock(&aheads->lock);
    return a;
}

void push_ahead_grown(struct push_ahead *a, int fd, const struct digest *like)
{
    pthread_mutex_lock(&a->lock);
    if (!a->started && file_size(fd) >= AHEAD_FROM) {
        a->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        a->started = a->fd >= 0 && thread_try_start(&a->thread, send_thread, a);
    }
    if (like && !a->has_like) {
        a->like = *like;
        a->has_like = true;
    }
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
}

void push_ahead_end(struct push_ahead *a, const struct digest *digest)
{
    pthread_mutex_lock(&a->lock);
    a->ended = digest != NULL;
    a->unwanted = digest == NULL;
    if (digest) {
        a->digest = *digest;
    }
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
}

static void ahead_join(struct push_ahead *a)
{
    if (a->started) {
        pthread_join(a->thread, NULL);
        a->started = false;
    }
}

static void ahead_free(struct push_ahead *a)
{
    ahead_join(a);
    fd_closep(&a->fd);
    pthread_cond_destroy(&a->changed);
    pthread_mutex_destroy(&a->lock);
    free(a->session);
    free(a);
}

/* Takes the one of DIGEST off the list; NULL: there is none. */
static struct push_ahead *unlink_ahead(struct push_aheads *aheads, const struct digest *digest)
{
    pthread_mutex_lock(&aheads->lock);
    struct push_ahead **at = &aheads->first;
    for (; *at; at = &(*at)->next) {
        pthread_mutex_lock(&(*at)->lock);
        bool mine = (*at)->ended && digest_equal(&(*at)->digest, digest);
        pthread_mutex_unlock(&(*at)->lock);
        if (mine) {
            break;
        }
    }
    struct push_ahead *found = *at;
    if (found) {
        *at = found->next;
    }
    pthread_mutex_unlock(&aheads->lock);
    return found;
}

char *push_aheads_take(struct push_aheads *aheads, const struct digest *digest)
{
    struct push_ahead *a = unlink_ahead(aheads, digest);
    if (!a) {
        return NULL;
    }
    ahead_join(a);
    char *session = MEM_STEAL(a->session);
    ahead_free(a);
    return session;
}

void push_aheads_release(struct push_aheads *aheads)
{
    while (aheads->first) {
        struct push_ahead *next = aheads->first->next;
        push_ahead_end(aheads->first, NULL);
        ahead_free(aheads->first);
        aheads->first = next;
    }
    pthread_mutex_destroy(&aheads->lock);
}
