#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/memory.h"
#include "oci/images.h"
#include "registry/registry_internal.h"

#define KIND_RESOLVED "resolved"

enum {
    RECORD_MAX = 4096,
    NESTED_MAX = 4,
    CORRUPT_TRIES = 3, /* something on the way may have been at fault */
    HEAD_RETRIES = 6,  /* then GET may do better */
};

static const char ACCEPT[] = "Accept: " MEDIA_OCI_MANIFEST ", " MEDIA_OCI_INDEX
                             ", " MEDIA_DOCKER_MANIFEST ", " MEDIA_DOCKER_LIST;

/* What an answer's headers say of a manifest. Docker-Content-Digest is optional and only believed
 * until the bytes are there. */
static bool descriptor_of_headers(const struct http_response *response, struct descriptor *out)
{
    struct error ignored = {0};
    const char *digest = http_header(response, "Docker-Content-Digest");
    const char *length = http_header(response, "Content-Length");
    const char *type = http_header(response, "Content-Type");
    *out = (struct descriptor){0};
    if (!digest || digest_parse(digest, ERR_REMOTE, &out->digest, &ignored) != 0) {
        return false;
    }
    out->size = length ? strtoull(length, NULL, 10) : 0;
    size_t len = type ? strcspn(type, "; ") : 0;
    if (len > 0 && len < sizeof out->media_type) {
        memcpy(out->media_type, type, len);
    }
    return true;
}

/* A manifest as it is asked for. All borrowed. */
struct manifest_name {
    const struct place *place;
    const char *tag_or_digest;
    const char *actions;
    struct http_trouble *trouble; /* NULL: the request's own */
};

static int ask(struct registry *registry, const struct manifest_name *name, const char *method,
               int retries, struct http_response *response, struct error *err)
{
    AUTO(strlist_release) struct strlist scopes = {0};
    AUTO(strlist_release) struct strlist headers = {0};
    AUTO(mem_freep) char *url = place_url(name->place, "manifests", name->tag_or_digest);
    place_scope(name->place, name->actions, &scopes);
    strlist_add(&headers, ACCEPT);
    struct http_request request = {.method = method,
                                   .url = url,
                                   .headers = &headers,
                                   .max_body = LIMIT_MANIFEST_BYTES,
                                   .retries = retries,
                                   .trouble = name->trouble};
    if (registry_call(registry, name->place->endpoint, &scopes, &request, response, err) != 0) {
        return -1;
    }
    /* 404 is an answer; HEAD is not known everywhere. */
    bool no_head = strcmp(method, "HEAD") == 0 &&
                   (response->status == 405 || response->status == 400 || response->status == 501);
    if (response->status == 404 || no_head) {
        return 0;
    }
    return http_check(&request, response, err);
}

/* The descriptor of manifest bytes: the document's own media type counts. */
static int describe(const void *data, size_t len, const char *header_type, struct descriptor *out,
                    struct error *err)
{
    AUTO(json_freep) json_t *doc = NULL;
    if (json_parse(data, len, LIMIT_MANIFEST_BYTES, "the manifest", ERR_REMOTE, &doc, err) != 0) {
        return -1;
    }
    bool is_list = json_object_get(doc, "manifests") != NULL;
    const char *type = json_get_string(doc, "mediaType");
    type = type ? type : header_type;
    /* Its own members say more than a header that somebody set for all files of its kind. */
    bool of_list = type && (strstr(type, "manifest.list") || strstr(type, "image.index"));
    bool of_image = type && !of_list && strstr(type, "manifest");
    if (is_list ? !of_list : !of_image) {
        type = is_list ? MEDIA_OCI_INDEX : MEDIA_OCI_MANIFEST;
    }
    *out = (struct descriptor){.size = len};
    size_t type_len = strcspn(type, "; ");
    if (type_len < sizeof out->media_type) {
        memcpy(out->media_type, type, type_len);
    }
    digest_of(data, len, &out->digest);
    return 0;
}

static int no_such_image(const struct place *place, const char *tag_or_digest, struct error *err)
{
    AUTO(mem_freep) char *name = place_name(place);
    error_set(err, ERR_REMOTE, "%s%s%s: no such image", name,
              strchr(tag_or_digest, ':') ? "@" : ":", tag_or_digest);
    err->http_status = 404;
    return -1;
}

