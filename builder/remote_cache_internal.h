/*
 * What the reading (remote_cache.c) and the writing side (remote_write.c) of the remote cache
 * share.
 */
#ifndef SLIPWAY_BUILDER_REMOTE_CACHE_INTERNAL_H
#define SLIPWAY_BUILDER_REMOTE_CACHE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "builder/remote_cache.h"

enum { REMOTE_WRITERS = 4, REMOTE_TAG_SIZE = 160 };

enum remote_state { REMOTE_UNKNOWN, REMOTE_UP, REMOTE_DOWN };

/* A repository that holds entries. */
struct remote_repository {
    struct remote_cache *cache;
    char *name; /* as given */
    char *host;
    char *repository;
    char *prefix;            /* of tags, "step" */
    bool from;               /* asked */
    bool to;                 /* written to */
    enum remote_state state; /* under cache->lock, as all that follows */
    pthread_t probe;
    bool write_down; /* it cannot be written to */
    bool damaged;    /* an entry could not be written for a reason of its own: warned of */
    size_t written, there;
    _Atomic uint64_t bytes_sent;
};

/* An entry that is to be written. */
struct remote_job {
    struct remote_repository *to;
    struct digest key;
    struct step_result result;
    char *created_by;
    struct platform platform;
    bool replace; /* what stands there was refused */
    struct remote_job *next;
};

/* A layer that a repository offered. */
struct remote_offer {
    struct remote_repository *by;
    struct digest key;
    struct step_result result;
    bool refused; /* by us */
};

struct remote_cache {
    struct store *store;
    struct registry *registry; /* the build's: patient */
    struct registry *brief;    /* makes nobody wait */
    struct event_sink *events;
    struct remote_repository *items;
    size_t len;
    int64_t opened_ms;
    atomic_bool stop;
    _Atomic uint64_t moved; /* raised with every sign of progress of the writers */
    pthread_mutex_t lock;   /* of all that follows */
    pthread_cond_t changed;
    struct remote_offer *offers;
    size_t offers_len;
    unsigned blames;
    bool eager;            /* layers are fetched at once: the build cannot be done again */
    bool deaf;             /* nothing is asked any more */
    struct digest *queued; /* keys that were put already */
    size_t queued_len;
    struct remote_job *jobs;
    struct remote_job **last;
    size_t waiting, running;
    bool held;  /* the build is being stopped: what was cut short is done later */
    bool ended; /* threads are to end */
    pthread_t threads[REMOTE_WRITERS];
    size_t threads_len;
};

/* Milliseconds of the monotonic clock. */
int64_t remote_now_ms(void);

/* "PREFIX-HEX" */
void remote_tag(const struct remote_repository *repository, const struct digest *key,
                char out[REMOTE_TAG_SIZE]);

/* Whether the repository answers; waits for the first contact, but not long. */
bool remote_is_up(struct remote_repository *repository);

/* An offer for KEY by REPOSITORY that was refused, or (REFUSED false) taken; under the lock. */
bool remote_has_offer(struct remote_cache *cache, const struct remote_repository *repository,
                      const struct digest *key, bool refused);

/* Sleeps until something changed, at most MS; under the lock. */
void remote_sleep(struct remote_cache *cache, int ms);

/* Ends the writers. */
void remote_write_end(struct remote_cache *cache);

#endif
