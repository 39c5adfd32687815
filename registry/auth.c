#include "registry/auth.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/json.h"
#include "base/limits.h"
#include "base/memory.h"

enum {
    DEFAULT_LIFE_S = 60, /* distribution spec, token.md: expires_in is 60 where it is not given */
    MAX_LIFE_S = 24 * 3600,
    TOKEN_TRIES = 3, /* where the answer is no token */
    TOKEN_MAX = 128 * 1024,
    RELOAD_PAUSE_S = 60,
    RENEW_BEFORE_S = 15 * 60, /* ECR's password lasts 12 hours */
};

enum scheme { SCHEME_UNKNOWN, SCHEME_BASIC, SCHEME_BEARER };

struct token {
    char *scopes; /* the set, as text */
    char *value;  /* "Bearer ..." */
    int64_t expires_at;
};

struct auth {
    struct http_client *client;
    char *host;
    char *base_url;
    pthread_mutex_t lock; /* held while a token is fetched: who wants the same one waits for it */
    bool loaded;
    struct credentials credentials;
    enum scheme scheme;
    char *realm;
    char *service;
    char *
        extra_scope; /* a scope that is not of the form repository:..., wanted by some registries */
    struct token *tokens;
    size_t tokens_len;
    int64_t reloaded_at;
    bool accepted;            /* the credentials, since they were last refused */
    struct aws_identity *aws; /* borrowed; NULL: this is no registry of ECR */
    struct ecr_host ecr;
    int64_t renew_at;   /* ECR's password is to be fetched again; 0: never */
    bool config_is_old; /* what docker's config has was refused as expired */
};

static int64_t now_s(void)
{
    struct timespec t = {0};
    clock_gettime(CLOCK_BOOTTIME, &t);
    return t.tv_sec;
}

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
    auth->renew_at = life > 2 * RENEW_BEFORE_S ? now_s() + life - RENEW_BEFORE_S
                     : life > 0                ? now_s() + life / 2
                                               : 0;
    auth->credentials.user = MEM_STEAL(login.user);
    auth->credentials.password = MEM_STEAL(login.password);
    auth->credentials.source = MEM_STEAL(login.source);
    return 0;
}

