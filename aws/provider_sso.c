/*
 * IAM Identity Center: the token that `aws sso login` keeps in ~/.aws/sso/cache (sso_token.c) buys
 * the keys of a role.
 */
#include <stdlib.h>
#include <string.h>

#include "aws/credentials_internal.h"
#include "aws/sso_internal.h"
#include "base/limits.h"
#include "base/memory.h"

static int read_settings(const struct aws_search *search, struct sso *sso, struct error *err)
{
    const struct aws_profiles *all = search->profiles;
    const char *profile = search->profile;
    *sso = (struct sso){
        .profile = profile,
        .session = aws_profile_get(all, profile, "sso_session"),
        .start_url = aws_profile_get(all, profile, "sso_start_url"),
        .region = aws_profile_get(all, profile, "sso_region"),
        .account = aws_profile_get(all, profile, "sso_account_id"),
        .role = aws_profile_get(all, profile, "sso_role_name"),
    };
    if (sso->session) {
        sso->start_url = aws_sso_session_get(all, sso->session, "sso_start_url");
        sso->region = aws_sso_session_get(all, sso->session, "sso_region");
    }
    const char *missing = !sso->start_url ? "sso_start_url"
                          : !sso->region  ? "sso_region"
                          : !sso->account ? "sso_account_id"
                          : !sso->role    ? "sso_role_name"
                                          : NULL;
    if (missing) {
        return error_set(err, ERR_AUTH, "the AWS profile '%s' uses SSO and lacks %s%s%s", profile,
                         missing, sso->session ? " (sso-session " : "",
                         sso->session ? sso->session : "");
    }
    return 0;
}

static char *portal_url(const struct aws_search *search, const struct sso *sso)
{
    AUTO(mem_freep)
    char *base = aws_service_url(
        search, &(struct aws_service){"SSO", "portal.sso", "portal.sso-fips"}, sso->region);
    AUTO(buf_release) struct buf url = BUF_INIT(0);
    buf_printf(&url, "%s/federation/credentials", base);
    http_add_query(&url, "role_name", sso->role);
    http_add_query(&url, "account_id", sso->account);
    return buf_take(&url);
}

static int read_keys(const struct sso *sso, const struct http_response *response,
                     struct aws_keys *out, struct error *err)
{
    AUTO(json_freep) json_t *root = NULL;
    struct error ignored = {0};
    json_t *keys = NULL;
    if (json_parse(response->body.data, response->body.len, LIMIT_JSON_BYTES, "SSO", ERR_AUTH,
                   &root, &ignored) == 0) {
        keys = json_object_get(root, "roleCredentials");
    }
    const char *id = json_get_string(keys, "accessKeyId");
    const char *secret = json_get_string(keys, "secretAccessKey");
    if (!id || !secret) {
        return error_set(err, ERR_AUTH, "SSO of the AWS profile '%s': the answer has no keys",
                         sso->profile);
    }
    json_int_t end_ms = json_integer_value(json_object_get(keys, "expiration"));
    *out = (struct aws_keys){
        .id = mem_strdup(id),
        .secret = mem_strdup(secret),
        .token = mem_strdup(json_get_string(keys, "sessionToken")),
        .source = mem_printf("SSO, role '%s' in account %s (profile '%s')", sso->role, sso->account,
                             sso->profile),
        .expires_at = end_ms > 0 ? end_ms / 1000 : 0,
    };
    return 0;
}

int aws_from_sso(const struct aws_search *search, struct aws_keys *out, bool *found_out,
                 struct error *err)
{
    struct sso sso = {0};
    if (!aws_profile_get(search->profiles, search->profile, "sso_session") &&
        !aws_profile_get(search->profiles, search->profile, "sso_start_url")) {
        return 0;
    }
    AUTO(mem_freep) char *token = NULL;
    if (read_settings(search, &sso, err) != 0 || sso_token(search, &sso, &token, err) != 0) {
        return -1;
    }
    AUTO(mem_freep) char *url = portal_url(search, &sso);
    AUTO(strlist_release) struct strlist headers = {0};
    AUTO(http_response_release) struct http_response response = {0};
    strlist_addf(&headers, "x-amz-sso_bearer_token: %s", token);
    /* Another host must not get the token, which is no Authorization header. */
    struct http_request request = {
        .url = url, .headers = &headers, .keep_redirects = true, .code = ERR_AUTH};
    if (http_perform(search->client, &request, &response, err) != 0) {
        return error_wrap(err, "SSO of the AWS profile '%s'", sso.profile);
    }
    if (response.status == 401) {
        return sso_log_in_again(&sso, "the cached token is refused", err);
    }
    if (http_check(&request, &response, err) != 0) {
        return error_wrap(err, "SSO of the AWS profile '%s'", sso.profile);
    }
    *found_out = read_keys(&sso, &response, out, err) == 0;
    return *found_out ? 0 : -1;
}
