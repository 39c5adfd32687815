#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/http_internal.h"
#include "base/limits.h"
#include "base/memory.h"

enum {
    ERROR_BODY_MAX = 64 * 1024,       /* of an answer that is not 2xx, to find words in */
    ERROR_BODY_ABANDON = 1024 * 1024, /* from here on it is cheaper to hang up */
    EXPECT_FROM =
        1024 * 1024, /* larger bodies wait for 100-continue: they may be refused or redirected */
    WORK_BYTES_PER_MS = 4 * 1024, /* what a slow server hashes and moves before it answers */
    WORK_MAX_TIMES = 5,           /* the timeout, however much it is */
    MOVED_MIN = 1024,             /* bytes that are progress however short the timeout is */
    CONNECT_TIMEOUT_MS = 30 * 1000,
    PROGRESS_MS = 100,
};

/* State of one exchange, shared by curl's callbacks. */
struct transfer {
    const struct http_exchange *exchange;
    struct http_response *response;
    struct http_outcome *outcome;
    struct error *err;
    size_t header_bytes;
    size_t error_bytes;
    size_t max_body;
    bool answered;     /* the final status is there; 100 and its kin are none */
    bool abandoned;    /* the rest of an error's body does not matter */
    bool body_started; /* the sink was told where this body begins */
    uint64_t sent;     /* position in the request's body */
    uint64_t body_len; /* of one that grows: UINT64_MAX until its end is known */
    uint64_t grown;    /* what is there of it */
    int64_t started_at;
    int64_t moved_at; /* when something last moved */
    size_t moving;    /* bytes since then */
    curl_off_t last_down;
    curl_off_t last_up;
    int64_t progress_at;
};

