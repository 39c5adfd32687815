#include "base/pool.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/thread.h"

struct task {
    void (*fn)(void *arg);
    void *arg;
    struct pool_group *group;
};

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t work;  /* a task was queued, or the pool ends */
    pthread_cond_t space; /* a task was taken or finished */
    struct task *queue;   /* a ring */
    size_t cap;
    size_t head;
    size_t len;
    pthread_t *threads;
    unsigned size;
    unsigned running; /* threads that could be started */
    bool started;
    bool ending;
};

struct pool *pool_new(unsigned threads)
{
    struct pool *pool = mem_calloc(1, sizeof *pool);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->space, NULL);
    pool->size = threads ? threads : cpu_count();
    pool->cap = (size_t)pool->size * 4;
    pool->queue = mem_calloc(pool->cap, sizeof *pool->queue);
    pool->threads = mem_calloc(pool->size, sizeof *pool->threads);
    return pool;
}

/* Takes the first queued task and runs it. The lock is held on entry and on return. */
static void run_one(struct pool *pool)
{
    struct task task = pool->queue[pool->head];
    pool->head = (pool->head + 1) % pool->cap;
    pool->len--;
    pthread_cond_broadcast(&pool->space);
    pthread_mutex_unlock(&pool->lock);
    task.fn(task.arg);
    pthread_mutex_lock(&pool->lock);
    if (task.group) {
        task.group->pending--;
    }
    pthread_cond_broadcast(&pool->space);
}

static void *worker(void *arg)
{
    struct pool *pool = arg;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (pool->len == 0 && !pool->ending) {
            pthread_cond_wait(&pool->work, &pool->lock);
        }
        if (pool->len == 0) {
            break;
        }
        run_one(pool);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* Fewer threads than wanted are slower, none at all means that the callers do the work. */
static void start_threads(struct pool *pool)
{
    pool->started = true;
    while (pool->running < pool->size &&
           thread_try_start(&pool->threads[pool->running], worker, pool)) {
        pool->running++;
    }
}

void pool_submit(struct pool *pool, struct pool_group *group, void (*fn)(void *arg), void *arg)
{
    pthread_mutex_lock(&pool->lock);
    if (!pool->started) {
        start_threads(pool);
    }
    while (pool->len == pool->cap) {
        if (pool->running == 0) {
            run_one(pool);
        } else {
            pthread_cond_wait(&pool->space, &pool->lock);
        }
    }
    pool->queue[(pool->head + pool->len) % pool->cap] = (struct task){fn, arg, group};
    pool->len++;
    if (group) {
        group->pending++;
    }
    pthread_cond_signal(&pool->work);
    pthread_mutex_unlock(&pool->lock);
}

void pool_wait(struct pool *pool, struct pool_group *group)
{
    pthread_mutex_lock(&pool->lock);
    while (group->pending > 0) {
        if (pool->len > 0) {
            run_one(pool);
        } else {
            pthread_cond_wait(&pool->space, &pool->lock);
        }
    }
    pthread_mutex_unlock(&pool->lock);
}

unsigned pool_size(const struct pool *pool)
{
    return pool->size;
}

void pool_free(struct pool *pool)
{
    if (!pool) {
        return;
    }
    pthread_mutex_lock(&pool->lock);
    pool->ending = true;
    pthread_cond_broadcast(&pool->work);
    while (pool->running == 0 && pool->len > 0) {
        run_one(pool);
    }
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->running; i++) {
        pthread_join(pool->threads[i], NULL);
    }
    pthread_mutex_destroy(&pool->lock);
    pthread_cond_destroy(&pool->work);
    pthread_cond_destroy(&pool->space);
    free(pool->queue);
    free(pool->threads);
    free(pool);
}

void pool_freep(struct pool **pool)
{
    pool_free(*pool);
    *pool = NULL;
}
