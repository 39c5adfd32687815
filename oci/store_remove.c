/* Removing what nobody waits for. */
#include <pthread.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/strlist.h"
#include "base/thread.h"
#include "oci/store_internal.h"

struct store_remover {
    int store; /* the store's folder, borrowed */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct strlist paths;
    size_t done; /* of them */
    bool ending;
};

/* What cannot be removed goes with the rest of this process's part of tmp/. */
static void *remove_all(void *arg)
{
    struct store_remover *r = arg;
    pthread_mutex_lock(&r->lock);
    while (r->done < r->paths.len || !r->ending) {
        if (r->done == r->paths.len) {
            pthread_cond_wait(&r->more, &r->lock);
            continue;
        }
        AUTO(mem_freep) char *path = mem_strdup(r->paths.items[r->done++]);
        struct error ignored = {0};
        pthread_mutex_unlock(&r->lock);
        file_remove_tree(r->store, path, &ignored);
        pthread_mutex_lock(&r->lock);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

static struct store_remover *start(struct store *store)
{
    struct store_remover *r = mem_calloc(1, sizeof *r);
    r->store = store->fd;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->more, NULL);
    thread_start(&r->thread, remove_all, r);
    return r;
}

void store_remove_later(struct store *store, const char *path)
{
    pthread_mutex_lock(&store->lock);
    if (!store->remover) {
        store->remover = start(store);
    }
    struct store_remover *r = store->remover;
    pthread_mutex_unlock(&store->lock);
    pthread_mutex_lock(&r->lock);
    strlist_add(&r->paths, path);
    pthread_cond_signal(&r->more);
    pthread_mutex_unlock(&r->lock);
}

void store_remover_end(struct store *store)
{
    struct store_remover *r = store->remover;
    store->remover = NULL;
    if (!r) {
        return;
    }
    pthread_mutex_lock(&r->lock);
    r->ending = true;
    pthread_cond_signal(&r->more);
    pthread_mutex_unlock(&r->lock);
    pthread_join(r->thread, NULL);
    pthread_cond_destroy(&r->more);
    pthread_mutex_destroy(&r->lock);
    strlist_release(&r->paths);
    free(r);
}
