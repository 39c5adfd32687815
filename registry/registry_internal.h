/*
 * What the files of the registry client share: where hosts are reached, and one authenticated
 * request.
 */
#ifndef SLIPWAY_REGISTRY_REGISTRY_INTERNAL_H
#define SLIPWAY_REGISTRY_REGISTRY_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/http.h"
#include "base/limits.h"
#include "registry/auth.h"
#include "registry/registry.h"

/* Of requests where a blob does not go in one; ECR takes parts of 5 to 10 MiB. */
#define UPLOAD_CHUNK_BYTES (8 * MIB)

enum { TRANSFERS_MAX = 4 /* blobs on their way at once, each way */ };

/* A registry as it is reached. Lives as long as the registry client. */
struct endpoint {
    char *host;     /* as it is written, after SLIPWAY_REGISTRY_MAP */
    char *base_url; /* "https://registry-1.docker.io" */
    struct auth *auth;
    atomic_bool no_mounts; /* one was never answered */
    struct endpoint *next;
};

/* SLIPWAY_REGISTRY_MAP: FROM is reached at host TO, repositories below PREFIX ("" or "a/b/"). */
struct mapping {
    char *from;
    char *to;
    char *prefix;
};

/* A blob on its way: into the store, or (with an endpoint) to a registry. */
struct transfer {
    struct digest digest;
    const struct endpoint *endpoint; /* NULL: into the store */
    struct transfer *next;
};

struct registry {
    struct store *store;
    struct http_client *client;
    bool offline;
    struct strlist insecure;
    struct strlist certificates;
    struct strlist client_certificates;
    char *user_agent; /* NULL: the default */
    struct mapping *mappings;
    size_t mappings_len;
    struct strlist urls; /* SLIPWAY_REGISTRY_ENDPOINT: HOST=URL */
    struct aws_identity *aws;
    bool create_repository;
    pthread_mutex_t making; /* held while a repository is made */
    struct strlist made;    /* repositories that are there: "HOST/REPOSITORY" */
    struct event_sink *events;
    pthread_mutex_t lock; /* for the lists below */
    pthread_cond_t changed;
    struct endpoint *endpoints;
    struct transfer *transfers;
    struct digest *failed; /* blobs that could not be fetched */
    size_t failed_len;
};

/* A repository where it is reached. */
struct place {
    struct endpoint *endpoint; /* borrowed */
    char *repository;          /* as in URLs, owned */
};
void place_release(struct place *place);

enum place_use { PLACE_PULL, PLACE_PUSH /* mirrors do not count */ };

/* Where HOST/REPOSITORY is reached. */
void registry_place(struct registry *registry, const char *host, const char *repository,
                    enum place_use use, struct place *out);

/* As registry_place for "HOST/REPOSITORY" as one text (an origin): whether it is one. */
bool registry_place_of_origin(struct registry *registry, const char *origin, enum place_use use,
                              struct place *out);

/* "HOST/REPOSITORY" of PLACE, the caller's. */
char *place_name(const struct place *place);

/* Sends REQUEST (its `authorization` is filled here, where the URL is the endpoint's) with the
 * rights SCOPES, answers challenges. As http_perform: a status is an answer, but a 401 or 403 that
 * remains is ERR_AUTH with a hint. A request with a file's bytes is not sent again: where new
 * credentials were got for it, it fails with ERR_REMOTE and status 401 (or 403, 400). */
int registry_call(struct registry *registry, struct endpoint *endpoint,
                  const struct strlist *scopes, struct http_request *request,
                  struct http_response *response, struct error *err);

/* Before the first upload to PLACE: makes its repository where the user wished so and it is a
 * registry of ECR, which makes none by itself (repository.c). Done once; a lack of rights is a
 * warning, because the repository may be there. */
int registry_make_repository(struct registry *registry, const struct place *place,
                             struct error *err);

/* Adds to ERR, an error of a push to PLACE, what helps where its repository does not exist. Returns
 * -1. */
int registry_explain_push(const struct registry *registry, const struct place *place,
                          struct error *err);

/* ECR's answer to a HEAD has no words: adds to ERR which right REQUEST needs. */
void registry_name_right(const struct endpoint *endpoint, const struct http_request *request,
                         const struct http_response *response, struct error *err);

/* As registry_head_manifest before a push: who may push into ECR need not be able to read there,
 * then what a name stands for is not known (*FOUND_OUT is false). */
int registry_look_up(struct registry *registry, const struct place *place,
                     const char *tag_or_digest, bool *found_out, struct descriptor *out,
                     struct error *err);

/* BASE/v2/REPOSITORY/KIND/NAME; the caller's. */
char *place_url(const struct place *place, const char *kind, const char *name);

/* Adds "repository:NAME:ACTIONS". */
void place_scope(const struct place *place, const char *actions, struct strlist *scopes);

/* Brings BLOB into the store from one of the places FIRST_ORIGIN (may be NULL) and its known
 * origins. Shared by concurrent callers. */
int registry_fetch_blob(struct registry *registry, const struct descriptor *blob,
                        const char *first_origin, struct error *err);

