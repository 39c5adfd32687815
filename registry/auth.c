#include "registry/auth.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/limits.h"
#include "base/memory.h"
#include "registry/auth_internal.h"

enum {
    PING_RETRIES = 2,
    RELOAD_PAUSE_S = 60,
    RENEW_BEFORE_S = 15 * 60, /* ECR's password lasts 12 hours */
};

struct auth *auth_new(struct http_client *client, const char *host, const char *base_url)
{
    struct auth *auth = mem_calloc(1, sizeof *auth);
    auth->client = client;
    auth->host = mem_strdup(host);
    auth->base_url = mem_strdup(base_url);
    auth->reloaded_at = -3600;
    pthread_mutex_init(&auth->lock, NULL);
    return auth;
}

struct auth *auth_new_with(struct http_client *client, const char *host, const char *base_url,
                           const char *user, const char *password)
{
    struct auth *auth = auth_new(client, host, base_url);
    auth->loaded = true;
    auth->credentials.user = mem_strdup(user);
    auth->credentials.password = mem_strdup(password);
    return auth;
}

void auth_use_aws(struct auth *auth, struct aws_identity *identity)
{
    if (!auth->loaded && ecr_host_parse(auth->host, &auth->ecr)) {
        auth->aws = identity;
        /* It takes nothing else, and an answer of 401 to each first request can be spared. */
        auth->scheme = auth->ecr.is_public ? SCHEME_UNKNOWN : SCHEME_BASIC;
    }
}

static void drop_tokens(struct auth *auth)
{
    for (size_t i = 0; i < auth->tokens_len; i++) {
        free(auth->tokens[i].scopes);
        free(auth->tokens[i].value);
    }
    free(auth->tokens);
    auth->tokens = NULL;
    auth->tokens_len = 0;
}

void auth_freep(struct auth **pointer)
{
    struct auth *auth = *pointer;
    *pointer = NULL;
    if (!auth) {
        return;
    }
    drop_tokens(auth);
    credentials_release(&auth->credentials);
    pthread_mutex_destroy(&auth->lock);
    free(auth->host);
    free(auth->base_url);
    free(auth->realm);
    free(auth->service);
    free(auth->extra_scope);
    free(auth);
}

/* The repository of the first scope, for credentials kept per repository; the caller's. */
static char *scope_repository(const struct strlist *scopes)
{
    if (!scopes || scopes->len == 0 || strncmp(scopes->items[0], "repository:", 11) != 0) {
        return NULL;
    }
    const char *name = scopes->items[0] + 11;
    const char *end = strrchr(name, ':');
    return end ? mem_strndup(name, (size_t)(end - name)) : NULL;
}

/* Whether SCOPES are about reading only. */
static bool only_reads(const struct strlist *scopes)
{
    for (size_t i = 0; scopes && i < scopes->len; i++) {
        if (strstr(scopes->items[i], "push")) {
            return false;
        }
    }
    return true;
}

static int load_from_ecr(struct auth *auth, const struct strlist *scopes, struct error *err)
{
    AUTO(ecr_login_release) struct ecr_login login = {0};
    if (ecr_get_login(auth->aws, &auth->ecr, &login, err) != 0) {
        if (auth->ecr.is_public && only_reads(scopes) && err->code != ERR_CANCELLED) {
            error_clear(err); /* public images may be read by anybody */
            return 0;
        }
        return error_wrap(err,
                          auth->config_is_old
                              ? "%s: docker's config has a password that is refused, and there "
                                "is no new one"
                              : "%s",
                          auth->host);
    }
    int64_t life = login.expires_at ? login.expires_at - time(NULL) : 0;
    auth->renew_at = life > 2 * RENEW_BEFORE_S ? auth_now_s() + life - RENEW_BEFORE_S
                     : life > 0                ? auth_now_s() + life / 2
                                               : 0;
    auth->credentials.user = MEM_STEAL(login.user);
    auth->credentials.password = MEM_STEAL(login.password);
    auth->credentials.source = MEM_STEAL(login.source);
    return 0;
}

static int load_credentials(struct auth *auth, const struct strlist *scopes, struct error *err)
{
    bool over = auth->renew_at && auth_now_s() >= auth->renew_at;
    if (auth->loaded && !over) {
        return 0;
    }
    AUTO(mem_freep) char *repository = scope_repository(scopes);
    AUTO(credentials_release) struct credentials old = auth->credentials;
    auth->credentials = (struct credentials){0};
    auth->loaded = false;
    auth->renew_at = 0;
    if (!auth->config_is_old &&
        docker_config_get(auth->host, repository, &auth->credentials, err) != 0) {
        return -1;
    }
    if (auth->aws && credentials_empty(&auth->credentials) &&
        load_from_ecr(auth, scopes, err) != 0) {
        return -1;
    }
    auth->loaded = true;
    return 0;
}

