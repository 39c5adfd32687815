/* Blobs that are read while they are written: who expects them, who writes them, who reads along.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "oci/incoming.h"
#include "oci/store_internal.h"

/* Everything is guarded by store->lock. */
struct incoming {
    struct incoming *next;
    struct store *store;
    struct digest digest;
    unsigned users;      /* those who hold it: who expects, who writes, who reads */
    unsigned fetches;    /* that have not ended */
    bool written;        /* somebody is writing it */
    bool complete;       /* digest and size were confirmed */
    unsigned generation; /* raised when what was written is dropped */
    int fd;              /* the writer's file; -1: none */
    uint64_t len;        /* bytes in the file */
    pthread_cond_t changed;
};

/* Whoever reads along. */
struct along {
    struct reader base;
    struct incoming *incoming;
    int fd; /* a descriptor of its own once it has begun */
    unsigned generation;
    uint64_t at;
};

/* The lock is held. */
static struct incoming *find(struct store *store, const struct digest *digest)
{
    struct incoming *in = store->incoming;
    while (in && !digest_equal(&in->digest, digest)) {
        in = in->next;
    }
    if (in) {
        in->users++;
    }
    return in;
}

struct incoming *store_expect(struct store *store, const struct digest *digest)
{
    pthread_mutex_lock(&store->lock);
    struct incoming *in = find(store, digest);
    if (!in) {
        in = mem_calloc(1, sizeof *in);
        in->store = store;
        in->digest = *digest;
        in->users = 1;
        in->fd = -1;
        pthread_cond_init(&in->changed, NULL);
        in->next = store->incoming;
        store->incoming = in;
    }
    in->fetches++;
    pthread_mutex_unlock(&store->lock);
    return in;
}

void incoming_over(struct incoming *in)
{
    pthread_mutex_lock(&in->store->lock);
    in->fetches--;
    pthread_cond_broadcast(&in->changed);
    pthread_mutex_unlock(&in->store->lock);
}

void incoming_freep(struct incoming **pointer)
{
    struct incoming *in = *pointer;
    *pointer = NULL;
    if (!in) {
        return;
    }
    struct store *store = in->store;
    pthread_mutex_lock(&store->lock);
    bool last = --in->users == 0;
    for (struct incoming **at = &store->incoming; last && *at; at = &(*at)->next) {
        if (*at == in) {
            *at = in->next;
            break;
        }
    }
    pthread_mutex_unlock(&store->lock);
    if (last) {
        fd_closep(&in->fd);
        pthread_cond_destroy(&in->changed);
        free(in);
    }
}

/* ---- the writer's side ---- */

struct incoming *incoming_write(struct store *store, const struct digest *digest, int fd)
{
    pthread_mutex_lock(&store->lock);
    struct incoming *in = find(store, digest);
    bool mine = in && !in->written && !in->complete;
    if (mine) {
        in->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        mine = in->fd >= 0;
        in->written = mine;
    }
    pthread_mutex_unlock(&store->lock);
    if (!mine) {
        incoming_freep(&in);
    }
    return in;
}

void incoming_grow(struct incoming *in, uint64_t len)
{
    pthread_mutex_lock(&in->store->lock);
    in->len += len;
    pthread_cond_broadcast(&in->changed);
    pthread_mutex_unlock(&in->store->lock);
}

void incoming_restart(struct incoming *in)
{
    pthread_mutex_lock(&in->store->lock);
    in->len = 0;
    in->generation++;
    pthread_cond_broadcast(&in->changed);
    pthread_mutex_unlock(&in->store->lock);
}

void incoming_end(struct incoming **pointer, bool complete)
{
    struct incoming *in = *pointer;
    if (!in) {
        return;
    }
    pthread_mutex_lock(&in->store->lock);
    in->written = false;
    in->complete = complete;
    if (!complete) {
        in->len = 0;
        in->generation++;
        fd_closep(&in->fd);
    }
    pthread_cond_broadcast(&in->changed);
    pthread_mutex_unlock(&in->store->lock);
    incoming_freep(pointer);
}

/* ---- the reader's side ---- */

static int began_anew(const struct along *r, struct error *err)
{
    char text[DIGEST_TEXT_SIZE];
    return error_set(err, ERR_REMOTE, "blob %s: its transfer ended or began anew",
                     digest_format(&r->incoming->digest, text));
}

/* Waits for bytes or the end; *LEN_OUT is 0 at the end. The lock is held. */
static int await(struct along *r, uint64_t *len_out, struct error *err)
{
    struct incoming *in = r->incoming;
    for (;;) {
        if (r->fd >= 0 && r->generation != in->generation) {
            return began_anew(r, err);
        }
        *len_out = in->len > r->at ? in->len - r->at : 0;
        if (*len_out > 0 || in->complete) {
            break;
        }
        if (in->fetches == 0) {
            return began_anew(r, err);
        }
        pthread_cond_wait(&in->changed, &in->store->lock);
    }
    if (r->fd < 0) {
        r->generation = in->generation;
        r->fd = fcntl(in->fd, F_DUPFD_CLOEXEC, 0);
    }
    return r->fd < 0 ? error_errno(err, ERR_STORE, "read a blob that is being fetched") : 0;
}

static int read_at(struct along *r, void *data, size_t cap, size_t *got_out, struct error *err)
{
    ssize_t got;
    do {
        got = pread(r->fd, data, cap, (off_t)r->at);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return error_errno(err, ERR_STORE, "read a blob that is being fetched");
    }
    *got_out = (size_t)got;
    return 0;
}

static int along_read(struct reader *base, void *data, size_t cap, size_t *got_out,
                      struct error *err)
{
    struct along *r = (struct along *)base;
    pthread_mutex_t *lock = &r->incoming->store->lock;
    uint64_t there = 0;
    size_t got = 0;
    pthread_mutex_lock(lock);
    int rc = await(r, &there, err);
    pthread_mutex_unlock(lock);
    if (rc == 0 && there > 0) {
        rc = read_at(r, data, cap < there ? cap : (size_t)there, &got, err);
        /* The file may have been emptied and written anew meanwhile. */
        pthread_mutex_lock(lock);
        bool stale = r->generation != r->incoming->generation;
        pthread_mutex_unlock(lock);
        if (rc == 0 && (stale || got == 0)) {
            rc = began_anew(r, err);
        }
    }
    if (rc == 0) {
        r->at += got;
        *got_out = got;
    }
    return rc;
}

static void along_free(struct reader *base)
{
    struct along *r = (struct along *)base;
    fd_closep(&r->fd);
    incoming_freep(&r->incoming);
    free(r);
}

int store_blob_reader(struct store *store, const struct digest *digest, struct reader **out,
                      struct error *err)
{
    static const struct reader_ops ops = {along_read, along_free};
    pthread_mutex_lock(&store->lock);
    struct incoming *in = find(store, digest);
    pthread_mutex_unlock(&store->lock);
    if (in) {
        struct along *r = mem_calloc(1, sizeof *r);
        *r = (struct along){.base = {&ops}, .incoming = in, .fd = -1};
        *out = &r->base;
        return 0;
    }
    int fd = -1;
    if (store_open_blob(store, digest, &fd, NULL, err) != 0) {
        return -1;
    }
    *out = reader_fd(fd, "layer");
    return 0;
}
