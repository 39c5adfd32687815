#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/memory.h"
#include "registry/registry_internal.h"

enum {
    MOUNTS_MAX = 3,    /* places tried as the source of a mount */
    MOUNT_RETRIES = 1, /* the upload works without */
    MOUNT_TIMEOUT_MS = 10 * 1000,
    HEAD_RETRIES = 6, /* the upload works without, but may send what is there */
    DROP_TIMEOUT_MS = 3000,
    ECR_OPEN_RETRIES = 4, /* it hangs up where the repository is missing */
};

void upload_session_release(struct upload_session *s)
{
    strlist_release(&s->scopes);
    free(s->ahead);
    free(s->location);
    http_response_release(&s->last);
}

int upload_call(struct upload_session *s, struct http_request *request,
                struct http_response *response, struct error *err)
{
    request->stop = s->u->stop;
    request->trouble = &s->trouble;
    return registry_call(s->u->registry, s->u->place->endpoint, &s->scopes, request, response, err);
}

/* Location may be relative, on another host, or, behind a proxy that ends TLS, http where https is
 * meant. It is kept byte for byte otherwise. */
int upload_take_location(struct upload_session *s, const struct http_response *response,
                         struct error *err)
{
    const char *location = http_header(response, "Location");
    const char *base = s->u->place->endpoint->base_url;
    if (!location) {
        error_set(err, ERR_REMOTE, "%s: an upload was answered without Location",
                  s->u->place->endpoint->host);
        err->http_status = response->status;
        return -1;
    }
    AUTO(mem_freep) char *url = NULL;
    if (http_resolve_url(response->url, location, &url, err) != 0) {
        err->http_status = response->status;
        return -1;
    }
    url[strcspn(url, "#")] = '\0';
    bool downgrade = strncmp(base, "https:", 6) == 0 && strncmp(url, "http:", 5) == 0;
    if (downgrade) {
        AUTO(mem_freep) char *secure = mem_printf("https%s", url + 4);
        if (!http_same_origin(secure, base)) {
            AUTO(mem_freep) char *shown = http_redact_url(url);
            error_set(err, ERR_REMOTE, "%s sends uploads to %s, without TLS: refused",
                      s->u->place->endpoint->host, shown);
            err->http_status = response->status;
            return -1;
        }
        free(url);
        url = MEM_STEAL(secure);
    }
    free(s->location);
    s->location = MEM_STEAL(url);
    return 0;
}

static char *uploads_url(const struct upload_session *s)
{
    return place_url(s->u->place, "blobs", "uploads/");
}

/* The first bytes are enough. */
struct peek {
    struct http_sink base;
    bool seen;
};

static int peek_write(struct http_sink *sink, const void *data, size_t len, struct error *err)
{
    (void)data;
    (void)len;
    ((struct peek *)sink)->seen = true;
    return error_set(err, ERR_REMOTE, "seen");
}

/* For registries where HEAD is not known: the beginning of the blob, if there is one. */
static int peek_blob(struct upload_session *s, const char *url, bool *there_out, struct error *err)
{
    AUTO(http_response_release) struct http_response response = {0};
    AUTO(strlist_release) struct strlist headers = {0};
    struct peek peek = {.base = {.write = peek_write}};
    struct http_request request = {.url = url, .headers = &headers, .sink = &peek.base};
    strlist_add(&headers, "Range: bytes=0-0");
    int rc = upload_call(s, &request, &response, err);
    if (rc != 0 && !peek.seen) {
        return -1;
    }
    error_clear(err);
    *there_out = peek.seen || response.status == 200 || response.status == 206;
    return 0;
}

/* Whether RESPONSE, a 200, may be about the blob: pages that say OK to everything are not. */
static bool is_about(const struct http_response *response, const struct descriptor *blob)
{
    const char *type = http_header(response, "Content-Type");
    const char *length = http_header(response, "Content-Length");
    uint64_t size = length ? strtoull(length, NULL, 10) : 0;
    bool page = type && strcasestr(type, "text/html");
    return !page && (size == 0 || size == blob->size || http_is_coded(response));
}