char *auth_source(struct auth *auth)
{
    pthread_mutex_lock(&auth->lock);
    char *source = mem_strdup(auth->credentials.source);
    pthread_mutex_unlock(&auth->lock);
    return source;
}

static int header_locked(struct auth *auth, const struct strlist *scopes, char **value_out,
                         struct error *err)
{
    *value_out = NULL;
    if (auth->scheme == SCHEME_UNKNOWN) {
        return 0;
    }
    if (load_credentials(auth, scopes, err) != 0) {
        return -1;
    }
    if (auth->credentials.registry_token) {
        *value_out = mem_printf("Bearer %s", auth->credentials.registry_token);
        return 0;
    }
    if (auth->scheme == SCHEME_BEARER) {
        return auth_bearer_value(auth, scopes, value_out, err);
    }
    if (auth->credentials.password) {
        *value_out = auth_basic_value(&auth->credentials);
    }
    return 0;
}

int auth_header(struct auth *auth, const struct strlist *scopes, char **value_out,
                struct error *err)
{
    pthread_mutex_lock(&auth->lock);
    int rc = header_locked(auth, scopes, value_out, err);
    pthread_mutex_unlock(&auth->lock);
    return rc;
}

static const struct challenge *find_challenge(const struct challenges *list, const char *scheme)
{
    for (size_t i = 0; i < list->len; i++) {
        if (strcmp(list->items[i].scheme, scheme) == 0) {
            return &list->items[i];
        }
    }
    return NULL;
}

static void replace(char **member, const char *value)
{
    free(*member);
    *member = mem_strdup(value);
}

/* Whether WANTED, of a challenge, is about something that one of SCOPES is about. */
static bool is_about_ours(const char *wanted, const struct strlist *scopes)
{
    const char *actions = strrchr(wanted, ':');
    size_t len = actions ? (size_t)(actions + 1 - wanted) : strlen(wanted);
    for (size_t i = 0; scopes && i < scopes->len; i++) {
        if (strncmp(scopes->items[i], wanted, len) == 0) {
            return true;
        }
    }
    return false;
}

/* Takes over where tokens come from. A realm over plain HTTP would show the password to the network
 * where the registry itself does not. */
static int adopt_bearer(struct auth *auth, const struct challenge *c, const struct strlist *scopes,
                        struct error *err)
{
    bool https = c->realm && strncasecmp(c->realm, "https://", 8) == 0;
    bool http = c->realm && strncasecmp(c->realm, "http://", 7) == 0;
    bool plain_registry = strncasecmp(auth->base_url, "http://", 7) == 0;
    if (!https && !(http && plain_registry)) {
        AUTO(mem_freep) char *shown = http_redact_url(c->realm ? c->realm : "");
        return error_set(err, ERR_AUTH, "%s: its token server '%.200s' is no https URL: refused",
                         auth->host, shown);
    }
    auth->scheme = SCHEME_BEARER;
    replace(&auth->realm, c->realm);
    replace(&auth->service, c->service);
    bool more = c->scope && *c->scope && !is_about_ours(c->scope, scopes);
    replace(&auth->extra_scope, more ? c->scope : NULL);
    return 0;
}

/* A token that was refused is not used again, however long it was to live. */
static void drop_refused(struct auth *auth, const struct strlist *scopes, const char *used)
{
    AUTO(mem_freep) char *key = auth_scopes_text(auth, scopes);
    struct token *token = auth_find_token(auth, key);
    if (used && token && strcmp(token->value, used) == 0) {
        token->expires_at = 0;
    }
}

/* Forgets what was refused with USED, so that the next header is made anew. Whether another request
 * is worth it: not if that was done a moment ago. */
