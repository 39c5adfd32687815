/*
 * What the files of the HTTP client share: one exchange (http_transfer.c), when to try again
 * (http_retry.c).
 */
#ifndef SLIPWAY_BASE_HTTP_INTERNAL_H
#define SLIPWAY_BASE_HTTP_INTERNAL_H

#include <curl/curl.h>
#include <stdint.h>

#include "base/http.h"

/* A curl handle with its connections; one thread at a time has it. */
struct http_session {
    CURLM *multi;
    CURL *easy;
    char
        *origin; /* of the last request, so that the next one to it gets this session; NULL: none */
};

/* How one exchange ended. */
struct http_outcome {
    CURLcode curl;         /* CURLE_OK: an answer is there */
    bool timed_out;        /* no progress for too long */
    bool connected;        /* a connection was established */
    bool refused_by_proxy; /* it will not open a tunnel */
    bool local_failure; /* ERR is final: the sink failed, a limit was passed, or we are to stop */
    char text[CURL_ERROR_SIZE]; /* curl's words */
};

/* What one exchange is made of, besides the request itself. */
struct http_exchange {
    const struct http_request *request;
    const char *method; /* redirects may change it */
    const char *url;
    bool plain; /* after a redirect that changed the method: no body */
    bool send_authorization;
    CURLSH *share;
    const char *ca_blob; /* PEM text trusted here, NULL: the system's */
    size_t ca_blob_len;
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

/* Whether the answer's status is one that may be better next time. */
bool http_status_is_transient(int status);

/* Whether a failed exchange may go better next time. */
bool http_outcome_is_transient(const struct http_outcome *outcome);

/* Milliseconds to wait before retry number RETRY (from 0): exponential with jitter, or what
 * Retry-After says. *TOO_LONG_OUT: the server asks for more patience than we have. */
unsigned http_retry_delay(unsigned retry, unsigned base_ms, const struct http_response *response,
                          bool *too_long_out);

/* Sleeps, ERR_CANCELLED where we are to stop. */
int http_sleep(unsigned delay_ms, struct error *err);

/* Seconds of a Retry-After value (a number or an HTTP date), -1 if it is neither. */
long http_parse_retry_after(const char *value);

/* Sets the words for an exchange without an answer. Returns -1. */
int http_no_answer(const struct http_request *request, const char *method, const char *url,
                   const struct http_outcome *outcome, unsigned timeout_ms, struct error *err);

#endif
