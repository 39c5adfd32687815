/*
 * One HTTP client for all rooms, over libcurl.
 *
 *     http_client_open(&options, &client, err)
 *     struct http_request request = {.url = "https://...", .max_body = LIMIT_JSON_BYTES};
 *     AUTO(http_response_release) struct http_response response = {0};
 *     http_perform(client, &request, &response, err)        0: there is an answer, of whatever
 * status http_check(&request, &response, err)                  0: its status is 2xx
 *
 * A client may be used by many threads at once; connections are kept alive and reused. Retries
 * (connection failures, 408, 425, 429, 5xx; exponential back-off with full jitter, Retry-After) go
 * on for a budget of time in which nothing gets further. Redirects, timeouts by lack of progress,
 * limits and the wish to stop (base/cancel.h) are handled inside. A download into a sink that
 * breaks is resumed with Range, or begins anew where the server cannot. Proxies come from the
 * environment as with curl. TLS is always verified. Messages never contain user info, signatures or
 * tokens. Whether a socket may be opened at all is the callers' to decide.
 */
#ifndef SLIPWAY_BASE_HTTP_H
#define SLIPWAY_BASE_HTTP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/strlist.h"

struct http_client;
struct event_sink;

enum { HTTP_NO_RETRIES = -1 };

struct http_options {
    const char *user_agent;             /* NULL: "slipway" */
    const struct strlist *certificates; /* HOST[:PORT]=FILE: PEM files trusted for that host besides
                                           the system's; NULL: none; copied */
    const struct strlist *client_certificates; /* HOST[:PORT]=FILE: PEM files with a certificate and
                                                  its key, shown to that host; NULL: none; copied */
    int retries; /* after the first attempt; 0: as many as fit into the budget, HTTP_NO_RETRIES:
                    none */
    unsigned retry_delay_ms; /* the longest wait before the first retry, doubled each time; 0: the
                                default (500) */
    unsigned timeout_ms; /* of one attempt without any progress; 0: the default (30,000) or half the
                            budget, whichever is less */
    unsigned budget_ms;  /* of all attempts in which nothing gets further, and the waits between
                            them; 0: the default (300,000). A name that is not found gets 8,000 of
                            them, unless `retries` is given */
    struct event_sink *events; /* told about long waits; NULL: nobody */
    const atomic_bool *stop; /* once true, all requests end with ERR_CANCELLED; NULL: none; borrowed
                                as long as the client lives */
};

/* Begins to load what the first request will need, in the background: worth while where one is sure
 * to come. Nothing breaks without it. From one thread, http_prepare_end() before the process ends:
 * a library must not be loaded while the others' destructors run. */
void http_prepare(void);

/* Waits until what http_prepare() began is done; nothing to do without it. */
void http_prepare_end(void);

/* Opens no socket. OPTIONS may be NULL. Reads the certificate files: ERR_USAGE where one is
 * unreadable. */
int http_client_open(const struct http_options *options, struct http_client **out,
                     struct error *err);
/* Closes the connections. Cleanup for AUTO(). */
void http_client_freep(struct http_client **client);

/* Where the body of a 2xx answer goes, piece by piece. Embed it as the first member. */
struct http_sink {
    int (*write)(struct http_sink *sink, const void *data, size_t len, struct error *err);
    /* What was written so far is to be dropped, the body comes again from its start. NULL: a broken
     * download cannot be started over (it still can be resumed). */
    int (*restart)(struct http_sink *sink, struct error *err);
};

/* What went wrong since something last got further. Zero-initialised; several requests that serve
 * one purpose may share one, and so one budget. */
struct http_trouble {
    unsigned retries;
    unsigned unanswered;     /* times that a request was taken and never answered */
    uint64_t spent_ms;       /* in vain, waiting included */
    bool no_expect;          /* "Expect: 100-continue" was answered by hanging up */
    bool reached;            /* somebody took a connection */
    const atomic_bool *stop; /* ends a wait with ERR_CANCELLED; NULL: none */
};

/* A file that grows while it is sent. */
struct http_growth {
    /* Waits until the file has more than HAVE bytes, and returns how many; *ENDED_OUT: it has all
     * it will have. May return 0 to give the request up: ERR_CANCELLED. */
    uint64_t (*wait)(struct http_growth *growth, uint64_t have, bool *ended_out);
};

