#include "registry/registry.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "registry/login.h"
#include "registry/registry_internal.h"

enum { CHALLENGES_MAX = 2 };

/* Adds the parts of a comma-separated TEXT. */
static void split_list(const char *text, struct strlist *out)
{
    for (const char *p = text; p && *p;) {
        size_t len = strcspn(p, ", \t\n");
        if (len > 0) {
            strlist_take(out, mem_strndup(p, len));
        }
        p += len + (p[len] != '\0');
    }
}

/* HOST=HOST[/PREFIX] */
static int add_mapping(struct registry *registry, const char *text, struct error *err)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text || !equals[1] || strstr(text, "://")) {
        return error_set(err, ERR_USAGE, "SLIPWAY_REGISTRY_MAP: '%s': expected HOST=HOST[/PREFIX]",
                         text);
    }
    AUTO(mem_freep) char *from = mem_strndup(text, (size_t)(equals - text));
    AUTO(mem_freep) char *to = mem_strdup(equals + 1);
    char *slash = strchr(to, '/');
    const char *prefix = slash ? slash + 1 : "";
    size_t prefix_len = strlen(prefix);
    while (prefix_len > 0 && prefix[prefix_len - 1] == '/') {
        prefix_len--;
    }
    registry->mappings =
        mem_realloc(registry->mappings, registry->mappings_len + 1, sizeof *registry->mappings);
    registry->mappings[registry->mappings_len++] = (struct mapping){
        .from = registry_login_host(from),
        .to = slash ? mem_strndup(to, (size_t)(slash - to)) : mem_strdup(to),
        .prefix = prefix_len ? mem_printf("%.*s/", (int)prefix_len, prefix) : mem_strdup(""),
    };
    return 0;
}

/* HOST=URL */
static int check_endpoint(const char *text, struct error *err)
{
    const char *equals = strchr(text, '=');
    const char *url = equals ? equals + 1 : "";
    const char *host = strncasecmp(url, "https://", 8) == 0  ? url + 8
                       : strncasecmp(url, "http://", 7) == 0 ? url + 7
                                                             : "";
    if (equals == text || !*host || strpbrk(host, "/?#@")) {
        return error_set(err, ERR_USAGE,
                         "SLIPWAY_REGISTRY_ENDPOINT: '%s': expected HOST=http[s]://HOST[:PORT]",
                         text);
    }
    return 0;
}

