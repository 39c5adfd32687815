#include "aws/sts.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "aws/endpoint.h"
#include "aws/sigv4.h"
#include "base/memory.h"

enum { ANSWER_MAX = 256 * 1024 };

static const char DEFAULT_REGION[] = "us-east-1";

/* The few characters that XML must escape. */
static char *unescaped(const char *text, size_t len)
{
    static const struct {
        const char *name;
        char c;
    } entities[] = {
        {"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}};
    AUTO(buf_release) struct buf out = BUF_INIT(0);
    for (size_t i = 0; i < len;) {
        size_t step = 1;
        char c = text[i];
        for (size_t k = 0; c == '&' && k < ARRAY_LEN(entities); k++) {
            size_t name = strlen(entities[k].name);
            if (name <= len - i && strncmp(text + i, entities[k].name, name) == 0) {
                c = entities[k].c;
                step = name;
                break;
            }
        }
        buf_putc(&out, c);
        i += step;
    }
    return buf_take(&out);
}

char *sts_element(const char *xml, const char *name)
{
    AUTO(mem_freep) char *open = mem_printf("<%s>", name);
    AUTO(mem_freep) char *close = mem_printf("</%s>", name);
    const char *start = strstr(xml, open);
    start = start ? start + strlen(open) : NULL;
    const char *end = start ? strstr(start, close) : NULL;
    return end ? unescaped(start, (size_t)(end - start)) : NULL;
}

static void add_field(struct buf *form, const char *name, const char *value)
{
    if (value) {
        buf_printf(form, "&%s=", name);
        http_encode(value, NULL, form);
    }
}

static char *make_form(const struct sts_role *role)
{
    AUTO(mem_freep) char *made = mem_printf("slipway-%lld", (long long)time(NULL));
    struct buf form = BUF_INIT(0);
    buf_printf(&form, "Action=%s&Version=2011-06-15",
               role->token ? "AssumeRoleWithWebIdentity" : "AssumeRole");
    add_field(&form, "RoleArn", role->arn);
    add_field(&form, "RoleSessionName", role->session ? role->session : made);
    add_field(&form, "ExternalId", role->external_id);
    add_field(&form, "DurationSeconds", role->duration);
    add_field(&form, "WebIdentityToken", role->token);
    return buf_take(&form);
}

static int read_answer(const struct http_response *response, struct aws_keys *out,
                       struct error *err)
{
    const char *xml = buf_text(&response->body);
    AUTO(mem_freep) char *end = sts_element(xml, "Expiration");
    AUTO(aws_keys_release)
    struct aws_keys keys = {.id = sts_element(xml, "AccessKeyId"),
                            .secret = sts_element(xml, "SecretAccessKey"),
                            .token = sts_element(xml, "SessionToken"),
                            .expires_at = aws_parse_time(end)};
    if (!keys.id || !keys.secret || !keys.token || !keys.expires_at) {
        return error_set(err, ERR_AUTH, "the answer of STS lacks %s",
                         !keys.id       ? "AccessKeyId"
                         : !keys.secret ? "SecretAccessKey"
                         : !keys.token  ? "SessionToken"
                                        : "Expiration");
    }
    *out = keys;
    keys = (struct aws_keys){0};
    return 0;
}

static int refused(const struct http_request *request, const struct http_response *response,
                   struct error *err)
{
    const char *xml = buf_text(&response->body);
    AUTO(mem_freep) char *code = sts_element(xml, "Code");
    AUTO(mem_freep) char *words = sts_element(xml, "Message");
    if (!code) {
        http_error(request, response, err);
        err->code = ERR_AUTH;
        return -1;
    }
    return error_set(err, ERR_AUTH, "%s: %s", code, words ? words : "no reason given");
}

/* An identity provider that STS could not ask, and throttling, may pass. */
static bool may_pass(const struct http_response *response)
{
    AUTO(mem_freep) char *code = sts_element(buf_text(&response->body), "Code");
    return response->status == 400 && code &&
           (strcmp(code, "IDPCommunicationError") == 0 || strstr(code, "Throttl"));
}

/* One request, signed anew at each attempt. */
static int ask(const struct aws_search *search, const struct http_request *request,
               const struct sigv4_request *sign, const struct aws_keys *keys,
               struct http_response *response, struct error *err)
{
    struct http_trouble trouble = {0};
    for (;;) {
        AUTO(strlist_release) struct strlist headers = {0};
        struct http_request signed_request = *request;
        bool again = false;
        strlist_add_all(&headers, sign->headers);
        if (keys) {
            sigv4_sign(sign, keys, time(NULL), &headers);
        }
        signed_request.headers = &headers;
        if (http_perform(search->client, &signed_request, response, err) != 0) {
            return -1;
        }
        if (may_pass(response) &&
            http_back_off(search->client, &trouble, response, &again, err) != 0) {
            return -1;
        }
        if (!again) {
            return 0;
        }
        http_response_release(response);
    }
}

int sts_assume(const struct aws_search *search, const struct sts_role *role,
               const struct aws_keys *keys, struct aws_keys *out, struct error *err)
{
    const char *region = aws_search_region(search);
    region = region ? region : DEFAULT_REGION;
    if (!aws_is_region(region)) {
        return error_set(err, ERR_AUTH, "'%.64s' is no AWS region", region);
    }
    /* In GovCloud its ordinary name is the validated one. */
    const char *fips = strncmp(region, "us-gov-", 7) == 0 ? "sts" : "sts-fips";
    AUTO(mem_freep)
    char *base = aws_service_url(search, &(struct aws_service){"STS", "sts", fips}, region);
    AUTO(mem_freep) char *url = mem_printf("%s/", base);
    AUTO(mem_freep) char *host = aws_url_host(url);
    AUTO(mem_freep) char *form = make_form(role);
    AUTO(strlist_release) struct strlist headers = {0};
    AUTO(http_response_release) struct http_response response = {0};
    strlist_add(&headers, "Content-Type: application/x-www-form-urlencoded; charset=utf-8");
    struct http_request request = {.method = "POST",
                                   .url = url,
                                   .body = form,
                                   .body_len = strlen(form),
                                   .max_body = ANSWER_MAX,
                                   .keep_redirects = true,
                                   .code = ERR_AUTH};
    struct sigv4_request sign = {.method = "POST",
                                 .host = host,
                                 .path = "/",
                                 .headers = &headers,
                                 .body = form,
                                 .body_len = strlen(form),
                                 .region = region,
                                 .service = "sts"};
    if (ask(search, &request, &sign, role->token ? NULL : keys, &response, err) != 0) {
        return error_wrap(err, "role %s", role->arn);
    }
    int rc = response.status == 200 ? read_answer(&response, out, err)
                                    : refused(&request, &response, err);
    return rc == 0 ? 0 : error_wrap(err, "role %s", role->arn);
}
