#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/memory.h"
#include "registry/registry_internal.h"

enum {
    COMMIT_TIMEOUT_MS =
        5 * 60 * 1000, /* a registry may hash and move all chunks before it answers */
    HASH_CHUNK = 128 * 1024,
    MOUNTS_MAX = 3,                      /* places tried as the source of a mount */
    CHUNK_BYTES = 8 * 1024 * 1024,       /* ECR takes parts of 5 to 10 MiB */
    CHUNK_BYTES_MAX = 512 * 1024 * 1024, /* larger minimums are not believed */
};

/* An upload in progress. */
struct session {
    const struct upload *u;
    char digest[DIGEST_TEXT_SIZE];
    struct strlist scopes;
    char *location; /* where the next bytes go; NULL: no session is open */
    uint64_t chunk_min;
};

static void session_release(struct session *s)
{
    strlist_release(&s->scopes);
    free(s->location);
}

static int call(struct session *s, struct http_request *request, struct http_response *response,
                struct error *err)
{
    request->stop = s->u->stop;
    return registry_call(s->u->registry, s->u->place->endpoint, &s->scopes, request, response, err);
}

/* Location may be relative, on another host, or, behind a proxy that ends TLS, http where https is
 * meant. It is kept byte for byte otherwise. */
static int take_location(struct session *s, const struct http_response *response, struct error *err)
{
    const char *location = http_header(response, "Location");
    const char *base = s->u->place->endpoint->base_url;
    if (!location) {
        return error_set(err, ERR_REMOTE, "%s: an upload was answered without Location",
                         s->u->place->endpoint->host);
    }
    AUTO(mem_freep) char *url = NULL;
    if (http_resolve_url(response->url, location, &url, err) != 0) {
        return -1;
    }
    bool downgrade = strncmp(base, "https:", 6) == 0 && strncmp(url, "http:", 5) == 0;
    if (downgrade) {
        AUTO(mem_freep) char *secure = mem_printf("https%s", url + 4);
        if (!http_same_origin(secure, base)) {
            AUTO(mem_freep) char *shown = http_redact_url(url);
            return error_set(err, ERR_REMOTE, "%s sends uploads to %s, without TLS: refused",
                             s->u->place->endpoint->host, shown);
        }
        free(url);
        url = MEM_STEAL(secure);
    }
    free(s->location);
    s->location = MEM_STEAL(url);
    return 0;
}

static char *uploads_url(const struct session *s)
{
    return place_url(s->u->place, "blobs", "uploads/");
}

/* *THERE_OUT: the registry has the blob in this repository. */
static int head_blob(struct session *s, bool *there_out, struct error *err)
{
    AUTO(mem_freep) char *url = place_url(s->u->place, "blobs", s->digest);
    AUTO(http_response_release) struct http_response response = {0};
    struct http_request request = {.method = "HEAD", .url = url};
    if (call(s, &request, &response, err) != 0) {
        return -1;
    }
    *there_out = response.status == 200;
    /* Whatever else the answer is: the upload will tell. */
    return 0;
}

/* Opens a session: 202 and its Location. */
static int open_session(struct session *s, struct error *err)
{
    AUTO(mem_freep) char *url = uploads_url(s);
    AUTO(http_response_release) struct http_response response = {0};
    struct http_request request = {.method = "POST", .url = url};
    if (call(s, &request, &response, err) != 0) {
        return -1;
    }
    if (response.status != 202 && response.status != 201) {
        return http_error(&request, &response, err);
    }
    s->chunk_min = 0;
    const char *min = http_header(&response, "OCI-Chunk-Min-Length");
    if (min) {
        s->chunk_min = strtoull(min, NULL, 10);
    }
    return take_location(s, &response, err);
}

/* distribution-spec, "Mounting a blob from another repository": 201 it is there, 202 an ordinary
 * session. Anything else means that we may not read FROM, which is no error. */
static int try_mount(struct session *s, const struct place *from, bool *mounted_out,
                     struct error *err)
{
    AUTO(strlist_release) struct strlist scopes = {0};
    AUTO(buf_release) struct buf url = BUF_INIT(0);
    AUTO(mem_freep) char *uploads = uploads_url(s);
    AUTO(http_response_release) struct http_response response = {0};
    struct error refused = {0};
    buf_puts(&url, uploads);
    http_add_query(&url, "mount", s->digest);
    http_add_query(&url, "from", from->repository);
    strlist_add_all(&scopes, &s->scopes);
    place_scope(from, "pull", &scopes);
    struct http_request request = {.method = "POST", .url = buf_text(&url), .stop = s->u->stop};
    if (registry_call(s->u->registry, s->u->place->endpoint, &scopes, &request, &response,
                      &refused) != 0) {
        if (refused.code == ERR_CANCELLED) {
            *err = refused;
            return -1;
        }
        return 0;
    }
    *mounted_out = response.status == 201;
    return response.status == 202 ? take_location(s, &response, err) : 0;
}