/* Whether the bytes in RESPONSE, described by GOT, are those that were WANTED (NULL: those that the
 * registry itself names). */
static int check_digest(const struct place *place, const struct http_response *response,
                        const struct digest *wanted, const struct descriptor *got,
                        struct error *err)
{
    struct descriptor named = {0};
    if (!wanted && !descriptor_of_headers(response, &named)) {
        return 0;
    }
    wanted = wanted ? wanted : &named.digest;
    if (digest_equal(&got->digest, wanted)) {
        return 0;
    }
    char want[DIGEST_TEXT_SIZE];
    char have[DIGEST_TEXT_SIZE];
    AUTO(mem_freep) char *name = place_name(place);
    return error_set(err, ERR_REMOTE, "%s: manifest %s: what was sent has the digest %s", name,
                     digest_format(wanted, want), digest_format(&got->digest, have));
}

static int no_manifest(const struct place *place, const struct http_response *response,
                       struct error *err)
{
    const char *type = http_header(response, "Content-Type");
    AUTO(mem_freep) char *name = place_name(place);
    if (type && strcasestr(type, "text/html")) {
        return error_set(err, ERR_REMOTE,
                         "%s: the answer is an HTML page and no manifest (a proxy, or no "
                         "registry?)",
                         name);
    }
    return error_wrap(err, "from %s", name);
}

/* A manifest's bytes, which are what they are said to be. RESPONSE's status may be 404. */
static int get_checked(struct registry *registry, const struct manifest_name *name,
                       const struct digest *expected, struct http_response *response,
                       struct descriptor *out, struct error *err)
{
    struct http_trouble trouble = {0};
    bool again = true;
    struct error failure = {0};
    while (again) {
        http_response_release(response);
        if (ask(registry, name, "GET", 0, response, err) != 0) {
            return -1;
        }
        if (response->status == 404) {
            return 0;
        }
        if (describe(buf_text(&response->body), response->body.len,
                     http_header(response, "Content-Type"), out, &failure) != 0) {
            no_manifest(name->place, response, &failure);
        } else if (check_digest(name->place, response, expected, out, &failure) == 0) {
            return 0;
        }
        again = false;
        if (trouble.retries + 1 < CORRUPT_TRIES &&
            http_back_off(registry->client, &trouble, NULL, &again, err) != 0) {
            return -1;
        }
    }
    *err = failure;
    return -1;
}

/* GETs a manifest into the store. EXPECTED (may be NULL) is compared. */
static int get_manifest(struct registry *registry, const struct place *place,
                        const char *tag_or_digest, const struct digest *expected,
                        struct descriptor *out, struct error *err)
{
    AUTO(http_response_release) struct http_response response = {0};
    const struct manifest_name name = {place, tag_or_digest, "pull", NULL};
    struct descriptor got = {0};
    if (get_checked(registry, &name, expected, &response, &got, err) != 0) {
        return -1;
    }
    if (response.status == 404) {
        return no_such_image(place, tag_or_digest, err);
    }
    if (store_put_blob(registry->store, response.body.data, response.body.len, &got.digest, err) !=
        0) {
        return -1;
    }
    *out = got;
    return 0;
}

/* What a tag or digest stands for by GET, for registries that do not know HEAD. */
static int look_at_manifest(struct registry *registry, const struct manifest_name *name,
                            bool *found_out, struct descriptor *out, struct error *err)
{
    AUTO(http_response_release) struct http_response response = {0};
    if (get_checked(registry, name, NULL, &response, out, err) != 0) {
        return -1;
    }
    *found_out = response.status != 404;
    return 0;
}

/* Where ERR, the end of a HEAD, says nothing of a GET: it goes on with what is left of our
 * patience. Not where nobody is there and that is at an end, or where the user wants fewer retries.
 */
static bool get_may_do_better(struct registry *registry, const struct http_trouble *trouble,
                              const struct error *err)
{
    bool limited = http_retries_at_most(registry->client, HEAD_RETRIES) == HEAD_RETRIES;
    return err->code == ERR_REMOTE && http_is_transient(err->http_status) && limited &&
           (trouble->reached || trouble->retries >= HEAD_RETRIES);
}

