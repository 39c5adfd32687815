/* Hashing the files of a tree, many at a time. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/memory.h"
#include "base/spill.h"
#include "oci/folder_internal.h"

enum { READ_SIZE = 128 * 1024 };

/* Entries of a tree are seen by several threads: a digest is put under this lock, and the flag that
 * announces it after it. */
static pthread_mutex_t publish_lock = PTHREAD_MUTEX_INITIALIZER;

struct hash_job {
    struct store *store;
    struct entry **entries; /* to be hashed */
    size_t entries_cap;
    size_t len;
    uint64_t bytes; /* of all of them */
    size_t next;    /* atomic */
    int failed;     /* atomic */
    pthread_mutex_t lock;
    struct error err; /* the first failure; guarded by lock */
};

/* What one thread works with. */
struct hash_tools {
    struct hasher *hasher;
    char *chunk;
};

static bool has_digest(const struct entry *entry)
{
    return __atomic_load_n(&entry->flags, __ATOMIC_ACQUIRE) & ENTRY_HAS_DIGEST;
}

static void publish(struct entry *entry, const struct digest *digest)
{
    pthread_mutex_lock(&publish_lock);
    if (!(entry->flags & ENTRY_HAS_DIGEST)) {
        entry->digest = *digest;
        __atomic_store_n(&entry->flags, (uint8_t)(entry->flags | ENTRY_HAS_DIGEST),
                         __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&publish_lock);
}

/* Any content, by its reader. */
static int hash_stream(const struct hash_tools *tools, const struct entry *entry,
                       struct digest *out, struct error *err)
{
    AUTO(reader_freep) struct reader *reader = NULL;
    if (entry_open(entry, &reader, err) != 0) {
        return -1;
    }
    for (;;) {
        size_t got = 0;
        if (reader_read(reader, tools->chunk, READ_SIZE, &got, err) != 0) {
            return -1;
        }
        if (got == 0) {
            break;
        }
        if (cancel_requested()) {
            return cancel_error(err);
        }
        hasher_add(tools->hasher, tools->chunk, got);
    }
    hasher_finish(tools->hasher, out);
    return 0;
}

/* Exactly SIZE bytes of FD. */
static int hash_fd(const struct hash_tools *tools, int fd, const struct entry *entry,
                   struct digest *out, struct error *err)
{
    uint64_t left = entry->size;
    for (;;) {
        ssize_t got = read(fd, tools->chunk, READ_SIZE);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return error_errno(err, ERR_USAGE, "read '%s'", entry->path);
        }
        if ((uint64_t)got > left || (got == 0 && left > 0)) {
            return error_set(err, ERR_USAGE, "'%s' changed during the build", entry->path);
        }
        if (got == 0) {
            break;
        }
        if (cancel_requested()) {
            return cancel_error(err);
        }
        hasher_add(tools->hasher, tools->chunk, (size_t)got);
        left -= (uint64_t)got;
        /* A short read of a regular file is its end; fstat() said so too. */
        if (left == 0 && got < READ_SIZE) {
            break;
        }
    }
    hasher_finish(tools->hasher, out);
    return 0;
}

static int hash_folder_file(const struct hash_job *job, const struct hash_tools *tools,
                            struct folder_source *source, const struct entry *entry,
                            struct digest *out, struct error *err)
{
    if (folder_known_digest(source, job->store, entry->handle, out)) {
        return 0;
    }
    AUTO(fd_closep) int fd = -1;
    struct stat st;
    if (folder_open_file(source, entry->handle, &fd, &st, err) != 0 ||
        hash_fd(tools, fd, entry, out, err) != 0) {
        return -1;
    }
    struct file_stamp stamp;
    file_stamp_of(&st, &stamp);
    folder_remember(source, entry->handle, out,
                    file_stamp_equal(&stamp, &folder_file_at(source, entry->handle)->stamp));
    return 0;
}

static int hash_entry(const struct hash_job *job, const struct hash_tools *tools,
                      const struct entry *entry, struct digest *out, struct error *err)
{
    if (entry->size == 0) {
        digest_of("", 0, out);
        return 0;
    }
    struct folder_source *source = folder_source_of(entry->source);
    return source ? hash_folder_file(job, tools, source, entry, out, err)
                  : hash_stream(tools, entry, out, err);
}

static void fail(struct hash_job *job, const struct error *err)
{
    pthread_mutex_lock(&job->lock);
    if (!job->failed) {
        job->err = *err;
        __atomic_store_n(&job->failed, 1, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&job->lock);
}

/* A task of the pool: hashes what nobody has taken yet. */
static void hash_some(void *arg)
{
    struct hash_job *job = arg;
    struct error err = {0};
    AUTO(hasher_freep) struct hasher *hasher = hasher_new();
    AUTO(mem_freep) char *chunk = mem_alloc(READ_SIZE);
    struct hash_tools tools = {hasher, chunk};
    while (!__atomic_load_n(&job->failed, __ATOMIC_ACQUIRE)) {
        size_t at = __atomic_fetch_add(&job->next, 1, __ATOMIC_RELAXED);
        if (at >= job->len) {
            return;
        }
        struct digest digest;
        spill_looked(1);
        int result = cancel_requested() ? cancel_error(&err)
                                        : hash_entry(job, &tools, job->entries[at], &digest, &err);
        if (result != 0) {
            fail(job, &err);
            return;
        }
        publish(job->entries[at], &digest);
    }
}

/* Entries of [FIRST, END) that lack a digest; files that only hard links of the range lead to are
 * among them. */
static void collect(const struct tree *tree, size_t first, size_t end, struct hash_job *job)
{
    job->entries_cap = end > first ? end - first : 0;
    job->entries = spill_calloc(job->entries_cap, sizeof(*job->entries));
    for (size_t i = first; i < end; i++) {
        const struct entry *entry = entry_inode(tree_at(tree, i));
        if (entry && entry->type == ENTRY_FILE && !has_digest(entry)) {
            job->entries[job->len++] = (struct entry *)entry;
            job->bytes += entry->size;
        }
    }
}

/* Hard links show the digest of their file. */
static void publish_links(const struct tree *tree, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++) {
        const struct entry *entry = tree_at(tree, i);
        if (entry->type == ENTRY_HARDLINK && entry->target && has_digest(entry->target)) {
            publish((struct entry *)entry, &entry->target->digest);
        }
    }
}

int tree_hash_files(struct tree *tree, size_t first, size_t end, struct store *store,
                    struct pool *pool, struct error *err)
{
    enum { FILES_WORTH_A_THREAD = 32, BYTES_WORTH_A_THREAD = 4 * 1024 * 1024 };
    struct hash_job job = {.store = store, .lock = PTHREAD_MUTEX_INITIALIZER};
    collect(tree, first, end, &job);
    struct pool_group group = POOL_GROUP_INIT;
    size_t tasks = pool ? pool_size(pool) : 1;
    size_t useful = job.len / FILES_WORTH_A_THREAD + (size_t)(job.bytes / BYTES_WORTH_A_THREAD) + 1;
    tasks = tasks < useful ? tasks : useful;
    for (size_t i = 1; i < tasks; i++) {
        pool_submit(pool, &group, hash_some, &job);
    }
    if (job.len > 0) {
        hash_some(&job);
    }
    if (tasks > 1) {
        pool_wait(pool, &group);
    }
    spill_free(job.entries, job.entries_cap * sizeof(*job.entries));
    pthread_mutex_destroy(&job.lock);
    if (job.failed) {
        *err = job.err;
        return -1;
    }
    publish_links(tree, first, end);
    return 0;
}