/* An abandoned session is closed; where that fails, the registry will do it one day. */
static void drop_session(struct session *s)
{
    AUTO(http_response_release) struct http_response response = {0};
    struct error ignored = {0};
    struct http_request request = {
        .method = "DELETE", .url = s->location, .retries = HTTP_NO_RETRIES};
    call(s, &request, &response, &ignored);
    free(s->location);
    s->location = NULL;
}

static int mount(struct session *s, bool *mounted_out, struct error *err)
{
    AUTO(strlist_release) struct strlist origins = {0};
    AUTO(strlist_release) struct strlist tried = {0};
    const struct place *to = s->u->place;
    if (store_origin_list(s->u->registry->store, &s->u->blob->digest, &origins, err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < origins.len && tried.len < MOUNTS_MAX && !*mounted_out; i++) {
        AUTO(place_release) struct place from = {0};
        if (!registry_place_of_origin(s->u->registry, origins.items[i], PLACE_PULL, &from) ||
            from.endpoint != to->endpoint || strcmp(from.repository, to->repository) == 0 ||
            strlist_has(&tried, from.repository)) {
            continue;
        }
        strlist_add(&tried, from.repository);
        if (s->location) {
            drop_session(s);
        }
        if (try_mount(s, &from, mounted_out, err) != 0) {
            return -1;
        }
    }
    return 0;
}

static void tell(const struct upload *u, enum event_status status, uint64_t current)
{
    if (u->moved) {
        atomic_fetch_add(u->moved, 1);
    }
    if (!u->quiet) {
        registry_tell(u->registry, u->blob, TRANSFER_UP, status, current);
    }
}

static void on_progress(void *ctx, uint64_t current, uint64_t total)
{
    (void)total;
    struct session *s = ctx;
    tell(s->u, STATUS_RUNNING, current);
}

static char *final_url(const struct session *s)
{
    struct buf url = BUF_INIT(0);
    buf_puts(&url, s->location);
    http_add_query(&url, "digest", s->digest);
    return buf_take(&url);
}

/* The whole blob in one PUT. A status is an answer; *STATUS_OUT 0: none came, ERR says why. */
static int put_whole(struct session *s, int fd, struct http_response *response, struct error *err)
{
    AUTO(mem_freep) char *url = final_url(s);
    AUTO(strlist_release) struct strlist headers = {0};
    strlist_add(&headers, "Content-Type: application/octet-stream");
    struct http_request request = {
        .method = "PUT",
        .url = url,
        .headers = &headers,
        .body_is_file = true,
        .body_fd = fd,
        .body_size = s->u->blob->size,
        .retries = HTTP_NO_RETRIES, /* a session that broke is not used again: ECR refuses it */
        .progress = on_progress,
        .progress_ctx = s,
    };
    if (call(s, &request, response, err) != 0) {
        return -1;
    }
    return http_check(&request, response, err);
}

static int patch_chunk(struct session *s, int fd, uint64_t offset, uint64_t len, struct error *err)
{
    AUTO(strlist_release) struct strlist headers = {0};
    AUTO(http_response_release) struct http_response response = {0};
    strlist_add(&headers, "Content-Type: application/octet-stream");
    strlist_addf(&headers, "Content-Range: %llu-%llu", (unsigned long long)offset,
                 (unsigned long long)(offset + len - 1));
    struct http_request request = {
        .method = "PATCH",
        .url = s->location,
        .headers = &headers,
        .body_is_file = true,
        .body_fd = fd,
        .body_offset = offset,
        .body_size = len,
        .retries = HTTP_NO_RETRIES,
    };
    if (call(s, &request, &response, err) != 0 || http_check(&request, &response, err) != 0) {
        return -1;
    }
    /* Its Range header is not believed: ECR's stays at the first chunk. */
    return http_header(&response, "Location") ? take_location(s, &response, err) : 0;
}

/* In chunks, each its own request: for registries and proxies that refuse large bodies. */
static int put_chunks(struct session *s, int fd, struct error *err)
{
    uint64_t size = s->u->blob->size;
    uint64_t chunk = CHUNK_BYTES;
    if (s->chunk_min > chunk) {
        chunk = s->chunk_min < CHUNK_BYTES_MAX ? s->chunk_min : CHUNK_BYTES_MAX;
    }
    for (uint64_t offset = 0; offset < size; offset += chunk) {
        uint64_t len = size - offset < chunk ? size - offset : chunk;
        if (patch_chunk(s, fd, offset, len, err) != 0) {
            return -1;
        }
        tell(s->u, STATUS_RUNNING, offset + len);
    }
    AUTO(mem_freep) char *url = final_url(s);
    AUTO(http_response_release) struct http_response response = {0};
    struct http_request request = {
        .method = "PUT", .url = url, .retries = HTTP_NO_RETRIES, .timeout_ms = COMMIT_TIMEOUT_MS};
    if (call(s, &request, &response, err) != 0) {
        return -1;
    }
    return http_check(&request, &response, err);
}

/* Whether a refused PUT may be one that does not take so much at once. */
static bool wants_chunks(const struct error *err)
{
    static const int statuses[] = {400, 405, 411, 413, 416, 501};
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
        if (err->http_status == statuses[i]) {
            return !strstr(err->text, "DIGEST_INVALID");
        }
    }
    return false;
}

