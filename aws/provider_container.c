/*
 * The endpoint that hands out a container's keys: CodeBuild and ECS by a path below 169.254.170.2,
 * EKS Pod Identity by a whole URL with a token in a file.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "aws/credentials_internal.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/memory.h"

enum { TIMEOUT_MS = 2000, RETRIES = 2, ANSWER_MAX = 64 * 1024 };

static const char HOST[] = "http://169.254.170.2";

/* The keys' token goes over plain HTTP only to this machine and to AWS's own link-local addresses.
 */
static bool may_be_asked(const char *url)
{
    static const char *const hosts[] = {"localhost", "[::1]", "169.254.170.2", "169.254.170.23",
                                        "[fd00:ec2::23]"};
    if (strncasecmp(url, "https://", 8) == 0) {
        return true;
    }
    if (strncasecmp(url, "http://", 7) != 0) {
        return false;
    }
    const char *host = url + 7;
    size_t len = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/?#");
    if (memchr(host, '@', strcspn(host, "/?#"))) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        if (strlen(hosts[i]) == len && strncasecmp(host, hosts[i], len) == 0) {
            return true;
        }
    }
    return strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") == len;
}

/* The value of the Authorization header, NULL: none. The file is read at every fetch, because it is
 * replaced before it expires. */
static int authorization(char **out, struct error *err)
{
    const char *path = aws_variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    if (path) {
        if (file_read(AT_FDCWD, path, LIMIT_HTTP_HEADER_BYTES / 2, &text, NULL, err) != 0) {
            return error_wrap(err, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
        }
    } else if (aws_variable("AWS_CONTAINER_AUTHORIZATION_TOKEN")) {
        buf_puts(&text, aws_variable("AWS_CONTAINER_AUTHORIZATION_TOKEN"));
    }
    if (strpbrk(buf_text(&text), "\r\n") || strlen(buf_text(&text)) != text.len) {
        return error_set(err, ERR_AUTH, "%s: the token has more than one line",
                         path ? path : "AWS_CONTAINER_AUTHORIZATION_TOKEN");
    }
    *out = text.len ? buf_take(&text) : NULL;
    return 0;
}

/* The path is known to the container alone and gives its keys: it is not shown. */
static int hide_path(const char *url, struct error *err)
{
    AUTO(mem_freep) char *shown = http_redact_url(url);
    AUTO(mem_freep) char *words = mem_strdup(err->text);
    const char *at = strstr(words, shown);
    const char *rest = at ? at + strlen(shown) : ": no answer";
    enum error_code code = err->code == ERR_CANCELLED ? ERR_CANCELLED : ERR_AUTH;
    return error_set(err, code, "AWS credentials of the container: its endpoint%s", rest);
}

int aws_from_container(const struct aws_search *search, struct aws_keys *out, bool *found_out,
                       struct error *err)
{
    const char *relative = aws_variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const char *full = aws_variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    if (!relative && !full) {
        return 0;
    }
    if (!relative && !may_be_asked(full)) {
        return error_set(err, ERR_AUTH,
                         "AWS_CONTAINER_CREDENTIALS_FULL_URI: only https, loopback and the "
                         "container's own endpoints are asked for keys");
    }
    AUTO(mem_freep)
    char *url = relative ? mem_printf("%s%s%s", HOST, *relative == '/' ? "" : "/", relative)
                         : mem_strdup(full);
    AUTO(mem_freep) char *value = NULL;
    AUTO(strlist_release) struct strlist headers = {0};
    AUTO(http_response_release) struct http_response response = {0};
    AUTO(json_freep) json_t *root = NULL;
    strlist_add(&headers, "Accept: application/json");
    if (authorization(&value, err) != 0) {
        return -1;
    }
    struct http_request request = {.url = url,
                                   .headers = &headers,
                                   .authorization = value,
                                   .max_body = ANSWER_MAX,
                                   .retries = RETRIES,
                                   .timeout_ms = TIMEOUT_MS,
                                   .connect_timeout_ms = TIMEOUT_MS,
                                   .no_proxy = true,
                                   .keep_redirects = true,
                                   .code = ERR_AUTH};
    if (http_perform(search->client, &request, &response, err) != 0 ||
        http_check(&request, &response, err) != 0) {
        return hide_path(url, err);
    }
    if (json_parse(response.body.data, response.body.len, ANSWER_MAX, "the answer", ERR_AUTH, &root,
                   err) != 0) {
        return error_set(err, ERR_AUTH, "AWS credentials of the container: the answer is not JSON");
    }
    *found_out =
        aws_keys_from_json(root, "Token", "the container's credentials endpoint", out, err) == 0;
    return *found_out ? 0 : -1;
}