static int64_t now_ms(void)
{
    struct timespec t = {0};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool is_success(const struct transfer *t)
{
    return t->response->status >= 200 && t->response->status < 300;
}

static enum error_code code_of(const struct transfer *t)
{
    enum error_code code = t->exchange->request->code;
    return code != ERR_NONE ? code : ERR_REMOTE;
}

/* It got further. */
static void note_move(struct transfer *t)
{
    t->moving = 0;
    t->moved_at = now_ms();
}

/* LEN bytes came or went. Fewer than a kilobyte a second are no progress: a byte now and then must
 * not keep us. */
static void touch(struct transfer *t, size_t len)
{
    size_t least = t->exchange->timeout_ms > MOVED_MIN ? t->exchange->timeout_ms : MOVED_MIN;
    t->moving += len;
    if (t->moving >= least) {
        note_move(t);
    }
}

/* Ends the exchange with an error that no retry mends. */
static int fail(struct transfer *t, const char *what, size_t limit)
{
    AUTO(mem_freep) char *url = http_redact_url(t->exchange->url);
    t->outcome->local_failure = true;
    return error_set(t->err, code_of(t), "%s %s: %s %zu bytes", t->exchange->method, url, what,
                     limit);
}

static void parse_status(struct transfer *t, const char *line, size_t len)
{
    const char *space = memchr(line, ' ', len);
    int status = 0;
    for (const char *p = space ? space + 1 : line;
         space && p < line + len && isdigit((unsigned char)*p); p++) {
        status = status < 1000 ? status * 10 + (*p - '0') : status;
    }
    t->response->status = status;
    t->answered = status >= 200;
    note_move(t);
    strlist_release(&t->response->headers);
    t->response->headers = (struct strlist){0};
}

static size_t on_header(char *data, size_t size, size_t count, void *ctx)
{
    struct transfer *t = ctx;
    size_t len = size * count;
    touch(t, len);
    t->header_bytes += len;
    if (t->header_bytes > LIMIT_HTTP_HEADER_BYTES) {
        fail(t, "the answer's headers are longer than", LIMIT_HTTP_HEADER_BYTES);
        return 0;
    }
    size_t end = len;
    while (end > 0 && (data[end - 1] == '\r' || data[end - 1] == '\n')) {
        end--;
    }
    if (end > 5 && strncmp(data, "HTTP/", 5) == 0) {
        parse_status(t, data, end);
    } else if (end > 0 && memchr(data, ':', end)) {
        strlist_take(&t->response->headers, mem_strndup(data, end));
    }
    return len;
}

/* Where a 206 answer's bytes begin. */
static bool range_start(const struct http_response *response, uint64_t *start_out)
{
    const char *range = http_header(response, "Content-Range");
    if (!range || strncasecmp(range, "bytes ", 6) != 0 || !isdigit((unsigned char)range[6])) {
        return false;
    }
    *start_out = strtoull(range + 6, NULL, 10);
    return true;
}

/* The first bytes of a 2xx body: do they go on where the sink stands, or begin anew? */
static int begin_body(struct transfer *t)
{
    t->body_started = true;
    uint64_t *have = t->exchange->sink_len;
    if (*have == 0 && t->response->status != 206) {
        return 0;
    }
    uint64_t start = 0;
    /* A part of an encoded body is no part of the decoded one. */
    bool coded = !t->exchange->verbatim && http_is_coded(t->response);
    if (t->response->status == 206 && !coded && range_start(t->response, &start) &&
        start == *have) {
        return 0;
    }
    if (t->response->status == 206) {
        t->outcome->bad_range = true;
        return -1;
    }
    struct http_sink *sink = t->exchange->request->sink;
    *have = 0;
    if (!sink->restart || sink->restart(sink, t->err) != 0) {
        t->outcome->local_failure = true;
        return sink->restart ? -1
                             : error_set(t->err, code_of(t),
                                         "the download broke and the server does not resume it");
    }
    return 0;
}

static size_t to_sink(struct transfer *t, const char *data, size_t len)
{
    struct http_sink *sink = t->exchange->request->sink;
    if (!t->body_started && begin_body(t) != 0) {
        return 0;
    }
    if (sink->write(sink, data, len, t->err) != 0) {
        t->outcome->local_failure = true;
        return 0;
    }
    *t->exchange->sink_len += len;
    return len;
}

static size_t on_body(char *data, size_t size, size_t count, void *ctx)
{
    struct transfer *t = ctx;
    size_t len = size * count;
    if (!is_success(t)) {
        size_t room =
            t->response->body.len < ERROR_BODY_MAX ? ERROR_BODY_MAX - t->response->body.len : 0;
        buf_append(&t->response->body, data, len < room ? len : room);
        t->error_bytes += len;
        t->abandoned = t->error_bytes > ERROR_BODY_ABANDON;
        return t->abandoned ? 0 : len;
    }
    if (t->exchange->request->sink) {
        return to_sink(t, data, len);
    }
    if (len > t->max_body || t->response->body.len > t->max_body - len) {
        fail(t, "the answer is longer than", t->max_body);
        return 0;
    }
    buf_append(&t->response->body, data, len);
    return len;
}

/* Waits for more of a body that grows. */
static int await_growth(struct transfer *t)
{
    struct http_growth *growth = t->exchange->request->body_growth;
    bool ended = false;
    uint64_t grown = growth->wait(growth, t->sent, &ended);
    if (grown < t->sent || (grown == t->sent && !ended)) {
        t->outcome->local_failure = true;
        return error_set(t->err, ERR_CANCELLED, "what was being sent is not wanted any more");
    }
    t->grown = grown;
    t->body_len = ended ? grown : t->body_len;
    note_move(t); /* the other side did not make us wait */
    return 0;
}

static size_t on_read(char *out, size_t size, size_t count, void *ctx)
{
    struct transfer *t = ctx;
    const struct http_request *request = t->exchange->request;
    bool short_of = request->body_growth && t->sent == t->grown && t->sent < t->body_len;
    if (short_of && await_growth(t) != 0) {
        return CURL_READFUNC_ABORT;
    }
    uint64_t left = (request->body_growth ? t->grown : t->body_len) - t->sent;
    size_t want = size * count < left ? size * count : (size_t)left;
    if (want == 0) {
        return 0;
    }
    if (!request->body_is_file) {
        memcpy(out, (const char *)request->body + t->sent, want);
        t->sent += want;
        return want;
    }
    ssize_t got = 0;
    do {
        got = pread(request->body_fd, out, want, (off_t)(request->body_offset + t->sent));
    } while (got < 0 && errno == EINTR);
    if (got <= 0) {
        errno = got == 0 ? EIO : errno;
        t->outcome->local_failure = true;
        error_errno(t->err, ERR_STORE, "read the file that is being sent");
        return CURL_READFUNC_ABORT;
    }
    t->sent += (uint64_t)got;
    return (size_t)got;
}

static int on_seek(void *ctx, curl_off_t offset, int origin)
{
    struct transfer *t = ctx;
    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > t->body_len) {
        return CURL_SEEKFUNC_FAIL;
    }
    /* curl would send the body once more over a new connection where a kept one breaks. What of a
     * file's was taken is for the caller to find out. */
    if (t->exchange->request->body_is_file && t->sent > 0) {
        return CURL_SEEKFUNC_FAIL;
    }
    t->sent = (uint64_t)offset;
    return CURL_SEEKFUNC_OK;
}