int upload_head(struct upload_session *s, bool *there_out, struct error *err)
{
    AUTO(mem_freep) char *url = place_url(s->u->place, "blobs", s->digest);
    AUTO(http_response_release) struct http_response response = {0};
    struct http_request request = {.method = "HEAD",
                                   .url = url,
                                   .retries =
                                       http_retries_at_most(s->u->registry->client, HEAD_RETRIES)};
    if (upload_call(s, &request, &response, err) != 0) {
        bool cut_short = s->trouble.retries >= HEAD_RETRIES;
        if (err->code != ERR_REMOTE || !(s->trouble.reached || cut_short)) {
            return -1;
        }
        /* Who does not answer this may answer the rest, which has the patience that is left. */
        error_clear(err);
        *there_out = false;
        return 0;
    }
    bool elsewhere = !http_same_origin(response.url, s->u->place->endpoint->base_url);
    if (response.status == 405 || response.status == 501 ||
        (elsewhere && (response.status == 400 || response.status == 403))) {
        /* Signed for GET alone, perhaps. */
        return peek_blob(s, url, there_out, err);
    }
    *there_out = response.status == 200 && is_about(&response, s->u->blob);
    /* Whatever else the answer is: the upload will tell. */
    return 0;
}

/* What it says of a session is not documented, and its Range stays at the first part. */
bool upload_is_ecr(const struct upload_session *s)
{
    return strstr(s->u->place->endpoint->host, ".dkr.ecr") != NULL;
}

/* The session that RESPONSE names is the one from now on. */
static int take_session(struct upload_session *s, const struct http_response *response,
                        struct error *err)
{
    const char *min = http_header(response, "OCI-Chunk-Min-Length");
    s->offset = 0;
    s->chunk_min = min ? strtoull(min, NULL, 10) : 0;
    return upload_take_location(s, response, err);
}

int upload_open(struct upload_session *s, struct error *err)
{
    AUTO(mem_freep) char *url = uploads_url(s);
    AUTO(http_response_release) struct http_response response = {0};
    struct http_request request = {.method = "POST",
                                   .url = url,
                                   .retries = s->once            ? HTTP_NO_RETRIES
                                              : upload_is_ecr(s) ? ECR_OPEN_RETRIES
                                                                 : 0};
    if (upload_call(s, &request, &response, err) != 0 ||
        http_check(&request, &response, err) != 0) {
        return -1;
    }
    return take_session(s, &response, err);
}

/* distribution-spec, "Mounting a blob from another repository": 201 it is there, 202 an ordinary
 * session. Anything else means that we may not read FROM, which is no error. */
static int try_mount(struct upload_session *s, const struct place *from, bool *mounted_out,
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
    struct http_client *client = s->u->registry->client;
    struct http_request request = {.method = "POST",
                                   .url = buf_text(&url),
                                   .retries = http_retries_at_most(client, MOUNT_RETRIES),
                                   .timeout_ms = http_timeout_at_most(client, MOUNT_TIMEOUT_MS),
                                   .stop = s->u->stop};
    if (registry_call(s->u->registry, s->u->place->endpoint, &scopes, &request, &response,
                      &refused) != 0) {
        if (refused.code == ERR_CANCELLED) {
            *err = refused;
            return -1;
        }
        if (refused.http_status == 0) {
            atomic_store(&s->u->place->endpoint->no_mounts, true);
        }
        return 0;
    }
    *mounted_out = response.status == 201;
    /* A session that cannot be found is none: the upload begins one of its own. */
    if (response.status == 202 && take_session(s, &response, &refused) != 0) {
        error_clear(&refused);
    }
    return 0;
}

void upload_drop(struct upload_session *s)
{
    AUTO(http_response_release) struct http_response response = {0};
    struct error ignored = {0};
    struct http_request request = {.method = "DELETE",
                                   .url = s->location,
                                   .retries = HTTP_NO_RETRIES,
                                   .timeout_ms = DROP_TIMEOUT_MS};
    if (s->location) {
        /* Where that fails, the registry will do it one day. */
        upload_call(s, &request, &response, &ignored);
    }
    free(s->location);
    s->location = NULL;
    s->offset = 0;
}

