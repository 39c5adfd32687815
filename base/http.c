#include "base/http.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/http_internal.h"
#include "base/memory.h"
#include "base/thread.h"

enum {
    DEFAULT_DELAY_MS = 500,
    DEFAULT_TIMEOUT_MS = 30 * 1000,
    DEFAULT_BUDGET_MS = 5 * 60 * 1000,
};

static void share_lock(CURL *easy, curl_lock_data data, curl_lock_access access, void *ctx)
{
    (void)easy;
    (void)access;
    pthread_mutex_lock(&((struct http_client *)ctx)->share_locks[data]);
}

static void share_unlock(CURL *easy, curl_lock_data data, void *ctx)
{
    (void)easy;
    pthread_mutex_unlock(&((struct http_client *)ctx)->share_locks[data]);
}

CURLSH *http_client_share(struct http_client *client)
{
    pthread_mutex_lock(&client->lock);
    CURLSH *share = client->share;
    if (!share) {
        share = curl_share_init();
        curl_share_setopt(share, CURLSHOPT_LOCKFUNC, share_lock);
        curl_share_setopt(share, CURLSHOPT_UNLOCKFUNC, share_unlock);
        curl_share_setopt(share, CURLSHOPT_USERDATA, client);
        curl_share_setopt(share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
        curl_share_setopt(share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
        client->share = share;
    }
    pthread_mutex_unlock(&client->lock);
    return share;
}

void http_session_free(struct http_session *session)
{
    if (session) {
        curl_easy_cleanup(session->easy);
        curl_multi_cleanup(session->multi);
        free(session->origin);
        free(session);
    }
}

static int read_certificates(struct http_client *client, const struct strlist *entries, bool show,
                             struct error *err)
{
    for (size_t i = 0; entries && i < entries->len; i++) {
        if (trust_add(&client->trust, entries->items[i], show, err) != 0) {
            return -1;
        }
    }
    return 0;
}

static void *load_library(void *arg)
{
    (void)arg;
    curl_library();
    return NULL;
}

static struct {
    pthread_t thread;
    bool running;
} loader;

void http_prepare(void)
{
    if (!loader.running) {
        loader.running = thread_try_start(&loader.thread, load_library, NULL);
    }
}

void http_prepare_end(void)
{
    if (loader.running) {
        pthread_join(loader.thread, NULL);
        loader.running = false;
    }
}

int http_client_open(const struct http_options *options, struct http_client **out,
                     struct error *err)
{
    static const struct http_options defaults = {0};
    options = options ? options : &defaults;
    AUTO(http_client_freep) struct http_client *client = mem_calloc(1, sizeof *client);
    client->user_agent = mem_strdup(options->user_agent ? options->user_agent : "slipway");
    client->retries = options->retries;
    client->retry_delay_ms = options->retry_delay_ms ? options->retry_delay_ms : DEFAULT_DELAY_MS;
    client->budget_ms = options->budget_ms ? options->budget_ms : DEFAULT_BUDGET_MS;
    client->timeout_ms =
        client->budget_ms / 2 < DEFAULT_TIMEOUT_MS ? client->budget_ms / 2 + 1 : DEFAULT_TIMEOUT_MS;
    client->timeout_ms = options->timeout_ms ? options->timeout_ms : client->timeout_ms;
    client->events = options->events;
    client->stop = options->stop;
    pthread_mutex_init(&client->lock, NULL);
    for (size_t i = 0; i < CURL_LOCK_DATA_LAST; i++) {
        pthread_mutex_init(&client->share_locks[i], NULL);
    }
    if (read_certificates(client, options->certificates, false, err) != 0 ||
        read_certificates(client, options->client_certificates, true, err) != 0) {
        return -1;
    }
    *out = MEM_STEAL(client);
    return 0;
}

void http_client_freep(struct http_client **pointer)
{
    struct http_client *client = *pointer;
    *pointer = NULL;
    if (!client) {
        return;
    }
    for (size_t i = 0; i < client->idle_len; i++) {
        http_session_free(client->idle[i]);
    }
    if (client->share) {
        curl_share_cleanup(client->share);
    }
    trust_release(&client->trust);
    strlist_release(&client->reached);
    for (size_t i = 0; i < CURL_LOCK_DATA_LAST; i++) {
        pthread_mutex_destroy(&client->share_locks[i]);
    }
    pthread_mutex_destroy(&client->lock);
    free(client->user_agent);
    free(client);
}

void http_response_release(struct http_response *response)
{
    strlist_release(&response->headers);
    buf_release(&response->body);
    free(response->url);
    *response = (struct http_response){0};
}

/* An idle session, best one that has a connection to URL's host already; else a new one. */
struct http_session *http_session_take(struct http_client *client, const char *url)
{
    struct http_session *session = NULL;
    pthread_mutex_lock(&client->lock);
    for (size_t i = client->idle_len; i-- > 0 && !session;) {
        if (http_same_origin(client->idle[i]->origin, url)) {
            session = client->idle[i];
            memmove(&client->idle[i], &client->idle[i + 1],
                    (client->idle_len - i - 1) * sizeof client->idle[0]);
            client->idle_len--;
        }
    }
    if (!session && client->idle_len == IDLE_SESSIONS) {
        session = client->idle[0];
        memmove(&client->idle[0], &client->idle[1], (IDLE_SESSIONS - 1) * sizeof client->idle[0]);
        client->idle_len--;
    }
    pthread_mutex_unlock(&client->lock);
    if (!session) {
        session = mem_calloc(1, sizeof *session);
        session->multi = curl_multi_init();
        session->easy = curl_easy_init();
        assert(session->multi && session->easy);
    }
    free(session->origin);
    session->origin = mem_strdup(url);
    return session;
}

void http_session_give(struct http_client *client, struct http_session *session)
{
    pthread_mutex_lock(&client->lock);
    if (client->idle_len < IDLE_SESSIONS) {
        client->idle[client->idle_len++] = session;
        session = NULL;
    }
    pthread_mutex_unlock(&client->lock);
    http_session_free(session);
}
