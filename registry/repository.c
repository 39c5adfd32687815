#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "registry/registry_internal.h"

static int make(struct registry *registry, const struct place *place, const char *name,
                const struct ecr_host *host, struct error *err)
{
    bool created = false;
    if (ecr_create_repository(registry->aws, host, place->repository, &created, err) == 0) {
        if (created) {
            event_note(registry->events, "made the repository %s", name);
        }
        return 0;
    }
    /* Who may push need not have the right to make repositories, and most often it is there. */
    if (err->code != ERR_AUTH) {
        return -1;
    }
    event_warning(registry->events, NULL, 0, "--create-repository: %s", err->text);
    error_clear(err);
    return 0;
}

int registry_make_repository(struct registry *registry, const struct place *place,
                             struct error *err)
{
    struct ecr_host host;
    if (!registry->create_repository || !ecr_host_parse(place->endpoint->host, &host)) {
        return 0;
    }
    AUTO(mem_freep) char *name = place_name(place);
    pthread_mutex_lock(&registry->making);
    int rc = 0;
    if (!strlist_has(&registry->made, name)) {
        rc = make(registry, place, name, &host, err);
        if (rc == 0) {
            strlist_add(&registry->made, name);
        }
    }
    pthread_mutex_unlock(&registry->making);
    return rc;
}

int registry_explain_push(const struct registry *registry, const struct place *place,
                          struct error *err)
{
    struct ecr_host host;
    /* ECR was seen to hang up on the first POST to a repository that does not exist. */
    bool unknown = strstr(err->text, "NAME_UNKNOWN") != NULL;
    bool hung_up = err->code == ERR_REMOTE && err->http_status == 0 &&
                   (strstr(err->text, "Empty reply") || strstr(err->text, "reset by peer"));
    if (!ecr_host_parse(place->endpoint->host, &host) || !(unknown || hung_up)) {
        return -1;
    }
    size_t len = strlen(err->text);
    snprintf(err->text + len, sizeof err->text - len, " (%s '%s'%s)",
             unknown ? "ECR has no repository" : "perhaps ECR has no repository", place->repository,
             registry->create_repository ? "" : ": --create-repository makes it");
    return -1;
}

/* The right that REQUEST to a registry needs, as IAM calls it. */
static const char *right_for(const struct http_request *request)
{
    static const struct {
        const char *method;
        const char *part;
        const char *right;
    } rights[] = {
        {"POST", "/blobs/uploads", "ecr:InitiateLayerUpload"},
        {"PATCH", "/blobs/uploads", "ecr:UploadLayerPart"},
        {"PUT", "/blobs/uploads", "ecr:CompleteLayerUpload"},
        {"HEAD", "/blobs/", "ecr:BatchCheckLayerAvailability"},
        {"GET", "/blobs/", "ecr:GetDownloadUrlForLayer"},
        {"PUT", "/manifests/", "ecr:PutImage"},
        {"HEAD", "/manifests/", "ecr:BatchGetImage"},
        {"GET", "/manifests/", "ecr:BatchGetImage"},
    };
    const char *method = request->method ? request->method : "GET";
    for (size_t i = 0; i < ARRAY_LEN(rights); i++) {
        if (strcmp(method, rights[i].method) == 0 && strstr(request->url, rights[i].part)) {
            return rights[i].right;
        }
    }
    return NULL;
}

void registry_name_right(const struct endpoint *endpoint, const struct http_request *request,
                         const struct http_response *response, struct error *err)
{
    struct ecr_host host;
    const char *right = right_for(request);
    size_t len = strlen(err->text);
    if (response->status == 403 && response->body.len == 0 && right &&
        ecr_host_parse(endpoint->host, &host)) {
        snprintf(err->text + len, sizeof err->text - len, ": not authorised: needs %s", right);
    }
}

int registry_look_up(struct registry *registry, const struct place *place,
                     const char *tag_or_digest, bool *found_out, struct descriptor *out,
                     struct error *err)
{
    struct ecr_host host;
    if (registry_head_manifest(registry, place, tag_or_digest, "pull,push", found_out, out, err) ==
        0) {
        return 0;
    }
    if (err->http_status != 403 || !ecr_host_parse(place->endpoint->host, &host)) {
        return -1;
    }
    error_clear(err);
    *found_out = false;
    return 0;
}