static int mount(struct upload_session *s, bool *mounted_out, struct error *err)
{
    AUTO(strlist_release) struct strlist origins = {0};
    AUTO(strlist_release) struct strlist tried = {0};
    const struct place *to = s->u->place;
    if (store_origin_list(s->u->registry->store, &s->u->blob->digest, &origins, err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < origins.len && tried.len < MOUNTS_MAX && !*mounted_out; i++) {
        AUTO(place_release) struct place from = {0};
        if (atomic_load(&to->endpoint->no_mounts) ||
            !registry_place_of_origin(s->u->registry, origins.items[i], PLACE_PULL, &from) ||
            from.endpoint != to->endpoint || strcmp(from.repository, to->repository) == 0 ||
            strlist_has(&tried, from.repository)) {
            continue;
        }
        strlist_add(&tried, from.repository);
        upload_drop(s);
        if (try_mount(s, &from, mounted_out, err) != 0) {
            return -1;
        }
    }
    return 0;
}

void upload_tell(const struct upload *u, enum event_status status, uint64_t current)
{
    if (u->moved) {
        atomic_fetch_add(u->moved, 1);
    }
    if (!u->quiet) {
        registry_tell(u->registry, u->blob, TRANSFER_UP, status, current);
    }
}

/* What was sent ahead was sent in vain. */
static void drop_ahead(struct upload_session *s)
{
    if (s->ahead) {
        upload_drop(s);
        s->location = MEM_STEAL(s->ahead);
        upload_drop(s);
        atomic_fetch_add(s->u->bytes_sent, s->u->blob->size);
    }
}

static int bring(struct upload_session *s, enum event_status *status_out, struct error *err)
{
    bool done = false;
    if (!s->u->unseen && upload_head(s, &done, err) != 0) {
        return -1;
    }
    if (done) {
        *status_out = STATUS_EXISTS;
        drop_ahead(s);
        return 0;
    }
    if (!s->u->unseen && mount(s, &done, err) != 0) {
        return -1;
    }
    if (done) {
        *status_out = STATUS_MOUNTED;
        drop_ahead(s);
        return 0;
    }
    if (s->ahead) {
        upload_drop(s);
        s->location = MEM_STEAL(s->ahead);
        s->offset = s->u->blob->size;
    }
    /* A layer of a base image that was never needed here. */
    if (registry_fetch_blob(s->u->registry, s->u->blob, NULL, err) != 0) {
        return -1;
    }
    *status_out = STATUS_DONE;
    upload_tell(s->u, STATUS_RUNNING, 0);
    return upload_send(s, err);
}

int upload_blob(const struct upload *u, struct error *err)
{
    AUTO(upload_session_release)
    struct upload_session s = {
        .u = u, .chunk_size = UPLOAD_CHUNK_BYTES, .trouble = {.stop = u->stop}};
    AUTO(mem_freep) char *name = place_name(u->place);
    enum event_status status = STATUS_FAILED;
    /* Two repositories of a registry that want the same blob: the second has it mounted. */
    struct transfer mine = {.digest = u->blob->digest, .endpoint = u->place->endpoint};
    digest_format(&u->blob->digest, s.digest);
    place_scope(u->place, "pull,push", &s.scopes);
    if (transfer_begin(u->registry, &mine, u->stop, err) != 0) {
        return -1;
    }
    s.ahead = u->aheads ? push_aheads_take(u->aheads, &u->blob->digest) : NULL;
    int rc = registry_make_repository(u->registry, u->place, err);
    if (rc == 0 && bring(&s, &status, err) != 0) {
        rc = registry_explain_push(u->registry, u->place, err);
    }
    if (rc == 0) {
        upload_tell(u, status, u->blob->size);
        rc = store_origin_add(u->registry->store, &u->blob->digest, name, err);
    } else {
        upload_tell(u, err->code == ERR_CANCELLED ? STATUS_CANCELLED : STATUS_FAILED, 0);
        error_wrap(err, "%s: blob %.19s", name, s.digest);
    }
    transfer_end(u->registry, &mine);
    return rc;
}