int registry_head_manifest(struct registry *registry, const struct place *place,
                           const char *tag_or_digest, const char *actions, bool *found_out,
                           struct descriptor *out, struct error *err)
{
    AUTO(http_response_release) struct http_response response = {0};
    struct http_trouble trouble = {0};
    const struct manifest_name name = {place, tag_or_digest, actions, &trouble};
    int retries = http_retries_at_most(registry->client, HEAD_RETRIES);
    if (ask(registry, &name, "HEAD", retries, &response, err) != 0) {
        if (!get_may_do_better(registry, &trouble, err)) {
            return -1;
        }
        error_clear(err);
        return look_at_manifest(registry, &name, found_out, out, err);
    }
    if (response.status == 404) {
        *found_out = false;
        return 0;
    }
    if (response.status == 200 && descriptor_of_headers(&response, out)) {
        *found_out = true;
        return 0;
    }
    return look_at_manifest(registry, &name, found_out, out, err);
}

/* What the bytes say of themselves counts more than what was said of them. */
static int redescribe(const struct buf *bytes, struct descriptor *d, struct error *err)
{
    struct descriptor said = *d;
    return describe(bytes->data, bytes->len, said.media_type[0] ? said.media_type : NULL, d, err);
}

/* What ensure_documents() works with. */
struct documents_job {
    struct registry *registry;
    const struct place *place;
    const struct platform *platform;
    const char *origin;
    bool *fetched;
};

/* A manifest by digest, from the store if it has it whole. */
static int ensure_manifest(const struct documents_job *job, struct descriptor *d, struct buf *out,
                           struct error *err)
{
    struct registry *registry = job->registry;
    const struct place *place = job->place;
    struct error ignored = {0};
    char digest[DIGEST_TEXT_SIZE];
    digest_format(&d->digest, digest);
    if (store_has_blob(registry->store, &d->digest, NULL)) {
        if (store_read_blob(registry->store, &d->digest, LIMIT_MANIFEST_BYTES, out, &ignored) ==
            0) {
            return redescribe(out, d, err);
        }
        /* Damaged: once more from where it came. */
        buf_clear(out);
        if (!registry->offline && store_remove_blob(registry->store, &d->digest, err) != 0) {
            return -1;
        }
    }
    if (registry->offline) {
        AUTO(mem_freep) char *name = place_name(place);
        return error_set(err, ERR_REMOTE, "offline: manifest %s of %s is not in the store", digest,
                         name);
    }
    struct digest expected = d->digest;
    *job->fetched = true;
    if (get_manifest(registry, place, digest, &expected, d, err) != 0) {
        return -1;
    }
    return store_read_blob(registry->store, &d->digest, LIMIT_MANIFEST_BYTES, out, err);
}

/* What the store knows of a tag: its own tags first, then what was resolved before. */
static int known_digest(struct registry *registry, const char *name, bool *found_out,
                        struct descriptor *out, struct error *err)
{
    AUTO(buf_release) struct buf text = BUF_INIT(RECORD_MAX);
    AUTO(json_freep) json_t *json = NULL;
    struct error ignored = {0};
    bool found = false;
    if (images_resolve(registry->store, name, out, found_out, err) != 0) {
        return -1;
    }
    if (*found_out) {
        return 0;
    }
    if (store_record_get(registry->store, KIND_RESOLVED, name, &text, &found, err) != 0) {
        return -1;
    }
    *found_out = found &&
                 json_parse(buf_text(&text), text.len, RECORD_MAX, "record", ERR_STORE, &json,
                            &ignored) == 0 &&
                 descriptor_parse(json, "record", ERR_STORE, out, &ignored) == 0;
    return 0;
}

static int remember_digest(struct registry *registry, const char *name,
                           const struct descriptor *top, struct error *err)
{
    AUTO(json_freep) json_t *json = descriptor_json(top);
    AUTO(buf_release) struct buf text = BUF_INIT(RECORD_MAX);
    json_render(json, &text);
    return store_record_put(registry->store, KIND_RESOLVED, name, text.data, text.len, err);
}

