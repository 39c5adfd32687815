/*
 * Registries: resolve, pull, push (distribution-spec 1.1), with docker's names and credentials.
 *
 *     registry_open(store, &options, &registry, err)
 *     reference_parse("ubuntu:18.04", &ref, err)
 *
 * registry_get_image() brings manifest and config, registry_get_layer() a layer when its bytes are
 * needed. push_open(), push_add_blob() for each blob as soon as it is there, push_finish(): uploads
 * run in the background.
 *
 * All functions may be called from several threads. Every blob is verified by digest and size on
 * the way in.
 */
#ifndef SLIPWAY_REGISTRY_REGISTRY_H
#define SLIPWAY_REGISTRY_REGISTRY_H

#include <stdatomic.h>

#include "base/event.h"
#include "base/strlist.h"
#include "oci/document.h"
#include "oci/store.h"
#include "registry/reference.h"

struct registry;

struct registry_options {
    bool offline;                   /* open no socket: what is missing is an error that names it */
    const struct strlist *insecure; /* more host:port over plain HTTP, besides
                                       SLIPWAY_INSECURE_REGISTRIES and loopback */
    const struct strlist *certificates;        /* HOST=PEM */
    const struct strlist *client_certificates; /* HOST=PEM, certificate and key */
    const char *user_agent;
    /* As in base/http.h; 0: the defaults. */
    int retries;
    unsigned retry_delay_ms;
    unsigned timeout_ms;
    unsigned budget_ms;
    const atomic_bool *stop; /* once true, all requests end with ERR_CANCELLED; NULL: none; borrowed
                                as long as the registry lives */
    bool create_repository;  /* on ECR, make a repository that is missing before a push */
    struct event_sink *events;
};

/* Reads the environment (SLIPWAY_*, DOCKER_CONFIG, REGISTRY_AUTH_FILE, proxies) when first needed;
 * opens no socket. */
int registry_open(struct store *store, const struct registry_options *options,
                  struct registry **out, struct error *err);
/* As LIKE, for what must not make anybody wait: a single attempt, TIMEOUT_MS without progress, all
 * of it ended by STOP. Tells no transfers. */
int registry_open_brief(const struct registry *like, unsigned timeout_ms, const atomic_bool *stop,
                        struct registry **out, struct error *err);
/* The client that its requests go through, with the user's patience, certificates and proxies: for
 * others who speak HTTP. It knows nothing of `offline`. Borrowed. */
struct http_client *registry_http(struct registry *registry);
/* Cleanup for AUTO(). */
void registry_freep(struct registry **registry);

/* How fresh a tag's digest must be. */
enum resolve_policy {
    RESOLVE_REGISTRY, /* ask the registry (HEAD); where it cannot be reached and the store knows the
                         tag: an error all the same */
    RESOLVE_STORE_FIRST, /* what the store has tagged or resolved counts */
};

/* Manifest (the PLATFORM's, of an index) and config of REF into the store; *IMAGE is the caller's
 * (image_release). With a digest in REF, or offline, what the store has is used without asking. A
 * tag that was resolved is remembered with its digest. The image's origin is recorded for all its
 * blobs. ERR_AUTH, ERR_REMOTE (404: "no such image"). */
int registry_get_image(struct registry *registry, const struct reference *ref,
                       const struct platform *platform, enum resolve_policy policy,
                       struct image *image, struct error *err);

/* The blob of IMAGE's layer INDEX into the store, from its origin (or any other place where it is
 * known to be); nothing to do if it is there. Concurrent calls for the same blob share one
 * download. */
int registry_get_layer(struct registry *registry, const struct image *image, size_t index,
                       struct error *err);

/* Several layers in parallel: [FIRST, FIRST + COUNT). */
int registry_get_layers(struct registry *registry, const struct image *image, size_t first,
                        size_t count, struct error *err);

/* Whether a blob was to be fetched and could not be, from nowhere. */
bool registry_blob_failed(struct registry *registry, const struct digest *digest);

/* A push to one repository, in the background from the first blob on. */
struct push;

/* Opens no socket yet. TO's repository counts, its tag is used by push_finish. */
int push_open(struct registry *registry, const struct reference *to, struct push **out,
              struct error *err);

/* Starts to bring BLOB over: HEAD, then mount from a repository of the same registry where it is
 * known to be (store origins), then upload from the store; where the store lacks it, it is fetched
 * from its origin first. Returns at once; the same digest twice is fine. */
void push_add_blob(struct push *push, const struct descriptor *blob);

/* A blob on its way before it is whole. */
struct push_ahead;

/* Where a large blob is being written that the registry hardly has, sending begins meanwhile: push
 * it with push_add_blob() as always, and only the rest is sent. It hardly has it where the
 * repository is new, or where it has another version that this store made of it. Whatever goes
 * wrong with that costs nothing but what was sent. Ends with PUSH. */
struct push_ahead *push_ahead_begin(struct push *push);

/* More of it was written to FD, borrowed for the call; LIKE: a blob that it shares content with,
 * NULL: none so far. */
void push_ahead_grown(struct push_ahead *ahead, int fd, const struct digest *like);

/* All of it was written. DIGEST: what it is; NULL: it will not be pushed. */
void push_ahead_end(struct push_ahead *ahead, const struct digest *digest);

/* Waits for all blobs, then puts the manifest bytes (in the store) under its digest and under each
 * of TAGS (NULL-terminated list; may be empty). Before a tag is put it is looked up: the same
 * digest there already is done; a registry that refuses because the tag is immutable and holds
 * another digest is ERR_IMMUTABLE. CHILDREN of an index are put before with push_manifest. Records
 * origins. */
int push_finish(struct push *push, const struct descriptor *manifest, const char *const *tags,
                struct error *err);

/* For indexes: waits for all blobs so far and puts a child manifest by digest. */
int push_manifest(struct push *push, const struct descriptor *manifest, struct error *err);

/* Bytes of blobs really sent so far, for reports. */
uint64_t push_bytes_sent(const struct push *push);

/* Stops what still runs and frees. Cleanup for AUTO(). */
void push_freep(struct push **push);

/* Pushes an image that lies in the store (`slipway push`): all of the above in one. */
int registry_push_image(struct registry *registry, const struct image *image,
                        const struct descriptor *top, const struct reference *to,
                        struct error *err);

/* Checks credentials with the registry (`slipway login`): a GET of /v2/ with USER and PASSWORD.
 * ERR_AUTH. */
int registry_check_login(struct registry *registry, const char *host, const char *user,
                         const char *password, struct error *err);

#endif