static void tell(struct transfer *t, bool last)
{
    const struct http_request *request = t->exchange->request;
    int64_t now = now_ms();
    if (!request->progress || (!last && now - t->progress_at < PROGRESS_MS)) {
        return;
    }
    t->progress_at = now;
    if (t->body_len > 0) {
        request->progress(request->progress_ctx, (uint64_t)t->last_up, t->body_len);
    } else if (is_success(t)) {
        uint64_t current = request->sink ? *t->exchange->sink_len : t->response->body.len;
        const char *length = http_header(t->response, "Content-Length");
        uint64_t total = length ? strtoull(length, NULL, 10) +
                                      t->exchange->resume_from * (t->response->status == 206)
                                : 0;
        request->progress(request->progress_ctx, current, total);
    }
}

static int on_progress(void *ctx, curl_off_t total_down, curl_off_t down, curl_off_t total_up,
                       curl_off_t up)
{
    (void)total_down;
    (void)total_up;
    struct transfer *t = ctx;
    if (down != t->last_down || up != t->last_up) {
        /* curl counts anew after a challenge or a 417. */
        touch(t, down > t->last_down ? (size_t)(down - t->last_down) : 0);
        touch(t, up > t->last_up ? (size_t)(up - t->last_up) : 0);
        t->last_down = down;
        t->last_up = up;
        if (up > 0 && up == (curl_off_t)t->body_len) {
            note_move(t);
        }
        tell(t, false);
    }
    return 0;
}

static void slist_freep(struct curl_slist **list)
{
    curl_slist_free_all(*list);
    *list = NULL;
}

static bool has_body(const struct http_exchange *x)
{
    const struct http_request *r = x->request;
    bool given = r->body_is_file || r->body_len > 0;
    bool expected = strcmp(x->method, "POST") == 0 || strcmp(x->method, "PUT") == 0 ||
                    strcmp(x->method, "PATCH") == 0;
    return !x->plain && (given || expected);
}

/* A header of the caller's that must not reach another host, or that says something of a body that
 * is not sent any more. */
static bool is_withheld(const struct http_exchange *x, const char *header)
{
    bool secret = strncasecmp(header, "Authorization:", 14) == 0 ||
                  strncasecmp(header, "Cookie:", 7) == 0 || strncasecmp(header, "X-Amz-", 6) == 0;
    bool of_body = strncasecmp(header, "Content-", 8) == 0;
    return (secret && !x->send_authorization) || (of_body && x->plain);
}

/* Whether the body waits for the server's word. */
static bool expects(const struct transfer *t)
{
    return t->body_len > EXPECT_FROM && !t->exchange->no_expect &&
           !t->exchange->request->body_growth;
}

static struct curl_slist *make_headers(const struct transfer *t)
{
    const struct http_exchange *x = t->exchange;
    struct curl_slist *list = NULL;
    for (size_t i = 0; x->request->headers && i < x->request->headers->len; i++) {
        if (!is_withheld(x, x->request->headers->items[i])) {
            list = curl_slist_append(list, x->request->headers->items[i]);
        }
    }
    if (x->request->authorization && x->send_authorization) {
        AUTO(mem_freep) char *line = mem_printf("Authorization: %s", x->request->authorization);
        list = curl_slist_append(list, line);
    }
    if (x->resume_from > 0) {
        AUTO(mem_freep)
        char *line = mem_printf("Range: bytes=%llu-", (unsigned long long)x->resume_from);
        list = curl_slist_append(list, line);
        AUTO(mem_freep)
        char *condition = x->resume_etag ? mem_printf("If-Range: %s", x->resume_etag) : NULL;
        list = condition ? curl_slist_append(list, condition) : list;
    }
    if (!expects(t)) {
        list = curl_slist_append(list, "Expect:");
    }
    return list;
}

