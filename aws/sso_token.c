/*
 * The token of `aws sso login`, in ~/.aws/sso/cache/NAME.json, where NAME is the SHA-1 of the
 * session's name or of the start URL. One of a session comes with a refresh token and the client
 * that may use it; what that buys is written back, because a refresh token may serve only once and
 * the next tool needs the new one.
 */
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "aws/credentials_internal.h"
#include "aws/sso_internal.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/memory.h"

enum {
    RENEW_BEFORE_S = 15 * 60, /* botocore's */
    TIME_SIZE = 32,
};

/* The cached document's path; NULL without a home. The caller's. */
static char *cache_path(const struct sso *sso)
{
    const char *text = sso->session ? sso->session : sso->start_url;
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    AUTO(buf_release) struct buf name = BUF_INIT(0);
    EVP_Digest(text, strlen(text), sum, &len, EVP_sha1(), NULL);
    for (unsigned i = 0; i < len; i++) {
        buf_printf(&name, "%02x", sum[i]);
    }
    buf_puts(&name, ".json");
    return aws_home_path("~/.aws/sso/cache", "/", buf_text(&name));
}

int sso_log_in_again(const struct sso *sso, const char *why, struct error *err)
{
    return error_set(err, ERR_AUTH, "SSO of the AWS profile '%s': %s: aws sso login --profile %s",
                     sso->profile, why, sso->profile);
}

static bool is_token(const char *text)
{
    return text && *text && !strpbrk(text, "\r\n");
}

static int read_cache(const struct sso *sso, const char *path, json_t **out, struct error *err)
{
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    struct error ignored = {0};
    bool there = false;
    if (!path) {
        return sso_log_in_again(sso, "there is no HOME with a cached token", err);
    }
    if (file_read(AT_FDCWD, path, LIMIT_TEXT_FILE_BYTES, &text, &there, err) != 0) {
        return -1;
    }
    if (!there) {
        return sso_log_in_again(sso, "no cached token", err);
    }
    AUTO(json_freep) json_t *root = NULL;
    if (json_parse(text.data, text.len, LIMIT_JSON_BYTES, path, ERR_AUTH, &root, &ignored) != 0 ||
        !is_token(json_get_string(root, "accessToken"))) {
        return sso_log_in_again(sso, "the cached token cannot be read", err);
    }
    *out = MEM_STEAL(root);
    return 0;
}

/* Whether CACHED has what a renewal takes. */
static bool is_renewable(const struct sso *sso, const json_t *cached)
{
    return sso->session && json_get_string(cached, "refreshToken") &&
           json_get_string(cached, "clientId") && json_get_string(cached, "clientSecret") &&
           aws_parse_time(json_get_string(cached, "registrationExpiresAt")) > time(NULL);
}

/* Puts what the answer says into CACHED; whether it is a token. */
static bool take_token(json_t *cached, const struct http_response *response)
{
    AUTO(json_freep) json_t *answer = NULL;
    struct error ignored = {0};
    if (response->status != 200 ||
        json_parse(response->body.data, response->body.len, LIMIT_JSON_BYTES, "token", ERR_AUTH,
                   &answer, &ignored) != 0) {
        return false;
    }
    json_int_t life = json_integer_value(json_object_get(answer, "expiresIn"));
    const char *refresh = json_get_string(answer, "refreshToken");
    if (!is_token(json_get_string(answer, "accessToken")) || life <= 0) {
        return false;
    }
    char end[TIME_SIZE];
    struct tm tm = {0};
    time_t at = time(NULL) + (time_t)life;
    gmtime_r(&at, &tm);
    strftime(end, sizeof end, "%Y-%m-%dT%H:%M:%SZ", &tm);
    json_object_set(cached, "accessToken", json_object_get(answer, "accessToken"));
    json_object_set_new(cached, "expiresAt", json_string(end));
    if (refresh) {
        json_object_set(cached, "refreshToken", json_object_get(answer, "refreshToken"));
    }
    return true;
}

/* Renews what CACHED holds. *DONE_OUT is false where the service does not give another token. */
static int renew(const struct aws_search *search, const struct sso *sso, json_t *cached,
                 bool *done_out, struct error *err)
{
    AUTO(mem_freep)
    char *base = aws_service_url(search, &(struct aws_service){"SSO_OIDC", "oidc", "oidc-fips"},
                                 sso->region);
    AUTO(mem_freep) char *url = mem_printf("%s/token", base);
    AUTO(json_freep)
    json_t *input =
        json_pack("{s:O, s:O, s:s, s:O}", "clientId", json_object_get(cached, "clientId"),
                  "clientSecret", json_object_get(cached, "clientSecret"), "grantType",
                  "refresh_token", "refreshToken", json_object_get(cached, "refreshToken"));
    AUTO(buf_release) struct buf body = BUF_INIT(0);
    AUTO(strlist_release) struct strlist headers = {0};
    AUTO(http_response_release) struct http_response response = {0};
    json_render(input, &body);
    strlist_add(&headers, "Content-Type: application/json");
    struct http_request request = {.method = "POST",
                                   .url = url,
                                   .headers = &headers,
                                   .body = body.data,
                                   .body_len = body.len,
                                   .keep_redirects = true,
                                   .code = ERR_AUTH};
    if (http_perform(search->client, &request, &response, err) != 0) {
        return error_wrap(err, "SSO of the AWS profile '%s'", sso->profile);
    }
    *done_out = take_token(cached, &response);
    return 0;
}

static void keep(const char *path, const json_t *cached)
{
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    struct error ignored = {0};
    json_render(cached, &text);
    /* Where the home cannot be written to, the token serves this time. */
    file_write_atomic(AT_FDCWD, path, text.data, text.len, 0600, true, &ignored);
}

int sso_token(const struct aws_search *search, const struct sso *sso, char **token_out,
              struct error *err)
{
    AUTO(mem_freep) char *path = cache_path(sso);
    AUTO(json_freep) json_t *cached = NULL;
    bool renewed = false;
    if (read_cache(sso, path, &cached, err) != 0) {
        return -1;
    }
    int64_t left = aws_parse_time(json_get_string(cached, "expiresAt")) - time(NULL);
    if (left < RENEW_BEFORE_S && is_renewable(sso, cached)) {
        struct error failure = {0};
        if (renew(search, sso, cached, &renewed, &failure) != 0 &&
            (left <= 0 || failure.code == ERR_CANCELLED)) {
            *err = failure;
            return -1;
        }
    }
    if (renewed) {
        keep(path, cached);
    } else if (left <= 0) {
        return sso_log_in_again(sso, "the cached token is over", err);
    }
    *token_out = mem_strdup(json_get_string(cached, "accessToken"));
    return 0;
}