/* Waits while somebody else brings the same blob to the same side; then it is ours to do (or done).
 * ERR_CANCELLED where *STOP (may be NULL) becomes true meanwhile. Each is ended by
 * transfer_end(). */
int transfer_begin(struct registry *registry, struct transfer *mine, const atomic_bool *stop,
                   struct error *err);
void transfer_end(struct registry *registry, struct transfer *mine);

/* What a tag stands for at PLACE: HEAD. *FOUND_OUT false: 404. Where the registry does not say,
 * GET. */
int registry_head_manifest(struct registry *registry, const struct place *place,
                           const char *tag_or_digest, const char *actions, bool *found_out,
                           struct descriptor *out, struct error *err);

/* Posts EVENT_TRANSFER. */
void registry_tell(struct registry *registry, const struct descriptor *blob,
                   enum event_direction direction, enum event_status status, uint64_t current);

struct push_aheads;

/* Brings one blob to PLACE (upload.c): HEAD, mount, upload. */
struct upload {
    struct registry *registry;
    const struct place *place;
    const struct descriptor *blob;
    const atomic_bool *stop;
    _Atomic uint64_t *bytes_sent;
    _Atomic uint64_t *moved; /* raised with every sign of progress; NULL: none */
    bool quiet;              /* tell nobody */
    bool unseen;             /* what a HEAD says of it turned out to be wrong: no HEAD, no mount */
    struct push_aheads *aheads; /* which may have sent it already; NULL: none */
};
int upload_blob(const struct upload *upload, struct error *err);

/* ---- push_ahead.c ---- */

/* All of a push. Zero-initialised but for the first three. */
struct push_aheads {
    struct registry *registry;
    const struct place *place;
    const atomic_bool *stop;
    _Atomic uint64_t *bytes_sent; /* in vain; who takes a session counts its bytes */
    pthread_mutex_t lock;
    struct push_ahead *first;
};
void push_aheads_init(struct push_aheads *aheads, struct registry *registry,
                      const struct place *place, const atomic_bool *stop,
                      _Atomic uint64_t *bytes_sent);
/* A new one, which ends with AHEADS. */
struct push_ahead *push_aheads_add(struct push_aheads *aheads);
/* Stops and frees them. */
void push_aheads_release(struct push_aheads *aheads);
/* The session that has all of blob DIGEST: the caller's; NULL: there is none. Waits for one that is
 * about to have it. */
char *push_aheads_take(struct push_aheads *aheads, const struct digest *digest);

/* An upload in progress: what upload.c and upload_send.c share. */
struct upload_session {
    const struct upload *u;
    char digest[DIGEST_TEXT_SIZE];
    struct strlist scopes;
    char *ahead;         /* a session that has the whole blob already (push_ahead.c); NULL: none */
    char *location;      /* where the next bytes go; NULL: no session is open */
    uint64_t offset;     /* bytes that the open session has */
    uint64_t furthest;   /* most that it had when something was last achieved */
    uint64_t chunk_min;  /* the registry wants no smaller ones; 0: it does not say */
    uint64_t chunk_size; /* of the requests where the blob does not go in one */
    bool once;           /* what cannot be had at the first attempt is not worth a second */
    bool chunked;
    bool no_patch;               /* that is not possible here */
    bool committing;             /* the request that failed was the one that completes the blob */
    unsigned broken;             /* whole blobs that broke on their way */
    unsigned refusals;           /* since something was achieved */
    struct error refusal;        /* the first of them */
    struct http_trouble trouble; /* of all requests for this blob */
    struct http_response last;   /* answer to the request that failed */
};

/* Frees what S holds; an open session stays open. Cleanup for AUTO(). */
void upload_session_release(struct upload_session *s);

/* Tells how it goes, if anybody is to know. */
void upload_tell(const struct upload *u, enum event_status status, uint64_t current);

/* registry_call for the session's blob. */
int upload_call(struct upload_session *s, struct http_request *request,
                struct http_response *response, struct error *err);

/* *THERE_OUT: the registry has the blob in this repository. */
int upload_head(struct upload_session *s, bool *there_out, struct error *err);

/* Whether the registry is ECR, whose sessions cannot be asked for. */
bool upload_is_ecr(const struct upload_session *s);

/* POST: a new session. */
int upload_open(struct upload_session *s, struct error *err);

/* Cancels the session, if one is open, without much ado. */
void upload_drop(struct upload_session *s);

/* Where an answer says that the session goes on. */
int upload_take_location(struct upload_session *s, const struct http_response *response,
                         struct error *err);

/* Reads an answer's Range, "0-N" or "bytes=0-N", as N + 1 bytes. TEXT may be NULL. */
bool upload_parse_range(const char *text, uint64_t *len_out);

/* Sends the blob from the store until the registry has it or will not have it: what broke goes on
 * where the registry says it is, or in a new session; no byte is sent twice into one session. */
int upload_send(struct upload_session *s, struct error *err);

/* Where ERR's registry says that a tag cannot be overwritten. */
bool says_immutable(const struct error *err);

#endif
