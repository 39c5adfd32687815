#include "aws/call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "aws/endpoint.h"
#include "aws/sigv4.h"
#include "base/limits.h"
#include "base/memory.h"

/* A call on its way. */
struct journey {
    struct aws_identity *identity;
    const struct aws_call *call;
    struct http_client *client;
    struct aws_keys keys;
    char *host;
    time_t skew;       /* what the service's clock is ahead of ours */
    bool skew_learnt;  /* at most once */
    bool keys_renewed; /* at most once */
    struct http_trouble trouble;
    char *code;  /* of the last refusal */
    char *words; /* its message */
};

static void journey_release(struct journey *j)
{
    aws_keys_release(&j->keys);
    free(j->host);
    free(j->code);
    free(j->words);
}

static int send_once(struct journey *j, struct http_request *request,
                     struct http_response *response, struct error *err)
{
    const struct aws_call *call = j->call;
    AUTO(strlist_release) struct strlist headers = {0};
    strlist_addf(&headers, "X-Amz-Target: %s.%s", call->target, call->action);
    strlist_add(&headers, "Content-Type: application/x-amz-json-1.1");
    struct sigv4_request sign = {.method = "POST",
                                 .host = j->host,
                                 .path = "/",
                                 .headers = &headers,
                                 .body = call->body,
                                 .body_len = strlen(call->body),
                                 .region = call->region,
                                 .service = call->service};
    AUTO(strlist_release) struct strlist extra = {0};
    sigv4_sign(&sign, &j->keys, time(NULL) + j->skew, &extra);
    strlist_add_all(&headers, &extra);
    request->headers = &headers;
    int rc = http_perform(j->client, request, response, err);
    request->headers = NULL;
    return rc;
}

/* "__type" may carry a namespace in front and an address behind. */
static void read_refusal(struct journey *j, const struct http_response *response)
{
    AUTO(json_freep) json_t *root = NULL;
    struct error ignored = {0};
    free(j->code);
    free(j->words);
    j->code = NULL;
    j->words = NULL;
    if (json_parse(buf_text(&response->body), response->body.len, LIMIT_JSON_BYTES, "answer",
                   ERR_REMOTE, &root, &ignored) != 0) {
        return;
    }
    const char *type = json_get_string(root, "__type");
    const char *words = json_get_string(root, "message");
    type = type ? type : json_get_string(root, "code");
    words = words ? words : json_get_string(root, "Message");
    const char *hash = type ? strchr(type, '#') : NULL;
    type = hash ? hash + 1 : type;
    j->code = type ? mem_strndup(type, strcspn(type, ":")) : NULL;
    j->words = mem_strdup(words);
}

