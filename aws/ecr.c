#include "aws/ecr.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "aws/call.h"
#include "aws/endpoint.h"
#include "base/memory.h"

enum { ACCOUNT_DIGITS = 12 };

static const char PUBLIC_REGION[] = "us-east-1"; /* the only one that knows public repositories */

/* Takes WORD at *TEXT. */
static bool take(const char **text, const char *word)
{
    size_t len = strlen(word);
    if (strncasecmp(*text, word, len) != 0) {
        return false;
    }
    *text += len;
    return true;
}

static bool is_public(const char *host)
{
    return strcasecmp(host, "public.ecr.aws") == 0 || strcasecmp(host, "ecr-public.aws.com") == 0;
}

static bool take_domain(const char *text, struct ecr_host *out)
{
    static const char *const domains[] = {
        "amazonaws.com",  "amazonaws.com.cn", "amazonaws.eu",
        "on.aws",         "sc2s.sgov.gov",    "c2s.ic.gov",
        "cloud.adc-e.uk", "csp.hci.ic.gov",   "on.amazonwebservices.com.cn"};
    for (size_t i = 0; i < ARRAY_LEN(domains); i++) {
        if (strcasecmp(text, domains[i]) == 0) {
            snprintf(out->domain, sizeof out->domain, "%s", domains[i]);
            return true;
        }
    }
    return false;
}

bool ecr_host_parse(const char *host, struct ecr_host *out)
{
    struct ecr_host h = {.is_public = is_public(host)};
    if (h.is_public) {
        snprintf(h.region, sizeof h.region, "%s", PUBLIC_REGION);
        *out = h;
        return true;
    }
    const char *p = host + strspn(host, "0123456789");
    if (p - host != ACCOUNT_DIGITS) {
        return false;
    }
    memcpy(h.account, host, ACCOUNT_DIGITS);
    bool old = take(&p, ".dkr.ecr");
    h.dual_stack = !old && take(&p, ".dkr-ecr");
    if (!old && !h.dual_stack) {
        return false;
    }
    h.fips = take(&p, "-fips");
    const char *region = p + 1;
    size_t len = *p == '.' ? strcspn(region, ".") : 0;
    if (len == 0 || len >= sizeof h.region || region[len] != '.') {
        return false;
    }
    memcpy(h.region, region, len);
    if (!aws_is_region(h.region) || !take_domain(region + len + 1, &h)) {
        return false;
    }
    *out = h;
    return true;
}

void ecr_login_release(struct ecr_login *login)
{
    mem_freep(&login->user);
    mem_freep(&login->password);
    mem_freep(&login->source);
    login->expires_at = 0;
}

/* Where HOST's API answers, with a slash at the end; the caller's. */
static char *default_url(const struct ecr_host *host, bool fips, bool dual)
{
    if (host->is_public) {
        return mem_printf("https://api.ecr-public.%s.amazonaws.com/", host->region);
    }
    /* The validated name has no "api." in the partitions that really have one. */
    bool plain = strcmp(aws_domain(host->region), "amazonaws.com") == 0;
    const char *name =
        fips ? (dual || plain ? "ecr-fips" : "api.ecr-fips") : (dual ? "ecr" : "api.ecr");
    return mem_printf("https://%s.%s.%s/", name, host->region,
                      dual ? aws_dual_domain(host->region) : host->domain);
}

static int api_url(struct aws_identity *identity, const struct ecr_host *host, char **out,
                   struct error *err)
{
    AUTO(mem_freep) char *given = NULL;
    bool fips = false;
    bool dual = false;
    if (aws_identity_endpoint(identity, host->is_public ? "ECR_PUBLIC" : "ECR", &given, err) != 0 ||
        aws_identity_wishes(identity, &fips, &dual, err) != 0) {
        return -1;
    }
    *out = given ? mem_printf("%s/", given)
                 : default_url(host, host->fips || fips, host->dual_stack || dual);
    return 0;
}

static int call_api(struct aws_identity *identity, const struct ecr_host *host, const char *action,
                    const char *body, json_t **answer_out, char code_out[AWS_CODE_SIZE],
                    struct error *err)
{
    AUTO(mem_freep) char *url = NULL;
    code_out[0] = '\0';
    if (api_url(identity, host, &url, err) != 0) {
        return -1;
    }
    struct aws_call call = {
        .url = url,
        .region = host->region,
        .service = host->is_public ? "ecr-public" : "ecr",
        .target =
            host->is_public ? "SpencerFrontendService" : "AmazonEC2ContainerRegistry_V20150921",
        .action = action,
        .body = body,
    };
    return aws_call(identity, &call, answer_out, code_out, err);
}

/* base64 of "AWS:PASSWORD". */
static bool read_token(const json_t *data, struct ecr_login *out)
{
    const char *token = json_get_string(data, "authorizationToken");
    AUTO(buf_release) struct buf plain = BUF_INIT(0);
    if (!token || !base64_decode(token, &plain)) {
        return false;
    }
    const char *colon = strchr(buf_text(&plain), ':');
    if (!colon || !colon[1] || strlen(buf_text(&plain)) != plain.len) {
        return false;
    }
    out->user = mem_strndup(plain.data, (size_t)(colon - plain.data));
    out->password = mem_strdup(colon + 1);
    return true;
}

int ecr_get_login(struct aws_identity *identity, const struct ecr_host *host, struct ecr_login *out,
                  struct error *err)
{
    AUTO(json_freep) json_t *answer = NULL;
    AUTO(ecr_login_release) struct ecr_login login = {0};
    AUTO(aws_keys_release) struct aws_keys keys = {0};
    char code[AWS_CODE_SIZE];
    if (call_api(identity, host, "GetAuthorizationToken", "{}", &answer, code, err) != 0 ||
        aws_identity_need_keys(identity, &keys, err) != 0) {
        return -1;
    }
    /* A list for private registries, a single one for the public one. */
    const json_t *data = json_object_get(answer, "authorizationData");
    data = json_is_array(data) ? json_array_get(data, 0) : data;
    if (!read_token(data, &login)) {
        return error_set(err, ERR_AUTH,
                         "ecr:GetAuthorizationToken: the answer has no token of the form "
                         "base64(user:password)");
    }
    const json_t *end = json_object_get(data, "expiresAt");
    login.expires_at = json_is_number(end) ? (int64_t)json_number_value(end) : 0;
    login.source = mem_printf("ECR's GetAuthorizationToken with the keys of %s", keys.source);
    *out = login;
    login = (struct ecr_login){0};
    return 0;
}

int ecr_create_repository(struct aws_identity *identity, const struct ecr_host *host,
                          const char *repository, bool *created_out, struct error *err)
{
    /* What comes first in public names is the registry's alias. */
    const char *slash = host->is_public ? strchr(repository, '/') : NULL;
    const char *name = slash ? slash + 1 : repository;
    AUTO(json_freep) json_t *answer = NULL;
    AUTO(json_freep) json_t *input = json_pack("{s:s}", "repositoryName", name);
    AUTO(buf_release) struct buf body = BUF_INIT(0);
    char code[AWS_CODE_SIZE];
    if (input && !host->is_public) {
        json_object_set_new(input, "registryId", json_string(host->account));
    }
    json_render(input, &body);
    *created_out = false;
    if (call_api(identity, host, "CreateRepository", buf_text(&body), &answer, code, err) == 0) {
        *created_out = true;
        return 0;
    }
    if (strcmp(code, "RepositoryAlreadyExistsException") == 0) {
        error_clear(err);
        return 0;
    }
    return error_wrap(err, "making the repository '%s'", repository);
}
