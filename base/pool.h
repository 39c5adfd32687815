/*
 * A pool of threads that run short tasks, and groups of tasks to wait for.
 *
 *     struct pool *pool = pool_new(0);
 *     struct pool_group group = POOL_GROUP_INIT;
 *     pool_submit(pool, &group, task, argument);      // blocks while the queue is full
 *     pool_wait(pool, &group);                         // runs queued tasks itself meanwhile
 *
 * Tasks must not wait for other tasks of the pool except by pool_wait(). Threads start with the
 * first task, so that a pool costs nothing where it is not used. Long-lived work (a transfer, a
 * stage) uses threads of its own (thread_start).
 */
#ifndef SLIPWAY_BASE_POOL_H
#define SLIPWAY_BASE_POOL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct pool;

/* How many tasks of a kind are still to be done. Zero-initialised; lives with the caller until
 * pool_wait() returned. */
struct pool_group {
    size_t pending;
};
#define POOL_GROUP_INIT                                                                            \
    {                                                                                              \
        0                                                                                          \
    }

/* A pool of THREADS threads (0: one per available core). Never fails: where the system starts fewer
 * threads, the callers work too. */
struct pool *pool_new(unsigned threads);

/* Ends the threads after the queued tasks are done. NULL is fine. */
void pool_free(struct pool *pool);

/* Cleanup for AUTO(). */
void pool_freep(struct pool **pool);

/* How many threads the pool has. */
unsigned pool_size(const struct pool *pool);

/* Queues FN(ARG); waits while four tasks per thread are queued. GROUP may be NULL. */
void pool_submit(struct pool *pool, struct pool_group *group, void (*fn)(void *arg), void *arg);

/* Returns when every task of GROUP is done. */
void pool_wait(struct pool *pool, struct pool_group *group);

#endif