static int read_environment(struct registry *registry, struct error *err)
{
    AUTO(strlist_release) struct strlist map = {0};
    split_list(getenv("SLIPWAY_INSECURE_REGISTRIES"), &registry->insecure);
    split_list(getenv("SLIPWAY_REGISTRY_ENDPOINT"), &registry->urls);
    split_list(getenv("SLIPWAY_REGISTRY_MAP"), &map);
    for (size_t i = 0; i < registry->urls.len; i++) {
        if (check_endpoint(registry->urls.items[i], err) != 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < map.len; i++) {
        if (add_mapping(registry, map.items[i], err) != 0) {
            return -1;
        }
    }
    return 0;
}

int registry_open(struct store *store, const struct registry_options *options,
                  struct registry **out, struct error *err)
{
    AUTO(registry_freep) struct registry *registry = mem_calloc(1, sizeof *registry);
    registry->store = store;
    registry->offline = options->offline;
    registry->events = options->events;
    registry->user_agent = mem_strdup(options->user_agent);
    pthread_mutex_init(&registry->lock, NULL);
    pthread_cond_init(&registry->changed, NULL);
    pthread_mutex_init(&registry->making, NULL);
    if (options->insecure) {
        strlist_add_all(&registry->insecure, options->insecure);
    }
    if (options->certificates) {
        strlist_add_all(&registry->certificates, options->certificates);
    }
    if (options->client_certificates) {
        strlist_add_all(&registry->client_certificates, options->client_certificates);
    }
    if (read_environment(registry, err) != 0) {
        return -1;
    }
    struct http_options http = {
        .user_agent = options->user_agent,
        .certificates = &registry->certificates,
        .client_certificates = &registry->client_certificates,
        .retries = options->retries,
        .retry_delay_ms = options->retry_delay_ms,
        .timeout_ms = options->timeout_ms,
        .budget_ms = options->budget_ms,
        .events = options->events,
        .stop = options->stop,
    };
    if (http_client_open(&http, &registry->client, err) != 0) {
        return -1;
    }
    registry->create_repository = options->create_repository;
    registry->aws = aws_identity_new(registry->client, NULL);
    *out = MEM_STEAL(registry);
    return 0;
}

int registry_open_brief(const struct registry *like, unsigned timeout_ms, const atomic_bool *stop,
                        struct registry **out, struct error *err)
{
    const struct registry_options options = {
        .offline = like->offline,
        .insecure = &like->insecure,
        .certificates = &like->certificates,
        .client_certificates = &like->client_certificates,
        .user_agent = like->user_agent,
        .retries = HTTP_NO_RETRIES,
        .timeout_ms = timeout_ms,
        .stop = stop,
        .create_repository = like->create_repository,
    };
    return registry_open(like->store, &options, out, err);
}

static void endpoint_free(struct endpoint *endpoint)
{
    auth_freep(&endpoint->auth);
    free(endpoint->host);
    free(endpoint->base_url);
    free(endpoint);
}

struct http_client *registry_http(struct registry *registry)
{
    return registry->client;
}

void registry_freep(struct registry **pointer)
{
    struct registry *registry = *pointer;
    *pointer = NULL;
    if (!registry) {
        return;
    }
    while (registry->endpoints) {
        struct endpoint *next = registry->endpoints->next;
        endpoint_free(registry->endpoints);
        registry->endpoints = next;
    }
    for (size_t i = 0; i < registry->mappings_len; i++) {
        free(registry->mappings[i].from);
        free(registry->mappings[i].to);
        free(registry->mappings[i].prefix);
    }
    free(registry->mappings);
    free(registry->user_agent);
    free(registry->failed);
    aws_identity_freep(&registry->aws);
    http_client_freep(&registry->client);
    strlist_release(&registry->urls);
    strlist_release(&registry->made);
    pthread_mutex_destroy(&registry->making);
    strlist_release(&registry->insecure);
    strlist_release(&registry->certificates);
    strlist_release(&registry->client_certificates);
    pthread_cond_destroy(&registry->changed);
    pthread_mutex_destroy(&registry->lock);
    free(registry);
}

static bool has_certificate(const struct registry *registry, const char *host)
{
    size_t name = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
    for (size_t i = 0; i < registry->certificates.len; i++) {
        const char *entry = registry->certificates.items[i];
        size_t len = strcspn(entry, "=");
        if ((len == strlen(host) || len == name) && strncasecmp(entry, host, len) == 0) {
            return true;
        }
    }
    return false;
}

/* Loopback is plain HTTP unless something speaks for https: its port, or a certificate given for
 * it. */
static bool is_plain_http(const struct registry *registry, const char *host)
{
    for (size_t i = 0; i < registry->insecure.len; i++) {
        if (strcasecmp(registry->insecure.items[i], host) == 0) {
            return true;
        }
    }
    size_t len = strlen(host);
    bool https_port = len > 4 && strcmp(host + len - 4, ":443") == 0;
    return http_is_loopback(host) && !https_port && !has_certificate(registry, host);
}

/* The URL that HOST is asked at; the caller's. */
static char *base_url(const struct registry *registry, const char *host)
{
    for (size_t i = 0; i < registry->urls.len; i++) {
        const char *entry = registry->urls.items[i];
        size_t len = strcspn(entry, "=");
        if (len == strlen(host) && strncasecmp(entry, host, len) == 0) {
            return mem_strdup(entry + len + 1);
        }
    }
    const char *name = strcmp(host, "docker.io") == 0 ? "registry-1.docker.io" : host;
    return mem_printf("%s://%s", is_plain_http(registry, host) ? "http" : "https", name);
}

static struct endpoint *make_endpoint(struct registry *registry, const char *host)
{
    struct endpoint *endpoint = mem_calloc(1, sizeof *endpoint);
    endpoint->host = mem_strdup(host);
    endpoint->base_url = base_url(registry, host);
    endpoint->auth = auth_new(registry->client, host, endpoint->base_url);
    auth_use_aws(endpoint->auth, registry->aws);
    return endpoint;
}

static struct endpoint *find_endpoint(struct registry *registry, const char *host)
{
    pthread_mutex_lock(&registry->lock);
    struct endpoint *endpoint = registry->endpoints;
    while (endpoint && strcasecmp(endpoint->host, host) != 0) {
        endpoint = endpoint->next;
    }
    if (!endpoint) {
        endpoint = make_endpoint(registry, host);
        endpoint->next = registry->endpoints;
        registry->endpoints = endpoint;
    }
    pthread_mutex_unlock(&registry->lock);
    return endpoint;
}

void place_release(struct place *place)
{
    free(place->repository);
    *place = (struct place){0};
}

void registry_place(struct registry *registry, const char *host, const char *repository,
                    enum place_use use, struct place *out)
{
    const char *prefix = "";
    for (size_t i = 0; use == PLACE_PULL && i < registry->mappings_len; i++) {
        if (strcasecmp(registry->mappings[i].from, host) == 0) {
            host = registry->mappings[i].to;
            prefix = registry->mappings[i].prefix;
            break;
        }
    }
    *out = (struct place){
        .endpoint = find_endpoint(registry, host),
        .repository = mem_printf("%s%s", prefix, repository),
    };
}

bool registry_place_of_origin(struct registry *registry, const char *origin, enum place_use use,
                              struct place *out)
{
    const char *slash = origin ? strchr(origin, '/') : NULL;
    if (!slash || slash == origin || !slash[1]) {
        return false;
    }
    AUTO(mem_freep) char *host = mem_strndup(origin, (size_t)(slash - origin));
    registry_place(registry, host, slash + 1, use, out);
    return true;
}

char *place_name(const struct place *place)
{
    return mem_printf("%s/%s", place->endpoint->host, place->repository);
}

char *place_url(const struct place *place, const char *kind, const char *name)
{
    return mem_printf("%s/v2/%s/%s/%s", place->endpoint->base_url, place->repository, kind, name);
}

void place_scope(const struct place *place, const char *actions, struct strlist *scopes)
{
    strlist_addf(scopes, "repository:%s:%s", place->repository, actions);
}

static int refuse(struct endpoint *endpoint, const struct http_request *request,
                  const struct http_response *response, struct error *err)
{
    AUTO(mem_freep) char *source = auth_source(endpoint->auth);
    http_error(request, response, err);
    registry_name_right(endpoint, request, response, err);
    size_t len = strlen(err->text);
    /* Docker Hub says 401 for what does not exist, so a misspelt name ends here. */
    bool perhaps_missing = strstr(request->url, "/manifests/") &&
                           (!request->method || strcmp(request->method, "PUT") != 0);
    const char *or_missing = perhaps_missing ? ", or there is no such image" : "";
    if (source) {
        snprintf(err->text + len, sizeof err->text - len, " (with the credentials from %s%s)",
                 source, or_missing);
    } else {
        snprintf(err->text + len, sizeof err->text - len,
                 " (no credentials for %s: slipway login %s%s)", endpoint->host, endpoint->host,
                 or_missing);
    }
    return -1;
}

/* TLS spoken to a server that speaks none fails with words that say nothing. */
static int explain_tls(const struct endpoint *endpoint, struct error *err)
{
    if (strstr(err->text, "wrong version number") || strstr(err->text, "packet length too long")) {
        size_t len = strlen(err->text);
        snprintf(err->text + len, sizeof err->text - len,
                 " (if %s speaks plain HTTP: SLIPWAY_INSECURE_REGISTRIES=%s)", endpoint->host,
                 endpoint->host);
    }
    return -1;
}

int registry_call(struct registry *registry, struct endpoint *endpoint,
                  const struct strlist *scopes, struct http_request *request,
                  struct http_response *response, struct error *err)
{
    bool own = http_same_origin(endpoint->base_url, request->url);
    if (registry->offline) {
        AUTO(mem_freep) char *url = http_redact_url(request->url);
        return error_set(err, ERR_REMOTE, "offline: %s cannot be asked for", url);
    }
    for (unsigned challenges = 0;; challenges++) {
        AUTO(mem_freep) char *authorization = NULL;
        if (own && auth_header(endpoint->auth, scopes, &authorization, err) != 0) {
            return -1;
        }
        request->authorization = authorization;
        int rc = http_perform(registry->client, request, response, err);
        request->authorization = NULL;
        if (rc != 0) {
            return explain_tls(endpoint, err);
        }
        /* Another host's refusal says nothing of our credentials. */
        bool here = own && http_same_origin(endpoint->base_url, response->url);
        bool denied = response->status == 401 || response->status == 403;
        bool again = false;
        if (here && !denied && authorization) {
            auth_accepted(endpoint->auth);
        }
        if ((denied || response->status == 400) && here && challenges < CHALLENGES_MAX &&
            auth_challenge(endpoint->auth, scopes, authorization, response, &again, err) != 0) {
            return -1;
        }
        if (!again && (!denied || !here)) {
            return 0;
        }
        bool taken = request->body_is_file && (request->body_size > 0 || request->body_growth);
        if (!again) {
            refuse(endpoint, request, response, err);
        } else if (taken) {
            /* Nobody knows how much of the body: the caller has to find out. */
            http_error(request, response, err);
            err->code = ERR_REMOTE;
        }
        http_response_release(response);
        if (!again || taken) {
            return -1;
        }
    }
}

void registry_tell(struct registry *registry, const struct descriptor *blob,
                   enum event_direction direction, enum event_status status, uint64_t current)
{
    char digest[DIGEST_TEXT_SIZE];
    struct event event = {
        .type = EVENT_TRANSFER,
        .name = digest_format(&blob->digest, digest),
        .direction = direction,
        .status = status,
        .current = current,
        .total = blob->size,
    };
    event_post(registry->events, &event);
}
