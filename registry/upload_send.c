#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/stream.h"
#include "registry/registry_internal.h"

enum {
    HASH_CHUNK = 128 * 1024,
    REFUSALS_MAX = 4, /* ways of sending tried in a row without getting anywhere */
    BROKEN_MAX = 2,   /* whole blobs that may break before they are sent in parts */
    REAL_PROGRESS = 1024 * 1024,
};
#define CHUNK_BYTES_MAX (512 * MIB) /* larger minimums are not believed */
#define CHUNK_BYTES_MIN (64 * KIB)

static void on_progress(void *ctx, uint64_t current, uint64_t total)
{
    (void)total;
    struct upload_session *s = ctx;
    upload_tell(s->u, STATUS_RUNNING, s->offset + current);
}

/* Sends REQUEST once and keeps what was answered where it went wrong. */
static int send_once(struct upload_session *s, struct http_request *request,
                     struct http_response *response, struct error *err)
{
    request->retries = HTTP_NO_RETRIES;
    http_response_release(&s->last);
    if (upload_call(s, request, response, err) != 0) {
        return -1;
    }
    if (http_check(request, response, err) != 0) {
        s->last = *response;
        *response = (struct http_response){0};
        return -1;
    }
    return 0;
}

static char *final_url(const struct upload_session *s)
{
    struct buf url = BUF_INIT(0);
    buf_puts(&url, s->location);
    http_add_query(&url, "digest", s->digest);
    return buf_take(&url);
}

/* The last PUT, with the whole blob where FD >= 0. */
static int commit(struct upload_session *s, int fd, struct error *err)
{
    AUTO(mem_freep) char *url = final_url(s);
    AUTO(strlist_release) struct strlist headers = {0};
    AUTO(http_response_release) struct http_response response = {0};
    struct http_request request = {.method = "PUT", .url = url, .server_work = s->u->blob->size};
    if (fd >= 0) {
        strlist_add(&headers, "Content-Type: application/octet-stream");
        request.headers = &headers;
        request.body_is_file = true;
        request.body_fd = fd;
        request.body_size = s->u->blob->size;
        request.progress = on_progress;
        request.progress_ctx = s;
    }
    s->committing = true;
    if (send_once(s, &request, &response, err) != 0) {
        return -1;
    }
    bool there = true;
    if (response.status != 201 && upload_head(s, &there, err) != 0) {
        return -1;
    }
    if (!there) {
        /* A page that says OK is no registry. */
        error_set(err, ERR_REMOTE,
                  "%s: the upload of %s was answered with HTTP %d and is not there",
                  s->u->place->endpoint->host, s->digest, response.status);
        err->http_status = response.status;
        return -1;
    }
    return 0;
}

bool upload_parse_range(const char *text, uint64_t *len_out)
{
    if (!text) {
        return false;
    }
    text += strncasecmp(text, "bytes=", 6) == 0 ? 6 : 0;
    if (strncmp(text, "0-", 2) != 0 || text[2] < '0' || text[2] > '9') {
        return false;
    }
    *len_out = strtoull(text + 2, NULL, 10) + 1;
    return true;
}

/* Asks what the registry has of the session; *KNOWN_OUT false: it does not say. "0-0" may be none
 * or one byte: it is none where the bytes were UNTOUCHED, because their sender was not known. */
static int ask_offset(struct upload_session *s, bool untouched, bool *known_out, struct error *err)
{
    AUTO(http_response_release) struct http_response response = {0};
    struct http_request request = {.url = s->location, .retries = HTTP_NO_RETRIES};
    struct error failure = {0};
    uint64_t len = 0;
    *known_out = false;
    if (upload_is_ecr(s)) {
        return 0;
    }
    if (upload_call(s, &request, &response, &failure) != 0) {
        if (failure.code == ERR_CANCELLED) {
            *err = failure;
            return -1;
        }
        return 0;
    }
    bool said = upload_parse_range(http_header(&response, "Range"), &len);
    bool none = len < 2 && s->offset == 0 && untouched;
    if (response.status != 204 || !(said || none) || (len < 2 && !none) || len > s->u->blob->size) {
        return 0;
    }
    if (http_header(&response, "Location") && upload_take_location(s, &response, err) != 0) {
        error_clear(err);
        return 0;
    }
    s->offset = none ? 0 : len;
    *known_out = true;
    return 0;
}

