#include <stdlib.h>
#include <string.h>

#include "base/event.h"
#include "base/http_internal.h"
#include "base/memory.h"

enum {
    MAX_REDIRECTS = 10,
    REAL_PROGRESS = 1024 * 1024,  /* a transfer that got so far was not in vain */
    UNKNOWN_BUDGET_MS = 8 * 1000, /* where the name is not found: most often a wrong one */
    TOLD_FROM_MS = 3000,          /* shorter waits are nobody's business */
    SHORT_RETRIES = 3,            /* where an answer that claims to be whole is not */
    ELSEWHERE_RETRIES = 3,        /* where another host refuses what it was redirected */
};

/* A request on its way: where it stands after redirects and retries. */
struct journey {
    struct http_client *client;
    const struct http_request *request;
    const char *method;
    char *url;
    bool plain;
    unsigned redirects;
    unsigned shorts;    /* answers that ended too early and did not say so */
    unsigned elsewhere; /* refusals by hosts that we were redirected to */
    unsigned attempts;  /* in all, for messages */
    bool whole;         /* Range was tried in vain */
    bool verbatim;      /* Content-Encoding names a coding that the body is not in */
    bool http1;         /* HTTP/2 was tried in vain: what stands between may not bear it */
    bool listened;      /* for what a server that hangs up after the handshake has to say */
    uint64_t sink_len;
    uint64_t furthest; /* sink_len when something was last achieved */
    char *etag;        /* strong ETag of what the sink holds */
    struct http_trouble own_trouble;
    struct http_trouble *trouble;
    struct http_outcome outcome;
};

static void journey_release(struct journey *j)
{
    free(j->url);
    free(j->etag);
}

