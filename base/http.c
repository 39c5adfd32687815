#include "base/http.h"

#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/http_internal.h"
#include "base/limits.h"
#include "base/memory.h"

enum {
    DEFAULT_RETRIES = 5,
    CONNECT_RETRIES = 3, /* where not even a connection came about: most often a wrong name */
    DEFAULT_DELAY_MS = 500,
    DEFAULT_TIMEOUT_MS = 60 * 1000,
    MAX_REDIRECTS = 10,
    IDLE_SESSIONS = 16,
    REAL_PROGRESS = 1024 * 1024, /* a download that got so far has earned new retries */
};

/* PEM text trusted for one host. */
struct host_ca {
    char *host;
    struct buf pem;
};

struct http_client {
    char *user_agent;
    int retries;
    unsigned retry_delay_ms;
    unsigned timeout_ms;
    const atomic_bool *stop; /* NULL: none */
    struct host_ca *cas;
    size_t cas_len;
    CURLSH *share;
    pthread_mutex_t share_locks[CURL_LOCK_DATA_LAST];
    pthread_mutex_t lock;
    struct http_session *idle[IDLE_SESSIONS];
    size_t idle_len;
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void start_curl(void)
{
    curl_global_init(CURL_GLOBAL_ALL);
}

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

static void session_free(struct http_session *session)
{
    if (session) {
        curl_easy_cleanup(session->easy);
        curl_multi_cleanup(session->multi);
        free(session->origin);
        free(session);
    }
}

/* The system's certificates, which a host's own are added to. */
static int read_system_ca(struct buf *out, struct error *err)
{
    const char *file = getenv("SSL_CERT_FILE");
    const curl_version_info_data *version = curl_version_info(CURLVERSION_NOW);
    if (!file || !*file) {
        file = version->cainfo;
    }
    bool found = false;
    return file ? file_read(AT_FDCWD, file, LIMIT_TEXT_FILE_BYTES, out, &found, err) : 0;
}

static int add_certificate(struct http_client *client, const char *entry, struct error *err)
{
    const char *equals = strchr(entry, '=');
    if (!equals || equals == entry || !equals[1]) {
        return error_set(err, ERR_USAGE, "'%s': expected HOST=FILE", entry);
    }
    struct host_ca *ca = NULL;
    client->cas = mem_realloc(client->cas, client->cas_len + 1, sizeof *client->cas);
    ca = &client->cas[client->cas_len++];
    *ca = (struct host_ca){.host = mem_strndup(entry, (size_t)(equals - entry)),
                           .pem = BUF_INIT(2 * LIMIT_TEXT_FILE_BYTES + 1)};
    if (read_system_ca(&ca->pem, err) != 0) {
        return -1;
    }
    buf_putc(&ca->pem, '\n');
    AUTO(buf_release) struct buf own = BUF_INIT(LIMIT_TEXT_FILE_BYTES);
    if (file_read(AT_FDCWD, equals + 1, LIMIT_TEXT_FILE_BYTES, &own, NULL, err) != 0) {
        err->code = ERR_USAGE;
        return error_wrap(err, "certificate for %s", ca->host);
    }
    if (!strstr(buf_text(&own), "-----BEGIN CERTIFICATE-----")) {
        return error_set(err, ERR_USAGE, "certificate for %s: '%s' has no PEM certificate",
                         ca->host, equals + 1);
    }
    buf_append(&ca->pem, own.data, own.len);
    return 0;
}

int http_client_open(const struct http_options *options, struct http_client **out,
                     struct error *err)
{
    static const struct http_options defaults = {0};
    options = options ? options : &defaults;
    pthread_once(&curl_once, start_curl);
    AUTO(http_client_freep) struct http_client *client = mem_calloc(1, sizeof *client);
    client->user_agent = mem_strdup(options->user_agent ? options->user_agent : "slipway");
    client->retries = options->retries == 0 ? DEFAULT_RETRIES : options->retries;
    client->retry_delay_ms = options->retry_delay_ms ? options->retry_delay_ms : DEFAULT_DELAY_MS;
    client->timeout_ms = options->timeout_ms ? options->timeout_ms : DEFAULT_TIMEOUT_MS;
    client->stop = options->stop;
    pthread_mutex_init(&client->lock, NULL);
    for (size_t i = 0; i < CURL_LOCK_DATA_LAST; i++) {
        pthread_mutex_init(&client->share_locks[i], NULL);
    }
    client->share = curl_share_init();
    curl_share_setopt(client->share, CURLSHOPT_LOCKFUNC, share_lock);
    curl_share_setopt(client->share, CURLSHOPT_UNLOCKFUNC, share_unlock);
    curl_share_setopt(client->share, CURLSHOPT_USERDATA, client);
    curl_share_setopt(client->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
    curl_share_setopt(client->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
    for (size_t i = 0; options->certificates && i < options->certificates->len; i++) {
        if (add_certificate(client, options->certificates->items[i], err) != 0) {
            return -1;
        }
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
        session_free(client->idle[i]);
    }
    curl_share_cleanup(client->share);
    for (size_t i = 0; i < client->cas_len; i++) {
        free(client->cas[i].host);
        buf_release(&client->cas[i].pem);
    }
    for (size_t i = 0; i < CURL_LOCK_DATA_LAST; i++) {
        pthread_mutex_destroy(&client->share_locks[i]);
    }
    pthread_mutex_destroy(&client->lock);
    free(client->cas);
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
static struct http_session *session_take(struct http_client *client, const char *url)
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

static void session_give(struct http_client *client, struct http_session *session)
{
    pthread_mutex_lock(&client->lock);
    if (client->idle_len < IDLE_SESSIONS) {
        client->idle[client->idle_len++] = session;
        session = NULL;
    }
    pthread_mutex_unlock(&client->lock);
    session_free(session);
}

static const struct host_ca *find_ca(const struct http_client *client, const char *url)
{
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    size_t len = strcspn(host, "/?#");
    const char *at = memrchr(host, '@', len);
    if (at) {
        len -= (size_t)(at + 1 - host);
        host = at + 1;
    }
    size_t name = len;
    while (name > 0 && host[name - 1] >= '0' && host[name - 1] <= '9') {
        name--;
    }
    name = name > 0 && host[name - 1] == ':' ? name - 1 : len;
    for (size_t i = 0; i < client->cas_len; i++) {
        const char *wanted = client->cas[i].host;
        size_t wanted_len = strlen(wanted);
        if ((wanted_len == len || wanted_len == name) &&
            strncasecmp(wanted, host, wanted_len) == 0) {
            return &client->cas[i];
        }
    }
    return NULL;
}

/* A request on its way: where it stands after redirects and retries. */
struct journey {
    struct http_client *client;
    const struct http_request *request;
    const char *method;
    char *url;
    bool plain;
    unsigned redirects;
    unsigned retries;  /* since something was achieved */
    unsigned attempts; /* in all, for messages */
    uint64_t sink_len;
    uint64_t furthest; /* sink_len when retries were last set back */
    char *etag;        /* strong ETag of what the sink holds */
    struct http_outcome outcome;
};

static void journey_release(struct journey *j)
{
    free(j->url);
    free(j->etag);
}

static unsigned timeout_of(const struct journey *j)
{
    return j->request->timeout_ms ? j->request->timeout_ms : j->client->timeout_ms;
}

static unsigned retries_of(const struct journey *j)
{
    int retries = j->request->retries ? j->request->retries : j->client->retries;
    return retries > 0 ? (unsigned)retries : 0;
}

static int exchange(struct journey *j, struct http_response *response, struct error *err)
{
    const struct host_ca *ca = find_ca(j->client, j->url);
    bool resume = j->sink_len > 0 && (j->etag || j->request->immutable);
    struct http_exchange x = {
        .request = j->request,
        .method = j->method,
        .url = j->url,
        .plain = j->plain,
        .send_authorization = j->redirects == 0 || http_same_origin(j->request->url, j->url),
        .share = j->client->share,
        .ca_blob = ca ? ca->pem.data : NULL,
        .ca_blob_len = ca ? ca->pem.len : 0,
        .user_agent = j->client->user_agent,
        .timeout_ms = timeout_of(j),
        .resume_from = resume ? j->sink_len : 0,
        .resume_etag = j->etag,
        .sink_len = &j->sink_len,
        .stop = j->client->stop,
    };
    struct http_session *session = session_take(j->client, j->url);
    int rc = http_transfer(session, &x, response, &j->outcome, err);
    if (rc == 0 && j->outcome.curl == CURLE_OK && !j->outcome.timed_out) {
        session_give(j->client, session);
    } else {
        session_free(session);
    }
    return rc;
}

static void remember_etag(struct journey *j, const struct http_response *response)
{
    if (response->status != 200 || j->sink_len == 0) {
        return;
    }
    const char *etag = http_header(response, "ETag");
    free(j->etag);
    j->etag = etag && etag[0] == '"' ? mem_strdup(etag) : NULL;
}

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* Makes the next URL (and method) from a redirect. */
static int follow(struct journey *j, const struct http_response *response, struct error *err)
{
    const char *location = http_header(response, "Location");
    AUTO(mem_freep) char *shown = http_redact_url(j->url);
    enum error_code code = j->request->code != ERR_NONE ? j->request->code : ERR_REMOTE;
    if (!location || !*location) {
        return error_set(err, code, "%s %s: HTTP %d without Location", j->method, shown,
                         response->status);
    }
    if (++j->redirects > MAX_REDIRECTS) {
        AUTO(mem_freep) char *first = http_redact_url(j->request->url);
        return error_set(err, code, "%s %s: more than %d redirects", j->method, first,
                         MAX_REDIRECTS);
    }
    AUTO(mem_freep) char *next = NULL;
    if (http_resolve_url(j->url, location, &next, err) != 0) {
        err->code = code;
        return error_wrap(err, "%s %s: redirect", j->method, shown);
    }
    if (strncasecmp(j->url, "https:", 6) == 0 && strncasecmp(next, "https:", 6) != 0) {
        AUTO(mem_freep) char *there = http_redact_url(next);
        return error_set(err, code, "%s %s: redirected from https to %s: refused", j->method, shown,
                         there);
    }
    bool reading = strcmp(j->method, "GET") == 0 || strcmp(j->method, "HEAD") == 0;
    if (!reading && response->status <= 303) {
        j->method = "GET";
        j->plain = true;
    }
    free(j->url);
    j->url = MEM_STEAL(next);
    return 0;
}

/* Makes the sink ready for another attempt. */
static int prepare_sink(struct journey *j, bool drop, struct error *err)
{
    if (j->sink_len == 0 || (!drop && (j->etag || j->request->immutable))) {
        return 0;
    }
    struct http_sink *sink = j->request->sink;
    if (!sink->restart) {
        return error_set(err, ERR_REMOTE,
                         "the download broke after %llu bytes and cannot be started over",
                         (unsigned long long)j->sink_len);
    }
    j->sink_len = 0;
    free(j->etag);
    j->etag = NULL;
    return sink->restart(sink, err);
}

/* Waits, and goes back to the first URL. *AGAIN_OUT is false where the retries are used up. */
static int back_off(struct journey *j, const struct http_response *response, bool *again_out,
                    struct error *err)
{
    unsigned limit = retries_of(j);
    if (!response && !j->outcome.connected && limit > CONNECT_RETRIES) {
        limit = CONNECT_RETRIES;
    }
    bool too_long = false;
    *again_out = false;
    /* Further than ever before, not again as far: a server that always breaks off must not keep us.
     */
    if (j->sink_len >= j->furthest + REAL_PROGRESS) {
        j->furthest = j->sink_len;
        j->retries = 0;
    }
    unsigned delay = http_retry_delay(j->retries, j->client->retry_delay_ms, response, &too_long);
    if (j->retries >= limit || too_long) {
        return 0;
    }
    j->retries++;
    j->redirects = 0;
    j->plain = false;
    j->method = j->request->method ? j->request->method : "GET";
    free(j->url);
    j->url = mem_strdup(j->request->url);
    if (prepare_sink(j, response && response->status == 416, err) != 0 ||
        http_sleep(delay, err) != 0) {
        return -1;
    }
    *again_out = true;
    return 0;
}

int http_back_off(struct http_client *client, unsigned retry, const struct http_response *response,
                  bool *again_out, struct error *err)
{
    bool too_long = false;
    unsigned delay = http_retry_delay(retry, client->retry_delay_ms, response, &too_long);
    *again_out = false;
    if (too_long || client->retries <= 0 || retry >= (unsigned)client->retries) {
        return 0;
    }
    if (http_sleep(delay, err) != 0) {
        return -1;
    }
    *again_out = true;
    return 0;
}

bool http_is_transient(int status)
{
    return status == 0 || http_status_is_transient(status);
}

static int give_up(struct journey *j, struct error *err)
{
    http_no_answer(j->request, j->method, j->url, &j->outcome, timeout_of(j), err);
    if (j->attempts > 1) {
        size_t len = strlen(err->text);
        snprintf(err->text + len, sizeof err->text - len, " (%u attempts)", j->attempts);
    }
    return -1;
}

/* One step of the journey: *DONE_OUT when RESPONSE is the answer. */
static int step(struct journey *j, struct http_response *response, bool *done_out,
                struct error *err)
{
    j->attempts++;
    if (exchange(j, response, err) != 0) {
        return -1;
    }
    remember_etag(j, response);
    bool again = false;
    if (j->outcome.curl != CURLE_OK || j->outcome.timed_out) {
        if (http_outcome_is_transient(&j->outcome) && back_off(j, NULL, &again, err) != 0) {
            return -1;
        }
        return again ? 0 : give_up(j, err);
    }
    if (is_redirect(response->status) && !j->request->keep_redirects) {
        j->attempts--;
        return follow(j, response, err);
    }
    bool stale_range = response->status == 416 && j->sink_len > 0;
    if (http_status_is_transient(response->status) || stale_range) {
        if (back_off(j, response, &again, err) != 0) {
            return -1;
        }
    }
    *done_out = !again;
    return 0;
}

int http_perform(struct http_client *client, const struct http_request *request,
                 struct http_response *response, struct error *err)
{
    AUTO(journey_release)
    struct journey j = {
        .client = client,
        .request = request,
        .method = request->method ? request->method : "GET",
        .url = mem_strdup(request->url),
    };
    AUTO(http_response_release) struct http_response answer = {0};
    bool done = false;
    while (!done) {
        if (step(&j, &answer, &done, err) != 0) {
            return -1;
        }
    }
    answer.url = MEM_STEAL(j.url);
    *response = answer;
    answer = (struct http_response){0};
    return 0;
}
