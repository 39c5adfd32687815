#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/cancel.h"
#include "base/http_internal.h"
#include "base/memory.h"

enum {
    MAX_DELAY_MS = 20 * 1000,
};

bool http_status_is_transient(int status)
{
    return status == 408 || status == 425 || status == 429 ||
           (status >= 500 && status != 501 && status != 505);
}

/* What will be the same next time: TLS spoken to a server that speaks none, and alerts (RFC 8446,
 * 6.2) with which a server says what it thinks of our certificate, or that we have none. With TLS
 * 1.3 these come when the handshake is over for us. */
static bool is_refused_by_tls(const char *text)
{
    static const char *const words[] = {
        "wrong version number",  "packet length too long", "alert certificate",
        "alert bad certificate", "alert unknown ca",       "alert unsupported certificate",
        "alert access denied",   "alert protocol version", "alert insufficient security"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strstr(text, words[i])) {
            return true;
        }
    }
    return false;
}

bool http_outcome_is_transient(const struct http_outcome *outcome)
{
    if (outcome->timed_out || outcome->bad_range) {
        return true;
    }
    if (outcome->refused_by_proxy || is_refused_by_tls(outcome->text)) {
        return false;
    }
    switch (outcome->curl) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE:
    case CURLE_SEND_FAIL_REWIND:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_PROXY:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_SSL_CONNECT_ERROR:
        return true;
    case CURLE_UNSUPPORTED_PROTOCOL:
        /* Bytes that are no HTTP. */
        return outcome->connected;
    default:
        return false;
    }
}

long http_parse_retry_after(const char *value)
{
    char *end = NULL;
    errno = 0;
    long seconds = strtol(value, &end, 10);
    if (end != value && *end == '\0') {
        return errno == 0 && seconds >= 0 ? seconds : -1;
    }
    time_t when = curl_getdate(value, NULL);
    if (when == -1) {
        return -1;
    }
    time_t now = time(NULL);
    return when > now ? (long)(when - now) : 0;
}

/* Anything up to DELAY, so that many clients do not come back at the same moment. */
static unsigned jitter(unsigned delay)
{
    unsigned random = 0;
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) != sizeof random) {
        random = (unsigned)clock();
    }
    return random % (delay + 1);
}

uint64_t http_retry_delay(unsigned retry, unsigned base_ms, const struct http_response *response)
{
    const char *after = response ? http_header(response, "Retry-After") : NULL;
    long seconds = after ? http_parse_retry_after(after) : -1;
    uint64_t delay = base_ms;
    for (unsigned i = 0; i < retry && delay < MAX_DELAY_MS; i++) {
        delay *= 2;
    }
    unsigned backoff = jitter(delay < MAX_DELAY_MS ? (unsigned)delay : MAX_DELAY_MS);
    if (seconds >= 0) {
        /* Never earlier than asked for, and not all at once. */
        return (uint64_t)seconds * 1000 + backoff / 4;
    }
    return backoff;
}

static int64_t now_ms(void)
{
    struct timespec t = {0};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int http_sleep(unsigned delay_ms, const atomic_bool *stop, const atomic_bool *other_stop,
               struct error *err)
{
    int64_t until = now_ms() + delay_ms;
    for (;;) {
        bool stopped = (stop && atomic_load(stop)) || (other_stop && atomic_load(other_stop));
        if (stopped || cancel_requested()) {
            return cancel_error(err);
        }
        int64_t left = until - now_ms();
        if (left <= 0) {
            return 0;
        }
        int64_t nap = (stop || other_stop) && left > 50 ? 50 : left;
        struct pollfd wake = {.fd = cancel_fd(), .events = POLLIN};
        poll(&wake, 1, (int)nap);
    }
}