static bool is_one_of(const char *code, const char *const *list, size_t len)
{
    for (size_t i = 0; code && i < len; i++) {
        if (strcmp(code, list[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* botocore's list. */
static bool is_throttled(const struct journey *j)
{
    static const char *const codes[] = {"Throttling",
                                        "ThrottlingException",
                                        "ThrottledException",
                                        "RequestThrottledException",
                                        "TooManyRequestsException",
                                        "ProvisionedThroughputExceededException"};
    return is_one_of(j->code, codes, ARRAY_LEN(codes));
}

static bool are_keys_refused(const struct journey *j)
{
    static const char *const codes[] = {"ExpiredTokenException", "ExpiredToken",
                                        "UnrecognizedClientException", "InvalidClientTokenId"};
    return is_one_of(j->code, codes, ARRAY_LEN(codes));
}

static bool is_clock_wrong(const struct journey *j)
{
    static const char *const codes[] = {"RequestTimeTooSkewed", "RequestExpired",
                                        "RequestInTheFuture"};
    bool signature = j->code && j->words && strcmp(j->code, "InvalidSignatureException") == 0 &&
                     (strstr(j->words, "Signature expired") || strstr(j->words, "not yet current"));
    return signature || is_one_of(j->code, codes, ARRAY_LEN(codes));
}

/* Takes the service's time from its answer. */
static bool learn_skew(struct journey *j, const struct http_response *response)
{
    const char *date = http_header(response, "Date");
    struct tm tm = {0};
    if (j->skew_learnt || !date || !strptime(date, "%a, %d %b %Y %H:%M:%S GMT", &tm)) {
        return false;
    }
    j->skew_learnt = true;
    j->skew = timegm(&tm) - time(NULL);
    return true;
}

static int renew_keys(struct journey *j, bool *again_out, struct error *err)
{
    bool found = false;
    if (aws_identity_renew(j->identity, &j->keys, again_out, err) != 0) {
        return -1;
    }
    j->keys_renewed = true;
    if (!*again_out) {
        return 0;
    }
    aws_keys_release(&j->keys);
    return aws_identity_keys(j->identity, &j->keys, &found, err);
}

/* Whether the refusal may be overcome. */
static int try_again(struct journey *j, const struct http_response *response, bool *again_out,
                     struct error *err)
{
    *again_out = false;
    if (is_throttled(j)) {
        return http_back_off(j->client, &j->trouble, response, again_out, err);
    }
    if (is_clock_wrong(j)) {
        *again_out = learn_skew(j, response);
        return 0;
    }
    if (are_keys_refused(j) && !j->keys_renewed) {
        return renew_keys(j, again_out, err);
    }
    return 0;
}

static int refused(const struct journey *j, const struct http_request *request,
                   const struct http_response *response, struct error *err)
{
    const struct aws_call *call = j->call;
    if (!j->code) {
        http_error(request, response, err);
        return error_wrap(err, "%s:%s", call->service, call->action);
    }
    static const char *const of_rights[] = {"AccessDeniedException",
                                            "AccessDenied",
                                            "MissingAuthenticationTokenException",
                                            "InvalidSignatureException",
                                            "SignatureDoesNotMatch",
                                            "IncompleteSignature",
                                            "UnrecognizedClientException",
                                            "InvalidClientTokenId",
                                            "ExpiredTokenException",
                                            "ExpiredToken"};
    bool rights = is_one_of(j->code, of_rights, ARRAY_LEN(of_rights)) || response->status == 403;
    error_set(err, rights ? ERR_AUTH : ERR_REMOTE, "%s:%s: %s: %s (with %s)", call->service,
              call->action, j->code, j->words ? j->words : "no reason given",
              j->keys.source ? j->keys.source : "no keys");
    err->http_status = response->status;
    return -1;
}

static int travel(struct journey *j, struct http_request *request, struct http_response *response,
                  struct error *err)
{
    for (;;) {
        bool again = false;
        if (send_once(j, request, response, err) != 0) {
            return error_wrap(err, "%s:%s", j->call->service, j->call->action);
        }
        if (response->status == 200) {
            return 0;
        }
        read_refusal(j, response);
        if (try_again(j, response, &again, err) != 0) {
            return -1;
        }
        if (!again) {
            return refused(j, request, response, err);
        }
        http_response_release(response);
    }
}

int aws_call(struct aws_identity *identity, const struct aws_call *call, json_t **answer_out,
             char code_out[AWS_CODE_SIZE], struct error *err)
{
    AUTO(journey_release) struct journey j = {.identity = identity, .call = call};
    AUTO(http_response_release) struct http_response response = {0};
    struct http_request request = {.method = "POST",
                                   .url = call->url,
                                   .body = call->body,
                                   .body_len = strlen(call->body),
                                   .keep_redirects = true};
    code_out[0] = '\0';
    if (aws_identity_client(identity, &j.client, err) != 0 ||
        aws_identity_need_keys(identity, &j.keys, err) != 0) {
        return -1;
    }
    j.host = aws_url_host(call->url);
    int rc = travel(&j, &request, &response, err);
    if (rc != 0) {
        snprintf(code_out, AWS_CODE_SIZE, "%s", j.code ? j.code : "");
        return -1;
    }
    return json_parse(response.body.data, response.body.len, LIMIT_JSON_BYTES, call->action,
                      ERR_REMOTE, answer_out, err);
}