static void set_method(CURL *easy, struct transfer *t)
{
    const struct http_exchange *x = t->exchange;
    if (has_body(x)) {
        bool grows = x->request->body_growth != NULL;
        t->body_len = grows                      ? UINT64_MAX
                      : x->request->body_is_file ? x->request->body_size
                                                 : x->request->body_len;
        curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, grows ? -1 : (curl_off_t)t->body_len);
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, x->method);
    } else if (strcmp(x->method, "HEAD") == 0) {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    } else if (strcmp(x->method, "GET") != 0) {
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, x->method);
    }
}

/* On a connection, before anything is sent on it: names may lead anywhere. */
static int on_connection(void *ctx, char *ip, char *own_ip, int port, int own_port)
{
    struct transfer *t = ctx;
    (void)own_ip;
    (void)port;
    (void)own_port;
    if (!t->exchange->request->refuses(ip)) {
        return CURL_PREREQFUNC_OK;
    }
    AUTO(mem_freep) char *url = http_redact_url(t->exchange->url);
    t->outcome->local_failure = true;
    error_set(t->err, code_of(t), "%s %s: nothing is asked of %s", t->exchange->method, url, ip);
    return CURL_PREREQFUNC_ABORT;
}

static void set_callbacks(CURL *easy, struct transfer *t)
{
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(easy, CURLOPT_READDATA, t);
    curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
    curl_easy_setopt(easy, CURLOPT_SEEKDATA, t);
    curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(easy, CURLOPT_XFERINFODATA, t);
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION,
                     t->exchange->request->refuses ? on_connection : NULL);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, t);
}

static void set_options(CURL *easy, struct transfer *t)
{
    const struct http_exchange *x = t->exchange;
    unsigned connect_ms = x->request->connect_timeout_ms;
    if (connect_ms == 0) {
        connect_ms = x->timeout_ms < CONNECT_TIMEOUT_MS ? x->timeout_ms : CONNECT_TIMEOUT_MS;
    }
    curl_easy_reset(easy);
    curl_easy_setopt(easy, CURLOPT_URL, x->url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_SHARE, x->share);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    /* Over TLS what both sides speak best; without it nobody can say that he speaks HTTP/2. */
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                     x->http1 ? (long)CURL_HTTP_VERSION_1_1 : (long)CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, x->user_agent);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 256L * 1024);
    curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, 256L * 1024);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t->outcome->text);
    /* Who can be stopped must not wait for a name server that does not answer either. */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, x->stop ? 1L : 0L);
    /* Nothing is asked for in another coding; what comes in one all the same is decoded. */
    curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "identity");
    curl_easy_setopt(easy, CURLOPT_HTTP_CONTENT_DECODING, x->verbatim ? 0L : 1L);
    set_callbacks(easy, t);
    set_method(easy, t);
    http_set_connection(easy, x);
}

/* Everything was sent, and the answer is not there. */
static bool is_waiting(const struct transfer *t)
{
    return t->sent == t->body_len && !t->answered && t->last_up >= (curl_off_t)t->body_len;
}

static bool stalled(const struct transfer *t)
{
    uint64_t patience = t->exchange->timeout_ms;
    if (is_waiting(t)) {
        uint64_t most = patience * WORK_MAX_TIMES;
        patience += (t->body_len + t->exchange->request->server_work) / WORK_BYTES_PER_MS;
        patience = patience < most ? patience : most;
    }
    return (uint64_t)(now_ms() - t->moved_at) > patience;
}

static bool is_stopped(const struct http_exchange *x)
{
    const atomic_bool *own = x->request->stop;
    return (own && atomic_load(own)) || (x->stop && atomic_load(x->stop));
}

/* How long to sleep before the wish to stop and the lack of progress are looked at again. */
static int nap_ms(const struct http_exchange *x)
{
    int longest = x->request->stop || x->stop ? 50 : 500;
    return x->timeout_ms < (unsigned)longest ? (int)x->timeout_ms : longest;
}