/* The registry finds another digest: is the store's copy damaged? Then it goes, so that the next
 * build makes or fetches it anew. */
static int blame_store(struct session *s, int fd, struct error *err)
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
        return -1;
    }
    if (store_remove_blob(s->u->registry->store, &s->u->blob->digest, &failure) == 0) {
        error_set(err, ERR_STORE,
                  "%s is damaged in the store and was removed: run the command again", s->digest);
    }
    return -1;
}

/* One attempt, from a session (opened if there is none) to the end. */
static int attempt(struct session *s, int fd, bool *chunked, struct error *err)
{
    AUTO(http_response_release) struct http_response response = {0};
    if (!s->location && open_session(s, err) != 0) {
        return -1;
    }
    if (*chunked) {
        return put_chunks(s, fd, err);
    }
    if (put_whole(s, fd, &response, err) == 0) {
        return 0;
    }
    if (strstr(err->text, "DIGEST_INVALID")) {
        return blame_store(s, fd, err);
    }
    if (!wants_chunks(err)) {
        return -1;
    }
    struct error refused = *err;
    *chunked = true;
    free(s->location);
    s->location = NULL;
    if (open_session(s, err) == 0 && put_chunks(s, fd, err) == 0) {
        return 0;
    }
    if (err->http_status != 0) {
        *err = refused;
    }
    return -1;
}

static bool is_final(const struct error *err)
{
    bool lost_session = err->http_status == 404 || err->http_status == 416;
    return err->code == ERR_CANCELLED || err->code == ERR_AUTH || err->code == ERR_STORE ||
           (!lost_session && !http_is_transient(err->http_status));
}

/* Sends the bytes; a broken upload begins anew in a new session. */
static int send_blob(struct session *s, struct error *err)
{
    AUTO(fd_closep) int fd = -1;
    uint64_t size = 0;
    bool chunked = false;
    if (store_open_blob(s->u->registry->store, &s->u->blob->digest, &fd, &size, err) != 0) {
        return -1;
    }
    if (size != s->u->blob->size) {
        return error_set(err, ERR_STORE,
                         "blob %s has %llu bytes in the store, its descriptor says %llu", s->digest,
                         (unsigned long long)size, (unsigned long long)s->u->blob->size);
    }
    for (unsigned retry = 0;; retry++) {
        bool again = false;
        bool there = false;
        struct error ignored = {0};
        if (attempt(s, fd, &chunked, err) == 0) {
            atomic_fetch_add(s->u->bytes_sent, size);
            return 0;
        }
        if (is_final(err)) {
            return -1;
        }
        /* An answer that was lost may have been a good one. */
        if (head_blob(s, &there, &ignored) == 0 && there) {
            atomic_fetch_add(s->u->bytes_sent, size);
            return 0;
        }
        struct error failure = *err;
        if (http_back_off(s->u->registry->client, retry, NULL, &again, err) != 0) {
            return -1;
        }
        if (!again) {
            *err = failure;
            return -1;
        }
        error_clear(err);
        free(s->location);
        s->location = NULL;
    }
}

static int bring(struct session *s, enum event_status *status_out, struct error *err)
{
    bool done = false;
    if (head_blob(s, &done, err) != 0) {
        return -1;
    }
    if (done) {
        *status_out = STATUS_EXISTS;
        return 0;
    }
    if (mount(s, &done, err) != 0) {
        return -1;
    }
    if (done) {
        *status_out = STATUS_MOUNTED;
        return 0;
    }
    /* A layer of a base image that was never needed here. */
    if (registry_fetch_blob(s->u->registry, s->u->blob, NULL, err) != 0) {
        return -1;
    }
    *status_out = STATUS_DONE;
    tell(s->u, STATUS_RUNNING, 0);
    return send_blob(s, err);
}

int upload_blob(const struct upload *u, struct error *err)
{
    AUTO(session_release) struct session s = {.u = u};
    AUTO(mem_freep) char *name = place_name(u->place);
    enum event_status status = STATUS_FAILED;
    /* Two repositories of a registry that want the same blob: the second has it mounted. */
    struct transfer mine = {.digest = u->blob->digest, .endpoint = u->place->endpoint};
    digest_format(&u->blob->digest, s.digest);
    place_scope(u->place, "pull,push", &s.scopes);
    if (transfer_begin(u->registry, &mine, u->stop, err) != 0) {
        return -1;
    }
    int rc = registry_make_repository(u->registry, u->place, err);
    if (rc == 0 && bring(&s, &status, err) != 0) {
        rc = registry_explain_push(u->registry, u->place, err);
    }
    if (rc == 0) {
        tell(u, status, u->blob->size);
        rc = store_origin_add(u->registry->store, &u->blob->digest, name, err);
    } else {
        tell(u, err->code == ERR_CANCELLED ? STATUS_CANCELLED : STATUS_FAILED, 0);
        error_wrap(err, "%s: blob %.19s", name, s.digest);
    }
    transfer_end(u->registry, &mine);
    return rc;
}
