/*
 * Blobs: files whose name is the digest of their content.
 *
 * A blob is hashed while it is written and gets its name by rename() when it is complete, so a kill
 * leaves at most an unfinished file in tmp/. No fsync: after a power loss the latest blobs may be
 * empty or short. Whoever reads a document verifies its digest, layers are verified by their diff
 * id, and a blob whose size is not what a writer of the same content has is replaced by it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "oci/incoming.h"
#include "oci/store_internal.h"

enum { BUFFER_SIZE = 64 * 1024 };

struct blob_writer {
    struct writer stream;
    struct store *store;
    struct hasher *hasher;
    struct incoming *incoming; /* for those who read along; NULL: nobody */
    char *temp;                /* NULL once it has its final name */
    int fd;
    uint64_t size;
    bool failed; /* a write did: what was hashed is not what is in the file */
    size_t buffered;
    char buffer[BUFFER_SIZE];
};

char *store_blob_path(const struct digest *digest, char out[STORE_BLOB_PATH_SIZE])
{
    static const char folder[] = "blobs/sha256/";
    memcpy(out, folder, sizeof folder - 1);
    digest_hex(digest, out + sizeof folder - 1);
    return out;
}

/* SHA-256 of nothing. */
static bool is_digest_of_nothing(const struct digest *digest)
{
    struct digest empty;
    digest_of("", 0, &empty);
    return digest_equal(digest, &empty);
}

bool store_has_blob(struct store *store, const struct digest *digest, uint64_t *size_out)
{
    char path[STORE_BLOB_PATH_SIZE];
    struct stat st;
    if (fstatat(store->fd, store_blob_path(digest, path), &st, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISREG(st.st_mode)) {
        return false;
    }
    if (st.st_size == 0 && !is_digest_of_nothing(digest)) {
        return false; /* what a power loss leaves behind */
    }
    if (!store_used(store, path, &st)) {
        return false;
    }
    if (size_out) {
        *size_out = (uint64_t)st.st_size;
    }
    return true;
}

int store_open_blob(struct store *store, const struct digest *digest, int *fd_out,
                    uint64_t *size_out, struct error *err)
{
    char path[STORE_BLOB_PATH_SIZE];
    char text[DIGEST_TEXT_SIZE];
    store_touch(store, store_blob_path(digest, path));
    AUTO(fd_closep) int fd = openat(store->fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT) {
        error_set(err, ERR_STORE, "blob %s is not there", digest_format(digest, text));
        err->sys_errno = ENOENT;
        return store_fault(store, err);
    }
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        error_errno(err, ERR_STORE, "blob %s", digest_format(digest, text));
        return store_fault(store, err);
    }
    if (size_out) {
        *size_out = (uint64_t)st.st_size;
    }
    *fd_out = fd_steal(&fd);
    return 0;
}

int store_read_blob(struct store *store, const struct digest *digest, size_t max, struct buf *out,
                    struct error *err)
{
    AUTO(fd_closep) int fd = -1;
    uint64_t size = 0;
    if (store_open_blob(store, digest, &fd, &size, err) != 0) {
        return -1;
    }
    char path[STORE_BLOB_PATH_SIZE];
    char text[DIGEST_TEXT_SIZE];
    digest_format(digest, text);
    if (size > max) {
        error_set(err, ERR_STORE, "blob %s has %" PRIu64 " bytes, more than the %zu allowed here",
                  text, size, max);
        return store_fault(store, err);
    }
    AUTO(buf_release) struct buf bytes = BUF_INIT(0);
    if (file_read_fd(fd, text, max, &bytes, err) != 0) {
        return store_fault(store, err);
    }
    struct digest actual;
    digest_of(buf_text(&bytes), bytes.len, &actual);
    if (!digest_equal(&actual, digest)) {
        /* Worth nothing to anybody; without it the next who needs it makes or fetches it anew. */
        unlinkat(store->fd, store_blob_path(digest, path), 0);
        error_set(err, ERR_STORE, "blob %s was damaged and is removed: run the command again",
                  text);
        return store_fault(store, err);
    }
    if (!buf_try_append(out, buf_text(&bytes), bytes.len)) {
        return error_set(err, ERR_STORE, "blob %s is larger than %zu bytes", text, out->max);
    }
    return 0;
}

int store_put_blob(struct store *store, const void *data, size_t len, struct digest *digest_out,
                   struct error *err)
{
    struct digest digest;
    digest_of(data, len, &digest);
    uint64_t size = 0;
    if (!store_has_blob(store, &digest, &size) || size != len) {
        char path[STORE_BLOB_PATH_SIZE];
        const struct iovec part = {(void *)data, len};
        if (store_write_file(store, store_blob_path(&digest, path), &part, 1, err) != 0) {
            return -1;
        }
    }
    *digest_out = digest;
    return 0;
}

int store_remove_blob(struct store *store, const struct digest *digest, struct error *err)
{
    char path[STORE_BLOB_PATH_SIZE];
    if (unlinkat(store->fd, store_blob_path(digest, path), 0) != 0 && errno != ENOENT) {
        error_errno(err, ERR_STORE, "remove '%s'", path);
        return store_fault(store, err);
    }
    return 0;
}

int store_adopt_file(struct store *store, const char *temp, const struct digest *digest,
                     uint64_t size, bool *taken_out, struct error *err)
{
    uint64_t there = 0;
    if (store_has_blob(store, digest, &there) && there == size) {
        *taken_out = false;
        return 0;
    }
    char path[STORE_BLOB_PATH_SIZE];
    if (renameat(store->fd, temp, store->fd, store_blob_path(digest, path)) != 0) {
        error_errno(err, ERR_STORE, "rename to '%s'", path);
        return store_fault(store, err);
    }
    *taken_out = true;
    return 0;
}