static int load_credentials(struct auth *auth, const struct strlist *scopes, struct error *err)
{
    bool over = auth->renew_at && now_s() >= auth->renew_at;
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

static char *scopes_text(const struct auth *auth, const struct strlist *scopes)
{
    AUTO(strlist_release) struct strlist all = {0};
    struct buf out = BUF_INIT(0);
    if (scopes) {
        strlist_add_all(&all, scopes);
    }
    if (auth->extra_scope && !strlist_has(&all, auth->extra_scope)) {
        strlist_add(&all, auth->extra_scope);
    }
    for (size_t i = 0; i < all.len; i++) {
        buf_printf(&out, "%s%s", i ? " " : "", all.items[i]);
    }
    return buf_take(&out);
}

static struct token *find_token(struct auth *auth, const char *scopes)
{
    for (size_t i = 0; i < auth->tokens_len; i++) {
        if (strcmp(auth->tokens[i].scopes, scopes) == 0) {
            return &auth->tokens[i];
        }
    }
    return NULL;
}

static char *basic_value(const struct credentials *c)
{
    AUTO(mem_freep) char *plain = mem_printf("%s:%s", c->user ? c->user : "", c->password);
    struct buf out = BUF_INIT(0);
    buf_puts(&out, "Basic ");
    base64_encode(plain, strlen(plain), &out);
    return buf_take(&out);
}

/* token.md: GET realm?service=S&scope=A&scope=B, with Basic where there are credentials. */
static char *get_url(const struct auth *auth, const char *scopes)
{
    struct buf url = BUF_INIT(0);
    buf_puts(&url, auth->realm);
    if (auth->service) {
        http_add_query(&url, "service", auth->service);
    }
    for (const char *p = scopes; *p;) {
        size_t len = strcspn(p, " ");
        AUTO(mem_freep) char *one = mem_strndup(p, len);
        http_add_query(&url, "scope", one);
        p += len + (p[len] == ' ');
    }
    http_add_query(&url, "client_id", "slipway");
    if (auth->credentials.user && auth->credentials.password) {
        http_add_query(&url, "account", auth->credentials.user);
    }
    return buf_take(&url);
}

static void add_field(struct buf *form, const char *name, const char *value)
{
    buf_printf(form, "%s%s=", form->len ? "&" : "", name);
    http_encode(value, NULL, form);
}

/* oauth.md: POST with a refresh token. */
static void make_form(const struct auth *auth, const char *scopes, struct buf *form)
{
    add_field(form, "grant_type", "refresh_token");
    if (auth->service) {
        add_field(form, "service", auth->service);
    }
    add_field(form, "client_id", "slipway");
    if (*scopes) {
        add_field(form, "scope", scopes);
    }
    add_field(form, "refresh_token", auth->credentials.identity_token);
}

static int ask_token_server(struct auth *auth, const char *scopes, struct http_response *response,
                            struct error *err)
{
    AUTO(strlist_release) struct strlist headers = {0};
    AUTO(buf_release) struct buf form = BUF_INIT(0);
    AUTO(mem_freep) char *basic = NULL;
    AUTO(mem_freep) char *url = NULL;
    struct http_request request = {.headers = &headers, .max_body = TOKEN_MAX};
    strlist_add(&headers, "Accept: application/json");
    if (auth->credentials.identity_token) {
        url = mem_strdup(auth->realm);
        make_form(auth, scopes, &form);
        strlist_add(&headers, "Content-Type: application/x-www-form-urlencoded");
        request.method = "POST";
        request.body = buf_text(&form);
        request.body_len = form.len;
    } else {
        url = get_url(auth, scopes);
        basic = auth->credentials.password ? basic_value(&auth->credentials) : NULL;
        request.authorization = basic;
    }
    request.url = url;
    if (http_perform(auth->client, &request, response, err) != 0) {
        return -1;
    }
    if (http_check(&request, response, err) != 0) {
        if (err->code == ERR_AUTH && auth->credentials.source) {
            return error_wrap(err, "the credentials from %s are refused", auth->credentials.source);
        }
        return -1;
    }
    return 0;
}

static void keep_token(struct auth *auth, const char *scopes, const char *value, int64_t life)
{
    struct token *token = find_token(auth, scopes);
    if (!token) {
        auth->tokens = mem_realloc(auth->tokens, auth->tokens_len + 1, sizeof *auth->tokens);
        token = &auth->tokens[auth->tokens_len++];
        *token = (struct token){.scopes = mem_strdup(scopes)};
    }
    free(token->value);
    token->value = mem_printf("Bearer %s", value);
    /* A tenth earlier than need be: the request must still arrive. */
    token->expires_at = now_s() + life - (life / 10 > 1 ? life / 10 : 1);
}

static bool is_header_text(const char *text)
{
    for (; *text; text++) {
        if (*text <= ' ' || *text > '~') {
            return false;
        }
    }
    return true;
}

/* What the token server's answer says. */
static int read_token(struct auth *auth, const char *scopes, const struct http_response *response,
                      struct error *err)
{
    AUTO(json_freep) json_t *root = NULL;
    AUTO(mem_freep) char *shown = http_redact_url(auth->realm);
    if (json_parse(buf_text(&response->body), response->body.len, TOKEN_MAX, "token", ERR_AUTH,
                   &root, err) != 0) {
        /* The parser's words could quote the token. */
        return error_set(err, ERR_AUTH, "%s: the token server's answer is not JSON", shown);
    }
    const char *value = json_get_string(root, "token");
    if (!value || !*value) {
        value = json_get_string(root, "access_token");
    }
    if (!value || !*value || !is_header_text(value)) {
        return error_set(err, ERR_AUTH, "%s: the token server's answer has no token", shown);
    }
    json_int_t life = json_integer_value(json_object_get(root, "expires_in"));
    if (life <= 0) {
        life = DEFAULT_LIFE_S;
    }
    keep_token(auth, scopes, value, life < MAX_LIFE_S ? life : MAX_LIFE_S);
    return 0;
}

static int fetch_token(struct auth *auth, const char *scopes, struct error *err)
{
    struct http_trouble trouble = {0};
    bool again = true;
    while (again) {
        AUTO(http_response_release) struct http_response response = {0};
        if (ask_token_server(auth, scopes, &response, err) != 0) {
            return -1;
        }
        if (read_token(auth, scopes, &response, err) == 0) {
            return 0;
        }
        struct error failure = *err;
        again = false;
        if (trouble.retries + 1 < TOKEN_TRIES &&
            http_back_off(auth->client, &trouble, NULL, &again, err) != 0) {
            return -1;
        }
        *err = failure;
    }
    return -1;
}

static int bearer_value(struct auth *auth, const struct strlist *scopes, char **value_out,
                        struct error *err)
{
    AUTO(mem_freep) char *key = scopes_text(auth, scopes);
    struct token *token = find_token(auth, key);
    if (!token || token->expires_at <= now_s()) {
        if (fetch_token(auth, key, err) != 0) {
            return -1;
        }
        token = find_token(auth, key);
    }
    *value_out = mem_strdup(token->value);
    return 0;
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
        return bearer_value(auth, scopes, value_out, err);
    }
    if (auth->credentials.password) {
        *value_out = basic_value(&auth->credentials);
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

/* Takes over where tokens come from. A realm over plain HTTP would show the password to the network
 * where the registry itself does not. */
static int adopt_bearer(struct auth *auth, const struct challenge *c, struct error *err)
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
    bool special = c->scope && *c->scope && strncmp(c->scope, "repository:", 11) != 0;
    replace(&auth->extra_scope, special ? c->scope : NULL);
    return 0;
}

/* A token that was refused is not used again, however long it was to live. */
static void drop_refused(struct auth *auth, const struct strlist *scopes, const char *used)
{
    AUTO(mem_freep) char *key = scopes_text(auth, scopes);
    struct token *token = find_token(auth, key);
    if (used && token && strcmp(token->value, used) == 0) {
        token->expires_at = 0;
    }
}

/* Forgets what was refused with USED, so that the next header is made anew. Whether another request
 * is worth it: not if that was done a moment ago. */
static bool forget_refused(struct auth *auth, const struct strlist *scopes, const char *used)
{
    AUTO(mem_freep) char *key = scopes_text(auth, scopes);
    AUTO(mem_freep)
    char *basic = auth->credentials.password ? basic_value(&auth->credentials) : mem_strdup("");
    struct token *token = find_token(auth, key);
    bool current = strcmp(basic, used) == 0 || (token && strcmp(token->value, used) == 0);
    if (!current) {
        return true; /* another thread was quicker */
    }
    if (now_s() - auth->reloaded_at <= RELOAD_PAUSE_S) {
        return false;
    }
    auth->reloaded_at = now_s();
    drop_tokens(auth);
    if (auth->credentials.source) {
        auth->config_is_old = auth->aws && !auth->renew_at;
        auth->renew_at = 0;
        credentials_release(&auth->credentials);
        auth->loaded = false;
    }
    return true;
}

static int unauthorized(struct auth *auth, const struct strlist *scopes, const char *used,
                        const struct http_response *response, bool *again_out, struct error *err)
{
    AUTO(challenges_release) struct challenges list = {0};
    for (const char *h = http_header(response, "WWW-Authenticate"); h;
         h = http_header_next(response, "WWW-Authenticate", h)) {
        challenges_parse(h, &list);
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
        if (!silent && adopt_bearer(auth, bearer, err) != 0) {
            return -1;
        }
        drop_refused(auth, scopes, used);
        *again_out = true;
        return 0;
    }
    bool basic = find_challenge(&list, "basic") || (silent && auth->scheme == SCHEME_BASIC);
    if (basic && auth->credentials.password) {
        AUTO(mem_freep) char *value = basic_value(&auth->credentials);
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
        return silent ||
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
