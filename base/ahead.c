#include "base/ahead.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/thread.h"

enum { BLOCKS = 4, BLOCK_BYTES = 256 * 1024 };

struct ahead {
    struct reader base;
    struct reader *in;
    pthread_t thread;
    bool started;  /* the first block was read */
    bool threaded; /* there is a thread */
    pthread_mutex_t lock;
    pthread_cond_t filled; /* a block was filled, or the end came */
    pthread_cond_t freed;  /* a block was used up, or the reader is not wanted any more */
    char *blocks[BLOCKS];
    size_t lens[BLOCKS];
    size_t first; /* the block that is read from */
    size_t count; /* blocks filled */
    size_t at;    /* in the first */
    bool ended;   /* no more blocks come */
    bool stopped; /* nobody wants more */
    bool failed;
    struct error err; /* failed: why */
};

/* Fills the block behind the filled ones. Without the lock: nobody else touches that block. */
static void fill_one(struct ahead *a, size_t index, size_t *len_out, bool *ended_out)
{
    *len_out = 0;
    if (!a->blocks[index]) {
        a->blocks[index] = mem_alloc(BLOCK_BYTES);
    }
    struct error err = {0};
    if (reader_read_full(a->in, a->blocks[index], BLOCK_BYTES, len_out, &err) != 0) {
        a->failed = true;
        a->err = err;
    }
    *ended_out = a->failed || *len_out < BLOCK_BYTES;
}

/* Lets the caller have the block. The lock is held. */
static void hand_over(struct ahead *a, size_t index, size_t len, bool ended)
{
    a->lens[index] = len;
    a->count += len > 0;
    a->ended = ended;
    pthread_cond_signal(&a->filled);
}

static void *read_all(void *arg)
{
    struct ahead *a = arg;
    pthread_mutex_lock(&a->lock);
    while (!a->ended && !a->stopped) {
        if (a->count == BLOCKS) {
            pthread_cond_wait(&a->freed, &a->lock);
            continue;
        }
        size_t index = (a->first + a->count) % BLOCKS;
        size_t len = 0;
        bool ended = false;
        pthread_mutex_unlock(&a->lock);
        fill_one(a, index, &len, &ended);
        pthread_mutex_lock(&a->lock);
        hand_over(a, index, len, ended);
    }
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

/* The first block is read by the caller; what is longer gets a thread. */
static void start(struct ahead *a)
{
    size_t len = 0;
    bool ended = false;
    fill_one(a, 0, &len, &ended);
    hand_over(a, 0, len, ended);
    a->started = true;
    if (!ended) {
        a->threaded = true;
        thread_start(&a->thread, read_all, a);
    }
}

static int take(struct ahead *a, void *data, size_t cap, size_t *got_out, struct error *err)
{
    while (a->count == 0 && !a->ended) {
        pthread_cond_wait(&a->filled, &a->lock);
    }
    if (a->count == 0) {
        *got_out = 0;
        if (a->failed) {
            *err = a->err;
        }
        return a->failed ? -1 : 0;
    }
    size_t index = a->first;
    size_t got = a->lens[index] - a->at < cap ? a->lens[index] - a->at : cap;
    pthread_mutex_unlock(&a->lock);
    memcpy(data, a->blocks[index] + a->at, got);
    pthread_mutex_lock(&a->lock);
    a->at += got;
    if (a->at == a->lens[index]) {
        a->at = 0;
        a->first = (a->first + 1) % BLOCKS;
        a->count--;
        pthread_cond_signal(&a->freed);
    }
    *got_out = got;
    return 0;
}

static int ahead_read(struct reader *base, void *data, size_t cap, size_t *got_out,
                      struct error *err)
{
    struct ahead *a = (struct ahead *)base;
    if (!a->started) {
        start(a);
    }
    pthread_mutex_lock(&a->lock);
    int rc = take(a, data, cap, got_out, err);
    pthread_mutex_unlock(&a->lock);
    return rc;
}

static void ahead_free(struct reader *base)
{
    struct ahead *a = (struct ahead *)base;
    pthread_mutex_lock(&a->lock);
    a->stopped = true;
    pthread_cond_signal(&a->freed);
    pthread_mutex_unlock(&a->lock);
    if (a->threaded) {
        pthread_join(a->thread, NULL);
    }
    reader_freep(&a->in);
    for (size_t i = 0; i < BLOCKS; i++) {
        free(a->blocks[i]);
    }
    pthread_cond_destroy(&a->filled);
    pthread_cond_destroy(&a->freed);
    pthread_mutex_destroy(&a->lock);
    free(a);
}

struct reader *reader_ahead(struct reader *in)
{
    static const struct reader_ops ops = {ahead_read, ahead_free};
    struct ahead *a = mem_calloc(1, sizeof *a);
    a->base.ops = &ops;
    a->in = in;
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->filled, NULL);
    pthread_cond_init(&a->freed, NULL);
    return &a->base;
}