static int write_file(struct blob_writer *w, const void *data, size_t len, struct error *err)
{
    if (file_write_fd(w->fd, w->temp, data, len, err) != 0) {
        w->failed = true;
        return store_fault(w->store, err);
    }
    if (w->incoming) {
        incoming_grow(w->incoming, len);
    }
    return 0;
}

static int flush_buffer(struct blob_writer *w, struct error *err)
{
    size_t len = w->buffered;
    w->buffered = 0;
    return len > 0 ? write_file(w, w->buffer, len, err) : 0;
}

static int blob_write(struct writer *stream, const void *data, size_t len, struct error *err)
{
    struct blob_writer *w = (struct blob_writer *)stream;
    hasher_add(w->hasher, data, len);
    w->size += len;
    if (len > BUFFER_SIZE - w->buffered && flush_buffer(w, err) != 0) {
        return -1;
    }
    if (len >= BUFFER_SIZE) {
        return write_file(w, data, len, err);
    }
    if (len > 0) {
        memcpy(w->buffer + w->buffered, data, len);
        w->buffered += len;
    }
    return 0;
}

/* The stream is part of the blob writer, which its owner frees. */
static void blob_stream_free(struct writer *stream)
{
    (void)stream;
}

static const struct writer_ops blob_ops = {blob_write, blob_stream_free};

int blob_writer_open(struct store *store, struct blob_writer **out, struct error *err)
{
    AUTO(mem_freep) char *temp = NULL;
    if (store_temp_name(store, &temp, err) != 0) {
        return -1;
    }
    int fd = -1;
    if (file_open(store->fd, temp, O_RDWR | O_CREAT | O_EXCL, STORE_FILE_MODE, &fd, err) != 0) {
        return store_fault(store, err);
    }
    struct blob_writer *w = mem_alloc(sizeof *w);
    w->stream.ops = &blob_ops;
    w->store = store;
    w->incoming = NULL;
    w->hasher = hasher_new();
    w->temp = MEM_STEAL(temp);
    w->fd = fd;
    w->size = 0;
    w->failed = false;
    w->buffered = 0;
    *out = w;
    return 0;
}

struct writer *blob_writer_stream(struct blob_writer *w)
{
    return &w->stream;
}

void blob_writer_expected(struct blob_writer *w, const struct digest *digest)
{
    w->incoming = incoming_write(w->store, digest, w->fd);
}

int blob_writer_fd(const struct blob_writer *w)
{
    return w->fd;
}

uint64_t blob_writer_size(const struct blob_writer *w)
{
    return w->size;
}

int blob_writer_restart(struct blob_writer *w, struct error *err)
{
    struct digest ignored;
    if (w->incoming) {
        incoming_restart(w->incoming);
    }
    hasher_finish(w->hasher, &ignored);
    w->size = 0;
    w->failed = false;
    w->buffered = 0;
    if (ftruncate(w->fd, 0) != 0 || lseek(w->fd, 0, SEEK_SET) != 0) {
        error_errno(err, ERR_STORE, "empty '%s'", w->temp);
        return store_fault(w->store, err);
    }
    return 0;
}

static int check_expected(const struct digest *got, uint64_t got_size,
                          const struct digest *expected, uint64_t expected_size, struct error *err)
{
    char got_text[DIGEST_TEXT_SIZE];
    char expected_text[DIGEST_TEXT_SIZE];
    digest_format(got, got_text);
    if (expected_size != UINT64_MAX && expected_size != got_size) {
        return error_set(
            err, ERR_REMOTE, "blob %s has %" PRIu64 " bytes where its descriptor says %" PRIu64,
            expected ? digest_format(expected, expected_text) : got_text, got_size, expected_size);
    }
    if (expected && !digest_equal(got, expected)) {
        return error_set(err, ERR_REMOTE, "blob %s is corrupt: its bytes have the digest %s",
                         digest_format(expected, expected_text), got_text);
    }
    return 0;
}

int blob_writer_commit(struct blob_writer *w, const struct digest *expected, uint64_t expected_size,
                       struct digest *digest_out, uint64_t *size_out, struct error *err)
{
    struct digest digest;
    hasher_finish(w->hasher, &digest);
    if (w->failed) {
        error_set(err, ERR_STORE, "a write to the blob failed");
        return store_fault(w->store, err);
    }
    if (check_expected(&digest, w->size, expected, expected_size, err) != 0 ||
        flush_buffer(w, err) != 0) {
        return -1;
    }
    bool taken = false;
    if (store_adopt_file(w->store, w->temp, &digest, w->size, &taken, err) != 0) {
        return -1;
    }
    if (taken) {
        mem_freep(&w->temp);
    }
    incoming_end(&w->incoming, true);
    if (digest_out) {
        *digest_out = digest;
    }
    if (size_out) {
        *size_out = w->size;
    }
    return 0;
}

void blob_writer_freep(struct blob_writer **writer)
{
    struct blob_writer *w = *writer;
    if (w) {
        int saved = errno;
        incoming_end(&w->incoming, false);
        if (w->temp) {
            unlinkat(w->store->fd, w->temp, 0);
        }
        fd_closep(&w->fd);
        hasher_freep(&w->hasher);
        free(w->temp);
        free(w);
        errno = saved;
    }
    *writer = NULL;
}