/* All pointers are borrowed for the call. */
struct http_request {
    const char *method; /* NULL: GET */
    const char *url;    /* http or https; user info in it is used as Basic authorization */
    const struct strlist *headers; /* "Name: value"; NULL: none */
    const char *authorization;     /* value of the Authorization header, sent to the URL's own host
                                      (scheme, name and port) only; NULL: none */
    const void *body; /* sent from memory, body_len bytes; an empty body is sent as such for POST,
                         PUT and PATCH */
    size_t body_len;
    int body_fd; /* with body_size > 0 or body_is_file: bytes [body_offset, body_offset + body_size)
                    of this file are sent, by pread, and in one attempt no byte twice */
    bool body_is_file;
    uint64_t body_offset;
    uint64_t body_size;
    struct http_growth *body_growth; /* body_is_file: nobody knows the size yet (RFC 9112, 7.1) */
    struct http_sink *sink;          /* NULL: the body goes into the response */
    uint64_t sink_size; /* bytes that the sink is to get, 0: unknown; an answer that ends before is
                           a broken one */
    size_t max_body; /* most bytes of a 2xx body in the response (0: LIMIT_JSON_BYTES); a longer one
                        is ERR_REMOTE */
    int retries;     /* 0: the client's, HTTP_NO_RETRIES: a single attempt */
    struct http_trouble *trouble; /* kept up to date; NULL: the request's own */
    uint64_t server_work; /* bytes that the server may have to hash and move before it answers,
                             besides the body: it gets more time */
    unsigned timeout_ms;  /* 0: the client's */
    unsigned connect_timeout_ms; /* 0: 30,000 or timeout_ms, whichever is less */
    bool immutable; /* what the URL names never changes (a blob): a broken download may be resumed
                       without an ETag */
    bool verbatim;  /* the body is wanted as it comes; else a Content-Encoding is taken off */
    bool keep_redirects; /* give a 3xx answer back instead of following it */
    /* Whether nothing may be asked of the address IP; NULL: all may be asked. */
    bool (*refuses)(const char *ip);
    bool no_proxy; /* ask directly whatever the environment says (link-local metadata services) */
    const atomic_bool *stop; /* once true, the request ends with ERR_CANCELLED; NULL: none */
    enum error_code code;    /* of errors; 0: ERR_REMOTE */
    /* Called at most ten times a second and at the end, from the calling thread: bytes sent (where
     * there is a body to send) or received so far and in all (0: unknown). May go down when an
     * attempt starts over. */
    void (*progress)(void *ctx, uint64_t current, uint64_t total);
    void *progress_ctx;
};

struct http_response {
    int status;
    struct strlist headers; /* "Name: value" of the last answer */
    struct buf body;        /* of an answer that is not 2xx at most its first 64 KiB */
    char *url; /* that answered in the end, after redirects; has secrets: not for messages */
};

/* Frees what RESPONSE holds. */
void http_response_release(struct http_response *response);

/* The value of the first header NAME (case does not count), borrowed; NULL if there is none. */
const char *http_header(const struct http_response *response, const char *name);
/* As http_header, the one after PREVIOUS (a value got before; NULL: the first). */
const char *http_header_next(const struct http_response *response, const char *name,
                             const char *previous);

/* Whether RESPONSE's body came in a coding (Content-Encoding). */
bool http_is_coded(const struct http_response *response);

/* Sends REQUEST and waits for the answer. Fails only where there is none after all retries, where
 * it passes a limit, where the sink fails (its error is passed on) or where we are to stop
 * (ERR_CANCELLED); a status of 400 or more is an answer. RESPONSE is zero-initialised by the caller
 * and is filled only on success. */
int http_perform(struct http_client *client, const struct http_request *request,
                 struct http_response *response, struct error *err);

/* For callers whose retries are more than the same request once more: counts a retry in TROUBLE and
 * waits as http_perform would (RESPONSE: the last answer, may be NULL). *AGAIN_OUT is false where
 * the client's retries or its budget are used up. */
int http_back_off(struct http_client *client, struct http_trouble *trouble,
                  const struct http_response *response, bool *again_out, struct error *err);

/* The client's retries, or MOST where that is fewer: for a first try of something that can also be
 * done in another way. For http_request.retries. */
int http_retries_at_most(const struct http_client *client, int most);
/* The same for the time without progress. For http_request.timeout_ms. */
unsigned http_timeout_at_most(const struct http_client *client, unsigned most_ms);

/* TROUBLE is over, something got further. */
void http_trouble_over(struct http_trouble *trouble);

/* Whether a request that ended with this status (0: without an answer) may go better next time. */
bool http_is_transient(int status);

/* 0 where RESPONSE is 2xx, else the error of http_error(). */
int http_check(const struct http_request *request, const struct http_response *response,
               struct error *err);

/* Sets "METHOD URL: HTTP STATUS: what the server says" (the registries' and AWS's JSON errors are
 * read, plain text is cut, HTML is not shown); the code is ERR_AUTH for 401 and 403, else
 * REQUEST's. http_status is set. Returns -1. */
int http_error(const struct http_request *request, const struct http_response *response,
               struct error *err);

/* The server's own words in RESPONSE's body on one line ("CODE: message"), "" if there are none.
 * OUT is appended to. */
void http_server_words(const struct http_response *response, struct buf *out);

/* URL as it may stand in a message: no user info, of the query only what is known to be harmless.
 * The caller's. */
char *http_redact_url(const char *url);

/* TARGET (absolute or relative, as in a Location header) seen from BASE; the caller's. ERR_REMOTE
 * where it is no http or https URL. */
int http_resolve_url(const char *base, const char *target, char **out, struct error *err);

/* Whether two URLs have the same scheme, host and port. */
bool http_same_origin(const char *a, const char *b);

/* Whether HOST, behind which a port or a path may follow, is this machine: "localhost", 127.0.0.0/8
 * or "[::1]". */
bool http_is_loopback(const char *host);

/* TEXT percent-encoded as part of a query or path: all but letters, digits and "-._~" (KEEP:
 * further characters to leave alone). Appended to OUT. */
void http_encode(const char *text, const char *keep, struct buf *out);

/* Adds "&" or "?", NAME and "=" and the encoded VALUE to URL. */
void http_add_query(struct buf *url, const char *name, const char *value);

/* Standard base64 of LEN bytes, appended to OUT; and back (white space is skipped): whether TEXT is
 * base64. */
void base64_encode(const void *data, size_t len, struct buf *out);

/* The bytes of standard base64 TEXT, white space skipped, appended to OUT. Whether TEXT is
 * base64. */
bool base64_decode(const char *text, struct buf *out);

#endif
