/*
 * What the files of the HTTP client share: one exchange (http_transfer.c), when to try again
 * (http_retry.c), whom to trust (http_trust.c).
 */
#ifndef SLIPWAY_BASE_HTTP_INTERNAL_H
#define SLIPWAY_BASE_HTTP_INTERNAL_H

#include <pthread.h>
#include <stdint.h>

#include "base/curl_library.h"
#include "base/http.h"

/* A curl handle with its connections; one thread at a time has it. */
struct http_session {
    CURLM *multi;
    CURL *easy;
    char
        *origin; /* of the last request, so that the next one to it gets this session; NULL: none */
};

/* What is said of one host's certificates. */
struct host_trust {
    char *host;     /* HOST or HOST:PORT */
    struct buf pem; /* trusted there; empty: what the system trusts */
    char *client;   /* file with the certificate and key to show; NULL: none */
};

/* All hosts of which something is said. */
struct trust {
    struct host_trust *hosts;
    size_t len;
};
void trust_release(struct trust *trust);

/* Reads HOST=FILE (CLIENT: the certificate to show, else one to trust). ERR_USAGE. */
int trust_add(struct trust *trust, const char *entry, bool client, struct error *err);

/* What is said of URL's host, NULL: nothing. */
const struct host_trust *trust_find(const struct trust *trust, const char *url);

enum { IDLE_SESSIONS = 16 };

struct http_client {
    char *user_agent;
    int retries;
    unsigned retry_delay_ms;
    unsigned timeout_ms;
    unsigned budget_ms;
    struct event_sink *events;
    const atomic_bool *stop; /* NULL: none */
    struct trust trust;
    struct strlist reached; /* hosts that accepted a connection; behind `lock` */
    CURLSH *share;          /* behind `lock`; NULL until the first request: http_client_share() */
    pthread_mutex_t share_locks[CURL_LOCK_DATA_LAST];
    pthread_mutex_t lock;
    struct http_session *idle[IDLE_SESSIONS];
    size_t idle_len;
};

/* What its sessions share: names and TLS sessions. */
CURLSH *http_client_share(struct http_client *client);

/* An idle session, best one that has a connection to URL's host already; else a new one. */
struct http_session *http_session_take(struct http_client *client, const char *url);
/* Keeps SESSION for the next one who wants it. */
void http_session_give(struct http_client *client, struct http_session *session);
/* Closes its connections. NULL is fine. */
void http_session_free(struct http_session *session);

/* How one exchange ended. */
struct http_outcome {
    CURLcode curl;         /* CURLE_OK: an answer is there */
    bool timed_out;        /* no progress for too long */
    bool connected;        /* a connection was established */
    bool refused_by_proxy; /* it will not open a tunnel */
    bool bad_range;        /* another part came than the one that was asked for */
    bool refused_expect;   /* "Expect: 100-continue" was answered by 417, or by nothing */
    bool unanswered;       /* timed out when everything was sent */
    bool hung_up_on_tls;   /* the TLS handshake was over, and then nothing came */
    unsigned elapsed_ms;   /* from the beginning to the end */
    unsigned idle_ms;      /* since something last moved */
    uint64_t moved;        /* bytes of bodies, both ways */
    bool local_failure; /* ERR is final: the sink failed, a limit was passed, or we are to stop */
    char text[CURL_ERROR_SIZE]; /* curl's words */
};

/* What one exchange is made of, besides the request itself. */
struct http_exchange {
    const struct http_request *request;
    const char *method; /* redirects may change it */
    const char *url;
    bool plain;     /* after a redirect that changed the method: no body */
    bool http1;     /* no HTTP/2 */
    bool no_expect; /* bodies do not wait for "100 Continue" */
    bool verbatim;  /* the body's coding is left as it comes */
    bool send_authorization;
    CURLSH *share;
    const struct host_trust *trust; /* NULL: as the system has it */
    const char *user_agent;
    unsigned timeout_ms;
    uint64_t resume_from;    /* > 0: ask for Range: bytes=N- */
    const char *resume_etag; /* strong ETag for If-Range, NULL: none */
    uint64_t *sink_len;      /* bytes the sink holds; kept up to date */
    const atomic_bool *stop; /* of the client; NULL: none */
};

/* Carries out EXCHANGE over SESSION and fills RESPONSE (emptied first). Returns -1 only with
 * outcome->local_failure. */
int http_transfer(struct http_session *session, const struct http_exchange *exchange,
                  struct http_response *response, struct http_outcome *outcome, struct error *err);

/* How the connection for EXCHANGE comes about: proxies, certificates (http_connection.c). */
void http_set_connection(CURL *easy, const struct http_exchange *exchange);

/* With TLS 1.3 a server says what it thinks of our certificate when the handshake is over for us,
 * and that is lost where it hangs up while we are sending. Connects once more, sends nothing, and
 * puts what it says into TEXT, in curl's words; else TEXT stays. */
void http_hear_alert(const struct http_exchange *exchange, char text[CURL_ERROR_SIZE]);

/* Whether the answer's status is one that may be better next time. */
bool http_status_is_transient(int status);

/* Whether a failed exchange may go better next time. */
bool http_outcome_is_transient(const struct http_outcome *outcome);

/* Milliseconds to wait before retry number RETRY (from 0): exponential with full jitter, or what
 * Retry-After says, but not less. */
uint64_t http_retry_delay(unsigned retry, unsigned base_ms, const struct http_response *response);

/* Sleeps; ERR_CANCELLED where we are to stop, also by STOP or OTHER_STOP (may be NULL). */
int http_sleep(unsigned delay_ms, const atomic_bool *stop, const atomic_bool *other_stop,
               struct error *err);

/* Seconds of a Retry-After value (a number or an HTTP date), -1 if it is neither. */
long http_parse_retry_after(const char *value);

/* Sets the words for an exchange without an answer. Returns -1. */
int http_no_answer(const struct http_request *request, const char *method, const char *url,
                   const struct http_outcome *outcome, unsigned timeout_ms, struct error *err);

#endif