static bool is_reading(const char *method)
{
    return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

/* A server that took everything and did not answer may need longer. */
static unsigned timeout_of(const struct journey *j)
{
    unsigned timeout = j->request->timeout_ms ? j->request->timeout_ms : j->client->timeout_ms;
    uint64_t spent = j->trouble->spent_ms;
    uint64_t left = j->client->budget_ms > spent ? j->client->budget_ms - spent : 0;
    unsigned longer = timeout << (j->trouble->unanswered < 3 ? j->trouble->unanswered : 3);
    longer = longer < left ? longer : (unsigned)left;
    return longer > timeout ? longer : timeout;
}

static int retries_of(const struct http_client *client, const struct http_request *request)
{
    return request && request->retries ? request->retries : client->retries;
}

/* "https://host:port" of URL, as far as it is written; the caller's. */
static char *host_key(const char *url)
{
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    return mem_strndup(url, (size_t)(host - url) + strcspn(host, "/?#"));
}

static void remember_host(struct journey *j)
{
    AUTO(mem_freep) char *key = host_key(j->url);
    pthread_mutex_lock(&j->client->lock);
    if (!strlist_has(&j->client->reached, key) && j->client->reached.len < 1000) {
        strlist_add(&j->client->reached, key);
    }
    pthread_mutex_unlock(&j->client->lock);
}

/* How much time may be spent in vain on J. */
static unsigned budget_of(struct journey *j)
{
    unsigned budget = j->client->budget_ms;
    bool unknown = j->outcome.curl == CURLE_COULDNT_RESOLVE_HOST ||
                   j->outcome.curl == CURLE_COULDNT_RESOLVE_PROXY;
    if (!unknown || j->client->retries > 0) {
        return budget;
    }
    AUTO(mem_freep) char *key = host_key(j->url);
    pthread_mutex_lock(&j->client->lock);
    bool reached = strlist_has(&j->client->reached, key);
    pthread_mutex_unlock(&j->client->lock);
    return reached || budget < UNKNOWN_BUDGET_MS ? budget : UNKNOWN_BUDGET_MS;
}

/* Keeps the accounts of an exchange that brought nothing. */
static void count_trouble(struct journey *j)
{
    struct http_trouble *trouble = j->trouble;
    trouble->no_expect = trouble->no_expect || j->outcome.refused_expect;
    trouble->reached = trouble->reached || j->outcome.connected;
    /* What flows for an hour and then breaks was not in vain for an hour. */
    trouble->spent_ms +=
        j->outcome.moved >= REAL_PROGRESS ? j->outcome.idle_ms : j->outcome.elapsed_ms;
    if (j->outcome.unanswered && !is_reading(j->method)) {
        trouble->unanswered++;
    }
    /* Further than ever before, not again as far: a server that always breaks off must not keep us.
     */
    if (j->sink_len >= j->furthest + REAL_PROGRESS) {
        j->furthest = j->sink_len;
        http_trouble_over(trouble);
    }
}

static int exchange(struct journey *j, struct http_response *response, struct error *err)
{
    bool resume = !j->whole && j->sink_len > 0 && (j->etag || j->request->immutable);
    struct http_exchange x = {
        .request = j->request,
        .method = j->method,
        .url = j->url,
        .plain = j->plain,
        .http1 = j->http1,
        .no_expect = j->trouble->no_expect,
        .verbatim = j->verbatim || j->request->verbatim,
        .send_authorization = j->redirects == 0 || http_same_origin(j->request->url, j->url),
        .share = http_client_share(j->client),
        .trust = trust_find(&j->client->trust, j->url),
        .user_agent = j->client->user_agent,
        .timeout_ms = timeout_of(j),
        .resume_from = resume ? j->sink_len : 0,
        .resume_etag = j->etag,
        .sink_len = &j->sink_len,
        .stop = j->client->stop,
    };
    struct http_session *session = http_session_take(j->client, j->url);
    int rc = http_transfer(session, &x, response, &j->outcome, err);
    if (rc == 0 && j->outcome.hung_up_on_tls && !j->listened) {
        j->listened = true;
        http_hear_alert(&x, j->outcome.text);
    }
    if (j->outcome.connected) {
        remember_host(j);
    }
    if (rc == 0 && j->outcome.curl == CURLE_OK && !j->outcome.timed_out) {
        http_session_give(j->client, session);
    } else {
        http_session_free(session);
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
    /* RFC 9110, 15.4: 301 and 302 may make a GET of a POST, as browsers do; what a registry or an
     * API would do with that GET is nothing that was wanted. */
    if (!is_reading(j->method) && response->status == 303) {
        j->method = "GET";
        j->plain = true;
    }
    free(j->url);
    j->url = MEM_STEAL(next);
    return 0;
}

/* Makes the sink ready for another attempt. */
static int prepare_sink(struct journey *j, struct error *err)
{
    if (j->sink_len == 0 || (!j->whole && (j->etag || j->request->immutable))) {
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

/* Waits before another attempt, if RETRIES and BUDGET_MS allow one. WHY (may be NULL) is told to
 * the user where it takes long. */
static int pause_for(struct http_client *client, struct http_trouble *trouble, int retries,
                     unsigned budget_ms, const struct http_response *response, const char *why,
                     bool *again_out, struct error *err)
{
    uint64_t delay = http_retry_delay(trouble->retries, client->retry_delay_ms, response);
    uint64_t left = budget_ms > trouble->spent_ms ? budget_ms - trouble->spent_ms : 0;
    const char *after = response ? http_header(response, "Retry-After") : NULL;
    bool asked = after && http_parse_retry_after(after) >= 0;
    bool used_up = retries < 0 || (retries > 0 && trouble->retries >= (unsigned)retries);
    /* The last attempt is made when the time is over, not when the next wait would be too long. */
    delay = !asked && delay > left ? left : delay;
    *again_out = false;
    if (used_up || left == 0 || delay > left) {
        return 0;
    }
    trouble->retries++;
    trouble->spent_ms += delay;
    if (why && delay >= TOLD_FROM_MS) {
        event_note(client->events, "%s; again in %llu s", why,
                   (unsigned long long)(delay + 500) / 1000);
    }
    if (http_sleep((unsigned)delay, trouble->stop, client->stop, err) != 0) {
        return -1;
    }
    *again_out = true;
    return 0;
}

/* "GET https://host/x: HTTP 503"; the caller's. */
static char *describe_failure(const struct journey *j, const struct http_response *response)
{
    struct error failure = {0};
    if (!response) {
        http_no_answer(j->request, j->method, j->url, &j->outcome, timeout_of(j), &failure);
        return mem_strdup(failure.text);
    }
    AUTO(mem_freep) char *shown = http_redact_url(j->url);
    return mem_printf("%s %s: HTTP %d", j->method, shown, response->status);
}

/* Waits, and goes back to the first URL. *AGAIN_OUT is false where the retries are used up. */
static int back_off(struct journey *j, const struct http_response *response, bool *again_out,
                    struct error *err)
{
    AUTO(mem_freep) char *why = describe_failure(j, response);
    if (pause_for(j->client, j->trouble, retries_of(j->client, j->request), budget_of(j), response,
                  why, again_out, err) != 0) {
        return -1;
    }
    if (!*again_out) {
        return 0;
    }
    j->redirects = 0;
    j->plain = false;
    j->method = j->request->method ? j->request->method : "GET";
    free(j->url);
    j->url = mem_strdup(j->request->url);
    return prepare_sink(j, err);
}

int http_back_off(struct http_client *client, struct http_trouble *trouble,
                  const struct http_response *response, bool *again_out, struct error *err)
{
    return pause_for(client, trouble, client->retries, client->budget_ms, response, NULL, again_out,
                     err);
}

int http_retries_at_most(const struct http_client *client, int most)
{
    bool fewer = client->retries != 0 && client->retries <= most;
    return fewer ? client->retries : most;
}

unsigned http_timeout_at_most(const struct http_client *client, unsigned most_ms)
{
    return client->timeout_ms < most_ms ? client->timeout_ms : most_ms;
}

void http_trouble_over(struct http_trouble *trouble)
{
    *trouble = (struct http_trouble){
        .stop = trouble->stop, .no_expect = trouble->no_expect, .reached = trouble->reached};
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

/* Statuses with which servers answer a Range that they cannot serve. */
static bool refuses_range(const struct journey *j, int status)
{
    static const int statuses[] = {400, 405, 412, 416, 501};
    bool refused = false;
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
        refused = refused || statuses[i] == status;
    }
    return refused && j->sink_len > 0;
}

/* A host that we were sent to does not know what it was to give, or not any more (signed addresses
 * run out): the one that sent us there may know better. */
static bool refused_elsewhere(struct journey *j, int status)
{
    bool refused =
        status == 400 || status == 401 || status == 403 || status == 404 || status == 410;
    if (!refused || j->redirects == 0 || !is_reading(j->method) ||
        http_same_origin(j->request->url, j->url)) {
        return false;
    }
    return j->elsewhere++ < ELSEWHERE_RETRIES;
}

/* Ends of connections that look like the end of the body, and all of the body without its end. */
static void find_true_end(struct journey *j, const struct http_response *response)
{
    const struct http_request *request = j->request;
    bool success = response->status >= 200 && response->status < 300;
    bool ended = j->outcome.curl == CURLE_OK && !j->outcome.timed_out;
    if (success && !ended && request->sink && request->sink_size > 0 &&
        j->sink_len == request->sink_size) {
        j->outcome.curl = CURLE_OK;
        j->outcome.timed_out = false;
    }
    if (success && ended && request->sink && j->sink_len < request->sink_size &&
        j->shorts++ < SHORT_RETRIES) {
        j->outcome.curl = CURLE_PARTIAL_FILE;
        snprintf(j->outcome.text, sizeof j->outcome.text, "ended after %llu of %llu bytes",
                 (unsigned long long)j->sink_len, (unsigned long long)request->sink_size);
    }
}

/* What the next attempt does otherwise. */
static void learn(struct journey *j, const struct http_response *response)
{
    CURLcode curl = j->outcome.curl;
    bool coded = !j->verbatim && !j->request->verbatim && http_is_coded(response);
    j->verbatim = j->verbatim || curl == CURLE_BAD_CONTENT_ENCODING;
    /* Of an encoded body no part can be asked for: Range counts the bytes before decoding. */
    j->whole = j->whole || j->outcome.bad_range || coded;
    j->http1 = j->http1 || curl == CURLE_HTTP2 || curl == CURLE_HTTP2_STREAM;
}

/* One step of the journey: *DONE_OUT when RESPONSE is the answer. */
static int step(struct journey *j, struct http_response *response, bool *done_out,
                struct error *err)
{
    bool again = false;
    j->attempts++;
    if (exchange(j, response, err) != 0) {
        return -1;
    }
    remember_etag(j, response);
    find_true_end(j, response);
    learn(j, response);
    if (j->outcome.curl != CURLE_OK || j->outcome.timed_out) {
        count_trouble(j);
        if (http_outcome_is_transient(&j->outcome) && back_off(j, NULL, &again, err) != 0) {
            return -1;
        }
        return again ? 0 : give_up(j, err);
    }
    if (is_redirect(response->status) && !j->request->keep_redirects) {
        j->attempts--;
        return follow(j, response, err);
    }
    if (response->status == 417 && j->outcome.refused_expect) {
        /* RFC 9110, 10.1.1: the same without Expect. curl does so too, but not where the answer
         * comes after the body was begun, or where the connection ends with it. */
        count_trouble(j);
        return 0;
    }
    bool no_range = refuses_range(j, response->status);
    if (http_status_is_transient(response->status) || no_range ||
        refused_elsewhere(j, response->status)) {
        count_trouble(j);
        j->whole = j->whole || no_range;
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
    j.own_trouble.stop = request->stop;
    j.trouble = request->trouble ? request->trouble : &j.own_trouble;
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
