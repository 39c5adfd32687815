/* Bearer tokens: bought from the token server that a registry names, kept until they expire. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "base/limits.h"
#include "base/memory.h"
#include "registry/auth_internal.h"

enum {
    DEFAULT_LIFE_S = 60, /* distribution spec, token.md: expires_in is 60 where it is not given */
    MAX_LIFE_S = 24 * 3600,
    TOKEN_TRIES = 3, /* where the answer is no token */
    TOKEN_MAX = 128 * 1024,
};

int64_t auth_now_s(void)
{
    struct timespec t = {0};
    clock_gettime(CLOCK_BOOTTIME, &t);
    return t.tv_sec;
}

char *auth_scopes_text(const struct auth *auth, const struct strlist *scopes)
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

struct token *auth_find_token(struct auth *auth, const char *scopes)
{
    for (size_t i = 0; i < auth->tokens_len; i++) {
        if (strcmp(auth->tokens[i].scopes, scopes) == 0) {
            return &auth->tokens[i];
        }
    }
    return NULL;
}

char *auth_basic_value(const struct credentials *c)
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

static int ask_token_server(struct auth *auth, const char *scopes, struct http_trouble *trouble,
                            struct http_response *response, struct error *err)
{
    AUTO(strlist_release) struct strlist headers = {0};
    AUTO(buf_release) struct buf form = BUF_INIT(0);
    AUTO(mem_freep) char *basic = NULL;
    AUTO(mem_freep) char *url = NULL;
    struct http_request request = {.headers = &headers, .max_body = TOKEN_MAX, .trouble = trouble};
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
        basic = auth->credentials.password ? auth_basic_value(&auth->credentials) : NULL;
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
    struct token *token = auth_find_token(auth, scopes);
    if (!token) {
        auth->tokens = mem_realloc(auth->tokens, auth->tokens_len + 1, sizeof *auth->tokens);
        token = &auth->tokens[auth->tokens_len++];
        *token = (struct token){.scopes = mem_strdup(scopes)};
    }
    free(token->value);
    token->value = mem_printf("Bearer %s", value);
    /* A tenth earlier than need be: the request must still arrive. */
    token->expires_at = auth_now_s() + life - (life / 10 > 1 ? life / 10 : 1);
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
    for (unsigned tries = 1; again; tries++) {
        AUTO(http_response_release) struct http_response response = {0};
        if (ask_token_server(auth, scopes, &trouble, &response, err) != 0) {
            return -1;
        }
        if (read_token(auth, scopes, &response, err) == 0) {
            return 0;
        }
        struct error failure = *err;
        again = false;
        if (tries < TOKEN_TRIES && http_back_off(auth->client, &trouble, NULL, &again, err) != 0) {
            return -1;
        }
        *err = failure;
    }
    return -1;
}

int auth_bearer_value(struct auth *auth, const struct strlist *scopes, char **value_out,
                      struct error *err)
{
    AUTO(mem_freep) char *key = auth_scopes_text(auth, scopes);
    struct token *token = auth_find_token(auth, key);
    if (!token || token->expires_at <= auth_now_s()) {
        if (fetch_token(auth, key, err) != 0) {
            return -1;
        }
        token = auth_find_token(auth, key);
    }
    *value_out = mem_strdup(token->value);
    return 0;
}