/* The digest (at least) that REF stands for. *ASKED_OUT: the registry said so. */
static int resolve(struct registry *registry, const struct place *place,
                   const struct reference *ref, enum resolve_policy policy, struct descriptor *top,
                   bool *asked_out, struct error *err)
{
    AUTO(mem_freep) char *name = reference_key(ref);
    bool found = false;
    *asked_out = false;
    if (ref->has_digest) {
        *top = (struct descriptor){.digest = ref->digest};
        return 0;
    }
    if (registry->offline || policy == RESOLVE_STORE_FIRST) {
        if (known_digest(registry, name, &found, top, err) != 0) {
            return -1;
        }
        if (found) {
            return 0;
        }
    }
    if (registry->offline) {
        return error_set(err, ERR_REMOTE, "offline: %s is not in the store", name);
    }
    if (registry_head_manifest(registry, place, reference_tag(ref), "pull", &found, top, err) !=
        0) {
        return -1;
    }
    /* Some answer every HEAD with 404. */
    const struct manifest_name by_tag = {place, reference_tag(ref), "pull", NULL};
    if (!found && look_at_manifest(registry, &by_tag, &found, top, err) != 0) {
        return -1;
    }
    if (!found) {
        return no_such_image(place, reference_tag(ref), err);
    }
    *asked_out = true;
    return 0;
}

static int add_origins(struct registry *registry, const struct digest *digest, const char *origin,
                       const char *reached, struct error *err)
{
    AUTO(strlist_release) struct strlist known = {0};
    if (store_origin_list(registry->store, digest, &known, err) != 0) {
        return -1;
    }
    /* A mirror is remembered under its own name too: its blobs can be mounted from there. */
    if (!strlist_has(&known, reached) &&
        store_origin_add(registry->store, digest, reached, err) != 0) {
        return -1;
    }
    return store_origin_add(registry->store, digest, origin, err);
}