/* Something was achieved: patience begins anew. */
static void note_progress(struct upload_session *s)
{
    if (s->offset >= s->furthest + REAL_PROGRESS) {
        s->furthest = s->offset;
        s->refusals = 0;
        http_trouble_over(&s->trouble);
    }
}

static int patch_chunk(struct upload_session *s, int fd, uint64_t len, struct error *err)
{
    AUTO(strlist_release) struct strlist headers = {0};
    AUTO(http_response_release) struct http_response response = {0};
    uint64_t end = s->offset + len;
    strlist_add(&headers, "Content-Type: application/octet-stream");
    strlist_addf(&headers, "Content-Range: %llu-%llu", (unsigned long long)s->offset,
                 (unsigned long long)(end - 1));
    struct http_request request = {
        .method = "PATCH",
        .url = s->location,
        .headers = &headers,
        .body_is_file = true,
        .body_fd = fd,
        .body_offset = s->offset,
        .body_size = len,
        .progress = on_progress,
        .progress_ctx = s,
    };
    s->committing = false;
    if (send_once(s, &request, &response, err) != 0) {
        return -1;
    }
    if (http_header(&response, "Location") && upload_take_location(s, &response, err) != 0) {
        return -1;
    }
    uint64_t before = s->offset;
    uint64_t said = end;
    bool known = true;
    s->offset = end;
    /* Less (or more) than was sent: not believed until it is said twice; and not at all where the
     * answer is 201, with which ECR (and who follows it) sends the first part's Range for ever. */
    if (response.status == 202 && upload_parse_range(http_header(&response, "Range"), &said) &&
        said != end && ask_offset(s, false, &known, err) != 0) {
        return -1;
    }
    note_progress(s);
    if (s->offset <= before) {
        return error_set(err, ERR_REMOTE,
                         "%s: the upload of %s does not get further than %llu bytes",
                         s->u->place->endpoint->host, s->digest, (unsigned long long)s->offset);
    }
    return 0;
}

/* In parts, each its own request, from where the session stands. */
static int put_chunks(struct upload_session *s, int fd, struct error *err)
{
    uint64_t size = s->u->blob->size;
    uint64_t chunk = s->chunk_size;
    if (s->chunk_min > chunk) {
        chunk = s->chunk_min < CHUNK_BYTES_MAX ? s->chunk_min : CHUNK_BYTES_MAX;
    }
    while (s->offset < size) {
        uint64_t len = size - s->offset < chunk ? size - s->offset : chunk;
        if (patch_chunk(s, fd, len, err) != 0) {
            return -1;
        }
        upload_tell(s->u, STATUS_RUNNING, s->offset);
    }
    return commit(s, -1, err);
}

/* One attempt, from where the session stands (opened if there is none) to the end. */
static int attempt(struct upload_session *s, int fd, struct error *err)
{
    s->committing = false;
    if (!s->location && upload_open(s, err) != 0) {
        return -1;
    }
    return s->chunked || s->offset > 0 ? put_chunks(s, fd, err) : commit(s, fd, err);
}

/* The registry finds another digest: is the store's copy damaged? Then it goes, so that the next
 * build makes or fetches it anew. */
static int blame_store(struct upload_session *s, int fd, struct error *err)
{
    AUTO(reader_freep) struct reader *reader = reader_fd_range(fd, s->digest, 0, s->u->blob->size);
    AUTO(hasher_freep) struct hasher *hasher = hasher_new();
    AUTO(mem_freep) char *chunk = mem_alloc(HASH_CHUNK);
    struct error failure = {0};
    struct digest found;
    size_t got = 1;
    while (got > 0) {
        if (reader_read(reader, chunk, HASH_CHUNK, &got, &failure) != 0) {
            return -1;
        }
        hasher_add(hasher, chunk, got);
    }
    hasher_finish(hasher, &found);
    if (digest_equal(&found, &s->u->blob->digest)) {
        return 0;
    }
    if (store_remove_blob(s->u->registry->store, &s->u->blob->digest, &failure) == 0) {
        error_set(err, ERR_STORE,
                  "%s is damaged in the store and was removed: run the command again", s->digest);
    }
    return -1;
}

static bool is_one_of(int status, const int *list, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (list[i] == status) {
            return true;
        }
    }
    return false;
}