static bool forget_refused(struct auth *auth, const struct strlist *scopes, const char *used)
{
    AUTO(mem_freep) char *key = auth_scopes_text(auth, scopes);
    AUTO(mem_freep)
    char *basic =
        auth->credentials.password ? auth_basic_value(&auth->credentials) : mem_strdup("");
    struct token *token = auth_find_token(auth, key);
    bool current = strcmp(basic, used) == 0 || (token && strcmp(token->value, used) == 0);
    if (!current) {
        return true; /* another thread was quicker */
    }
    if (auth_now_s() - auth->reloaded_at <= RELOAD_PAUSE_S) {
        return false;
    }
    auth->reloaded_at = auth_now_s();
    drop_tokens(auth);
    if (auth->credentials.source) {
        auth->config_is_old = auth->aws && !auth->renew_at;
        auth->renew_at = 0;
        credentials_release(&auth->credentials);
        auth->loaded = false;
    }
    return true;
}

static void read_challenges(const struct http_response *response, struct challenges *out)
{
    for (const char *h = http_header(response, "WWW-Authenticate"); h;
         h = http_header_next(response, "WWW-Authenticate", h)) {
        challenges_parse(h, out);
    }
}

/* A 401 that does not say what is wanted (in answer to a HEAD, perhaps): the front door does. */
static int ask_front_door(struct auth *auth, struct challenges *out, struct error *err)
{
    AUTO(mem_freep) char *url = mem_printf("%s/v2/", auth->base_url);
    AUTO(http_response_release) struct http_response response = {0};
    struct http_request request = {.url = url,
                                   .retries = http_retries_at_most(auth->client, PING_RETRIES)};
    if (http_perform(auth->client, &request, &response, err) == 0) {
        read_challenges(&response, out);
        return 0;
    }
    if (err->code == ERR_CANCELLED) {
        return -1;
    }
    error_clear(err);
    return 0;
}

static int unauthorized(struct auth *auth, const struct strlist *scopes, const char *used,
                        const struct http_response *response, bool *again_out, struct error *err)
{
    AUTO(challenges_release) struct challenges list = {0};
    read_challenges(response, &list);
    if (list.len == 0 && !used && ask_front_door(auth, &list, err) != 0) {
        return -1;
    }
    if (load_credentials(auth, scopes, err) != 0) {
        return -1;
    }
    const struct challenge *bearer = find_challenge(&list, "bearer");
    if (auth->credentials.registry_token) {
        auth->scheme = SCHEME_BEARER;
        *again_out = !used;
        return 0;
    }
    /* A refusal without a word is one of what was used so far. */
    bool silent = list.len == 0 && used;
    if ((bearer && bearer->realm) || (silent && auth->scheme == SCHEME_BEARER)) {
        if (!silent && adopt_bearer(auth, bearer, scopes, err) != 0) {
            return -1;
        }
        drop_refused(auth, scopes, used);
        *again_out = true;
        return 0;
    }
    bool basic = find_challenge(&list, "basic") || (silent && auth->scheme == SCHEME_BASIC) ||
                 (list.len == 0 && !used);
    if (basic && auth->credentials.password) {
        AUTO(mem_freep) char *value = auth_basic_value(&auth->credentials);
        auth->scheme = SCHEME_BASIC;
        *again_out = !used || strcmp(used, value) != 0 || (auth->accepted && !auth->aws);
    }
    if (used && !*again_out && auth->aws && auth->scheme == SCHEME_BASIC) {
        *again_out = forget_refused(auth, scopes, used);
    }
    return 0;
}

/* ECR: a password of 12 hours that is over is a 403 with these words, or with none where the
 * request was a HEAD; ECR Public says 400 and nothing else. */
static bool says_expired(const struct auth *auth, const struct http_response *response)
{
    if (response->status == 403) {
        bool silent = auth->aws && response->body.len == 0;
        /* Some say 403 of a token that is over; of one that never was any good they say it again.
         */
        bool bearer = auth->scheme == SCHEME_BEARER && auth->accepted;
        return silent || bearer ||
               strcasestr(buf_text(&response->body), "authorization token has expired") != NULL;
    }
    return response->status == 400 && strcmp(auth->host, "public.ecr.aws") == 0;
}

int auth_challenge(struct auth *auth, const struct strlist *scopes, const char *used,
                   const struct http_response *response, bool *again_out, struct error *err)
{
    int rc = 0;
    *again_out = false;
    pthread_mutex_lock(&auth->lock);
    if (response->status == 401) {
        rc = unauthorized(auth, scopes, used, response, again_out, err);
    } else if (used && says_expired(auth, response)) {
        *again_out = forget_refused(auth, scopes, used);
    }
    pthread_mutex_unlock(&auth->lock);
    return rc;
}

void auth_accepted(struct auth *auth)
{
    pthread_mutex_lock(&auth->lock);
    auth->accepted = true;
    pthread_mutex_unlock(&auth->lock);
}