/* Where the image came from, for all its blobs. */
static int record_origins(struct registry *registry, const struct place *place,
                          const struct image *image, struct error *err)
{
    AUTO(mem_freep) char *reached = place_name(place);
    if (add_origins(registry, &image->manifest.digest, image->origin, reached, err) != 0 ||
        add_origins(registry, &image->config.digest, image->origin, reached, err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < image->layers_len; i++) {
        if (add_origins(registry, &image->layers[i].blob.digest, image->origin, reached, err) !=
            0) {
            return -1;
        }
    }
    return 0;
}

/* The config's blob, whole. */
static int ensure_config(struct registry *registry, const char *origin,
                         const struct descriptor *config, struct error *err)
{
    AUTO(buf_release) struct buf bytes = BUF_INIT(LIMIT_CONFIG_BYTES);
    struct error ignored = {0};
    if (config->size > LIMIT_CONFIG_BYTES) {
        return error_set(err, ERR_REMOTE, "%s: a config of %llu bytes is too large", origin,
                         (unsigned long long)config->size);
    }
    if (store_has_blob(registry->store, &config->digest, NULL) && !registry->offline &&
        store_read_blob(registry->store, &config->digest, LIMIT_CONFIG_BYTES, &bytes, &ignored) !=
            0 &&
        store_remove_blob(registry->store, &config->digest, err) != 0) {
        return -1;
    }
    return registry_fetch_blob(registry, config, origin, err);
}

/* Manifests and config of TOP into the store. */
static int ensure_documents(const struct documents_job *job, struct descriptor *top,
                            struct error *err)
{
    struct descriptor current = *top;
    for (int depth = 0; depth < NESTED_MAX; depth++) {
        AUTO(buf_release) struct buf bytes = BUF_INIT(LIMIT_MANIFEST_BYTES);
        AUTO(image_index_release) struct image_index index = {0};
        AUTO(mem_freep) struct layer *layers = NULL;
        size_t layers_len = 0;
        struct descriptor config = {0};
        enum document_kind kind = DOCUMENT_MANIFEST;
        if (ensure_manifest(job, &current, &bytes, err) != 0) {
            return -1;
        }
        if (depth == 0) {
            *top = current;
        }
        if (document_parse(bytes.data, bytes.len, current.media_type, ERR_REMOTE, &kind, &config,
                           &layers, &layers_len, &index, err) != 0) {
            return -1;
        }
        if (kind == DOCUMENT_MANIFEST) {
            return ensure_config(job->registry, job->origin, &config, err);
        }
        if (image_index_pick(&index, job->platform, &current, err) != 0) {
            return -1;
        }
    }
    return error_set(err, ERR_REMOTE, "the index is nested more than %d deep", NESTED_MAX);
}

/* Whether IMAGE is for WANTED, as far as its config says. */
static bool is_for(const struct image *image, const struct platform *wanted)
{
    struct platform offered = {
        .os = (char *)json_get_string(image->config_json, "os"),
        .architecture = (char *)json_get_string(image->config_json, "architecture"),
        .variant = (char *)json_get_string(image->config_json, "variant"),
    };
    return !offered.os || !offered.architecture || platform_matches(wanted, &offered);
}

/* A wish for an image, and how it was fulfilled. */
struct image_wish {
    const struct reference *ref;
    const struct platform *platform;
    struct place place;
    char *origin; /* "HOST/REPOSITORY" */
    struct descriptor top;
    bool asked;   /* the registry said what the tag stands for */
    bool fetched; /* and sent a document */
};

static void image_wish_release(struct image_wish *wish)
{
    place_release(&wish->place);
    free(wish->origin);
}

static int load_image(struct registry *registry, struct image_wish *wish,
                      enum resolve_policy policy, struct image *image, struct error *err)
{
    struct documents_job job = {registry, &wish->place, wish->platform, wish->origin,
                                &wish->fetched};
    if (resolve(registry, &wish->place, wish->ref, policy, &wish->top, &wish->asked, err) != 0) {
        return -1;
    }
    int rc = ensure_documents(&job, &wish->top, err);
    if (rc != 0 && err->http_status == 404 && wish->asked) {
        /* The tag may have moved on meanwhile, or the HEAD told of something that is not there. */
        error_clear(err);
        wish->fetched = true;
        rc = get_manifest(registry, &wish->place, reference_tag(wish->ref), NULL, &wish->top, err);
        rc = rc == 0 ? ensure_documents(&job, &wish->top, err) : rc;
    }
    if (rc != 0) {
        return -1;
    }
    return images_load(registry->store, &wish->top, wish->platform, image, err);
}

/* As load_image; what the store knows under this tag may be for another platform only. */
static int load_fitting(struct registry *registry, struct image_wish *wish,
                        enum resolve_policy policy, struct image *image, struct error *err)
{
    if (load_image(registry, wish, policy, image, err) != 0) {
        return -1;
    }
    bool picked = !digest_equal(&wish->top.digest, &image->manifest.digest);
    if (wish->asked || picked || wish->ref->has_digest || is_for(image, wish->platform)) {
        return 0;
    }
    if (registry->offline) {
        AUTO(mem_freep) char *platform = platform_format(wish->platform);
        return error_set(err, ERR_REMOTE, "offline: the image in the store is not for %s",
                         platform);
    }
    image_release(image);
    *image = (struct image){0};
    return load_image(registry, wish, RESOLVE_REGISTRY, image, err);
}

/* Remembers what was learnt. An image that only the store knows was built here: it has no origin
 * to be recorded. */
static int remember(struct registry *registry, struct image_wish *wish, struct image *image,
                    struct error *err)
{
    if (wish->asked || wish->fetched) {
        free(image->origin);
        image->origin = mem_strdup(wish->origin);
        if (record_origins(registry, &wish->place, image, err) != 0) {
            return -1;
        }
    }
    if (wish->asked) {
        AUTO(mem_freep) char *name = reference_key(wish->ref);
        return remember_digest(registry, name, &wish->top, err);
    }
    return 0;
}

int registry_get_image(struct registry *registry, const struct reference *ref,
                       const struct platform *platform, enum resolve_policy policy,
                       struct image *image, struct error *err)
{
    AUTO(platform_release) struct platform local = {0};
    AUTO(image_wish_release) struct image_wish wish = {.ref = ref, .platform = platform};
    AUTO(mem_freep) char *shown = reference_familiar(ref);
    AUTO(image_release) struct image got = {0};
    if (!platform) {
        platform_local(&local);
        wish.platform = &local;
    }
    wish.origin = mem_printf("%s/%s", ref->host, ref->repository);
    registry_place(registry, ref->host, ref->repository, PLACE_PULL, &wish.place);
    if (load_fitting(registry, &wish, policy, &got, err) != 0) {
        /* What names the image already need not name it twice; a mirror's name is another. */
        bool named = strncmp(err->text, shown, strlen(shown)) == 0;
        return named ? -1 : error_wrap(err, "%s", shown);
    }
    if (remember(registry, &wish, &got, err) != 0) {
        return -1;
    }
    *image = got;
    got = (struct image){0};
    return 0;
}
