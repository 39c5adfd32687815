/* Entries: a manifest under a tag that is written once. */
#include "registry/entry.h"

#include <string.h>

#include "base/limits.h"
#include "base/memory.h"
#include "registry/registry_internal.h"

enum { MISSED_RETRIES = 5 };

int registry_get_entry(struct registry *registry, const struct entry_place *at, bool *found_out,
                       struct buf *out, struct error *err)
{
    AUTO(place_release) struct place place = {0};
    AUTO(strlist_release) struct strlist scopes = {0};
    AUTO(strlist_release) struct strlist headers = {0};
    AUTO(http_response_release) struct http_response response = {0};
    registry_place(registry, at->host, at->repository, PLACE_PULL, &place);
    AUTO(mem_freep) char *url = place_url(&place, "manifests", at->tag);
    place_scope(&place, "pull", &scopes);
    strlist_add(&headers, "Accept: " MEDIA_OCI_MANIFEST);
    struct http_request request = {
        .url = url, .headers = &headers, .max_body = LIMIT_MANIFEST_BYTES};
    if (registry_call(registry, place.endpoint, &scopes, &request, &response, err) != 0) {
        return -1;
    }
    if (response.status == 404) {
        *found_out = false;
        return 0;
    }
    if (http_check(&request, &response, err) != 0) {
        return -1;
    }
    buf_append(out, buf_text(&response.body), response.body.len);
    *found_out = true;
    return 0;
}

static int bring_blobs(struct registry *registry, const struct place *place,
                       const struct registry_entry *entry, struct error *err)
{
    for (size_t i = 0; i < entry->blobs_len; i++) {
        const struct upload upload = {
            .registry = registry,
            .place = place,
            .blob = &entry->blobs[i],
            .stop = entry->stop,
            .bytes_sent = entry->bytes_sent,
            .moved = entry->moved,
            .quiet = true,
        };
        if (upload_blob(&upload, err) != 0) {
            return -1;
        }
    }
    return 0;
}

/* PUTs the manifest; *THERE_OUT where the registry says that the tag is taken. */
static int put_manifest(struct registry *registry, const struct place *place, const char *tag,
                        const struct registry_entry *entry, bool *there_out, struct error *err)
{
    AUTO(mem_freep) char *url = place_url(place, "manifests", tag);
    AUTO(strlist_release) struct strlist scopes = {0};
    AUTO(strlist_release) struct strlist headers = {0};
    AUTO(http_response_release) struct http_response response = {0};
    place_scope(place, "pull,push", &scopes);
    strlist_add(&headers, "Content-Type: " MEDIA_OCI_MANIFEST);
    if (!entry->replace) {
        strlist_add(&headers, "If-None-Match: *");
    }
    struct http_request request = {.method = "PUT",
                                   .url = url,
                                   .headers = &headers,
                                   .body = entry->manifest->data,
                                   .body_len = entry->manifest->len,
                                   .stop = entry->stop};
    if (registry_call(registry, place->endpoint, &scopes, &request, &response, err) != 0) {
        return -1;
    }
    *there_out = response.status == 412;
    if (*there_out || http_check(&request, &response, err) == 0) {
        return 0;
    }
    *there_out = says_immutable(err);
    return *there_out ? 0 : -1;
}

static int look(struct registry *registry, const struct place *place, const char *tag,
                const struct registry_entry *entry, bool *there_out, struct error *err)
{
    struct descriptor holds = {0};
    *there_out = false;
    atomic_fetch_add(entry->moved, 1);
    return entry->replace
               ? 0
               : registry_head_manifest(registry, place, tag, "pull,push", there_out, &holds, err);
}

/* One attempt: blobs, then the manifest. */
static int put_all(struct registry *registry, const struct place *place, const char *tag,
                   const struct registry_entry *entry, bool *there_out, struct error *err)
{
    /* Looked up once more after the blobs: they may have taken long, and others write too. */
    if (bring_blobs(registry, place, entry, err) != 0 ||
        look(registry, place, tag, entry, there_out, err) != 0) {
        return -1;
    }
    return *there_out ? 0 : put_manifest(registry, place, tag, entry, there_out, err);
}

/* Where several upload the same blob at once, docker-registry does not see it for a moment. */
static bool missed_a_blob(const struct error *err)
{
    return err->http_status >= 400 && err->http_status < 500 && strstr(err->text, "BLOB_UNKNOWN");
}

int registry_put_entry(struct registry *registry, const struct entry_place *at,
                       const struct registry_entry *entry, bool *there_out, struct error *err)
{
    AUTO(place_release) struct place place = {0};
    registry_place(registry, at->host, at->repository, PLACE_PUSH, &place);
    if (look(registry, &place, at->tag, entry, there_out, err) != 0) {
        return -1;
    }
    struct http_trouble trouble = {.stop = entry->stop};
    while (!*there_out) {
        bool again = false;
        if (put_all(registry, &place, at->tag, entry, there_out, err) == 0) {
            return 0;
        }
        struct error failure = *err;
        if (!missed_a_blob(&failure) || trouble.retries >= MISSED_RETRIES ||
            http_back_off(registry->client, &trouble, NULL, &again, err) != 0) {
            return -1;
        }
        if (!again) {
            *err = failure;
            return -1;
        }
        error_clear(err);
    }
    return 0;
}