/* Runs the exchange to its end; false where it was cut short (outcome says why). */
static bool run(struct http_session *session, struct transfer *t)
{
    int running = 1;
    while (running) {
        if (curl_multi_perform(session->multi, &running) != CURLM_OK) {
            t->outcome->curl = CURLE_SEND_ERROR;
            return false;
        }
        if (!running) {
            break;
        }
        if (cancel_requested() || is_stopped(t->exchange)) {
            t->outcome->local_failure = true;
            cancel_error(t->err);
            return false;
        }
        if (stalled(t)) {
            t->outcome->timed_out = true;
            t->outcome->unanswered = is_waiting(t);
            return false;
        }
        struct curl_waitfd wake = {.fd = cancel_fd(), .events = CURL_WAIT_POLLIN};
        curl_multi_poll(session->multi, &wake, 1, nap_ms(t->exchange), NULL);
    }
    return true;
}

static void read_result(struct http_session *session, struct transfer *t)
{
    int left = 0;
    for (CURLMsg *msg = curl_multi_info_read(session->multi, &left); msg;
         msg = curl_multi_info_read(session->multi, &left)) {
        if (msg->msg == CURLMSG_DONE) {
            t->outcome->curl = msg->data.result;
        }
    }
    if (t->abandoned && t->outcome->curl == CURLE_WRITE_ERROR) {
        t->outcome->curl = CURLE_OK;
    }
    /* A server that answers before it has read everything and hangs up has answered all the same.
     */
    CURLcode curl = t->outcome->curl;
    bool hung_up = curl == CURLE_SEND_ERROR || curl == CURLE_RECV_ERROR ||
                   curl == CURLE_PARTIAL_FILE || curl == CURLE_HTTP2_STREAM;
    if (hung_up && t->response->status >= 400) {
        t->outcome->curl = CURLE_OK;
    }
}

int http_transfer(struct http_session *session, const struct http_exchange *exchange,
                  struct http_response *response, struct http_outcome *outcome, struct error *err)
{
    http_response_release(response);
    *outcome = (struct http_outcome){0};
    struct transfer t = {.exchange = exchange,
                         .response = response,
                         .outcome = outcome,
                         .err = err,
                         .started_at = now_ms()};
    t.moved_at = t.started_at;
    t.max_body = exchange->request->max_body ? exchange->request->max_body : LIMIT_JSON_BYTES;
    set_options(session->easy, &t);
    AUTO(slist_freep) struct curl_slist *headers = make_headers(&t);
    curl_easy_setopt(session->easy, CURLOPT_HTTPHEADER, headers);
    curl_multi_add_handle(session->multi, session->easy);
    if (run(session, &t)) {
        read_result(session, &t);
    }
    long connect_status = 0;
    curl_off_t connected_at = 0;
    curl_easy_getinfo(session->easy, CURLINFO_HTTP_CONNECTCODE, &connect_status);
    curl_easy_getinfo(session->easy, CURLINFO_CONNECT_TIME_T, &connected_at);
    outcome->refused_by_proxy = connect_status >= 400 && connect_status < 500 &&
                                !http_status_is_transient((int)connect_status);
    outcome->connected = connected_at > 0 || t.header_bytes > 0 || t.last_up > 0;
    bool silent = t.sent == 0 && t.header_bytes == 0;
    outcome->refused_expect =
        outcome->connected && expects(&t) && (silent || response->status == 417);
    curl_off_t shaken_at = 0;
    curl_easy_getinfo(session->easy, CURLINFO_APPCONNECT_TIME_T, &shaken_at);
    outcome->hung_up_on_tls = shaken_at > 0 && t.header_bytes == 0 && !outcome->timed_out &&
                              outcome->curl != CURLE_OK && !outcome->local_failure;
    outcome->elapsed_ms = (unsigned)(now_ms() - t.started_at);
    outcome->idle_ms = (unsigned)(now_ms() - t.moved_at);
    outcome->moved = (uint64_t)t.last_up + (uint64_t)t.last_down;
    curl_multi_remove_handle(session->multi, session->easy);
    /* The buffer for words is the caller's and may go away before the handle. */
    curl_easy_setopt(session->easy, CURLOPT_ERRORBUFFER, NULL);
    curl_easy_setopt(session->easy, CURLOPT_HTTPHEADER, NULL);
    if (!outcome->local_failure && outcome->curl == CURLE_OK && !outcome->timed_out) {
        /* An empty body where the sink still holds the beginning of another. */
        if (exchange->request->sink && is_success(&t) && !t.body_started &&
            *exchange->sink_len > 0 && begin_body(&t) != 0) {
            return -1;
        }
        tell(&t, true);
    }
    return outcome->local_failure ? -1 : 0;
}