/* Where a refusal may be one of this way of sending, the other one is next. */
static void change_way(struct upload_session *s, int status)
{
    static const int ways[] = {400, 405, 411, 413, 501};
    bool patched = !s->committing;
    if (status == 413 && patched && s->chunk_size / 8 >= CHUNK_BYTES_MIN) {
        s->chunk_size /= 8;
    } else if (patched && (status == 405 || status == 501 || (status == 404 && s->offset == 0))) {
        s->no_patch = true;
        s->chunked = false;
    } else if (is_one_of(status, ways, ARRAY_LEN(ways))) {
        s->chunked = !patched && !s->no_patch;
    }
}

/* Statuses of a body whose sender was not known any more. */
static bool is_expired(int status)
{
    return status == 401 || status == 403;
}

/* Whether ERR, a refusal with a status, ends it. *AT_ONCE_OUT: there is nothing to wait for. */
static bool is_final(struct upload_session *s, int fd, bool *at_once_out, struct error *err)
{
    static const int perhaps[] = {400, 401, 403, 404, 405, 409, 410, 411, 413, 416, 501};
    /* An answer that says OK and cannot be one: somebody in between. */
    bool odd = err->http_status >= 200 && err->http_status < 300;
    *at_once_out = false;
    if (err->code == ERR_CANCELLED || err->code == ERR_AUTH || err->code == ERR_STORE) {
        return true;
    }
    if (http_is_transient(err->http_status)) {
        return !s->location && upload_is_ecr(s);
    }
    if (!odd && (!s->location || !is_one_of(err->http_status, perhaps, ARRAY_LEN(perhaps)))) {
        return true;
    }
    if (strstr(err->text, "DIGEST_INVALID") && blame_store(s, fd, err) != 0) {
        return true;
    }
    if (s->refusals++ == 0) {
        s->refusal = *err;
    }
    if (s->refusals > REFUSALS_MAX) {
        *err = s->refusal;
        err->code = is_expired(err->http_status) ? ERR_AUTH : err->code;
        return true;
    }
    *at_once_out = !odd && s->refusals < REFUSALS_MAX;
    return false;
}

/* After a failure with STATUS (0: no answer): the session goes on where the registry says that it
 * is, or another one begins. */
static int recover(struct upload_session *s, const struct error *failure, struct error *err)
{
    int status = failure->http_status;
    bool expired = is_expired(status);
    bool refused = !http_is_transient(status) && !expired && status != 416;
    bool known = false;
    if (refused && !strstr(failure->text, "DIGEST_INVALID")) {
        change_way(s, status);
    }
    if (!s->location || status == 404) {
        free(s->location);
        s->location = NULL;
        s->offset = 0;
        return 0;
    }
    if (!refused && ask_offset(s, expired, &known, err) != 0) {
        return -1;
    }
    bool useful = s->offset == 0 || s->offset == s->u->blob->size || !s->no_patch;
    if (known && useful) {
        note_progress(s);
        return 0;
    }
    s->broken += s->committing && !refused;
    if (s->broken >= BROKEN_MAX && !s->no_patch && s->u->blob->size > s->chunk_size) {
        s->chunked = true;
    }
    upload_drop(s);
    return 0;
}

/* After a failure: *DONE_OUT where it was none, because the registry has the blob. */
static int try_on(struct upload_session *s, int fd, bool *done_out, struct error *err)
{
    bool at_once = false;
    bool again = true;
    struct error failure = {0};
    if (is_final(s, fd, &at_once, err)) {
        return -1;
    }
    failure = *err;
    error_clear(err);
    if (!at_once &&
        http_back_off(s->u->registry->client, &s->trouble, &s->last, &again, err) != 0) {
        return -1;
    }
    /* An answer that was lost may have been a good one. */
    struct error ignored = {0};
    if (s->committing && upload_head(s, done_out, &ignored) == 0 && *done_out) {
        return 0;
    }
    if (!again) {
        *err = failure;
        return -1;
    }
    return recover(s, &failure, err);
}

int upload_send(struct upload_session *s, struct error *err)
{
    AUTO(fd_closep) int fd = -1;
    uint64_t size = 0;
    bool done = false;
    if (store_open_blob(s->u->registry->store, &s->u->blob->digest, &fd, &size, err) != 0) {
        return -1;
    }
    if (size != s->u->blob->size) {
        return error_set(err, ERR_STORE,
                         "blob %s has %llu bytes in the store, its descriptor says %llu", s->digest,
                         (unsigned long long)size, (unsigned long long)s->u->blob->size);
    }
    while (!done) {
        done = attempt(s, fd, err) == 0;
        if (!done && try_on(s, fd, &done, err) != 0) {
            return -1;
        }
    }
    atomic_fetch_add(s->u->bytes_sent, size);
    return 0;
}
