/* The metadata service of an EC2 machine, version 2: first a token, then the role's keys. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "aws/credentials_internal.h"
#include "base/memory.h"

enum { DEFAULT_TIMEOUT_S = 1, MAX_TIMEOUT_S = 60, MAX_ATTEMPTS = 10, ANSWER_MAX = 64 * 1024 };

static const char ROLES[] = "/latest/meta-data/iam/security-credentials/";
static const char ZONE[] = "/latest/meta-data/placement/availability-zone/";

/* A conversation with the service. */
struct metadata {
    struct http_client *client;
    char *base;
    char *token; /* "X-aws-ec2-metadata-token: ...", NULL: version 1 */
    unsigned timeout_ms;
    int retries;
};

static void metadata_release(struct metadata *m)
{
    free(m->base);
    free(m->token);
}

static unsigned number(const char *name, unsigned otherwise, unsigned max)
{
    const char *text = aws_variable(name);
    char *end = NULL;
    unsigned long value = text ? strtoul(text, &end, 10) : 0;
    return value == 0 || *end || value > max ? otherwise : (unsigned)value;
}

static char *base_url(void)
{
    const char *given = aws_variable("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    const char *mode = aws_variable("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
    bool ipv6 = mode && strcasecmp(mode, "ipv6") == 0;
    const char *url = given ? given : ipv6 ? "http://[fd00:ec2::254]" : "http://169.254.169.254";
    size_t len = strlen(url);
    while (len > 0 && url[len - 1] == '/') {
        len--;
    }
    return mem_strndup(url, len);
}

static int ask(const struct metadata *m, const char *method, const char *path, const char *header,
               struct http_response *response, struct error *err)
{
    AUTO(mem_freep) char *url = mem_printf("%s%s", m->base, path);
    AUTO(strlist_release) struct strlist headers = {0};
    if (header) {
        strlist_add(&headers, header);
    }
    struct http_request request = {.method = method,
                                   .url = url,
                                   .headers = &headers,
                                   .max_body = ANSWER_MAX,
                                   .retries = m->retries,
                                   .timeout_ms = m->timeout_ms,
                                   .connect_timeout_ms = m->timeout_ms,
                                   .no_proxy = true,
                                   .keep_redirects = true,
                                   .code = ERR_AUTH};
    return http_perform(m->client, &request, response, err);
}

/* A machine that has no such service is no error: *THERE_OUT. */
static int open_metadata(const struct aws_search *search, struct metadata *m, bool *there_out,
                         struct error *err)
{
    AUTO(http_response_release) struct http_response response = {0};
    unsigned attempts = number("AWS_METADATA_SERVICE_NUM_ATTEMPTS", 1, MAX_ATTEMPTS);
    *there_out = false;
    if (aws_variable_is_true("AWS_EC2_METADATA_DISABLED")) {
        return 0;
    }
    m->client = search->client;
    m->base = base_url();
    m->timeout_ms = 1000 * number("AWS_METADATA_SERVICE_TIMEOUT", DEFAULT_TIMEOUT_S, MAX_TIMEOUT_S);
    m->retries = attempts > 1 ? (int)attempts - 1 : HTTP_NO_RETRIES;
    if (ask(m, "PUT", "/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds: 21600", &response,
            err) != 0) {
        /* Nobody there; or from inside a container, where the answer to a PUT does not arrive. */
        if (err->code == ERR_CANCELLED) {
            return -1;
        }
        error_clear(err);
    }
    const char *token = buf_text(&response.body);
    if (response.status == 200 && *token && !strpbrk(token, "\r\n")) {
        m->token = mem_printf("X-aws-ec2-metadata-token: %s", token);
    } else if (response.status == 200 || response.status == 400) {
        return error_set(err, ERR_AUTH, "%s: the metadata service gives no token (HTTP %d)",
                         m->base, response.status);
    } else if (aws_variable_is_true("AWS_EC2_METADATA_V1_DISABLED")) {
        return 0;
    }
    *there_out = true;
    return 0;
}

/* The text at PATH, the caller's; NULL where there is none. */
static int get_text(const struct metadata *m, const char *path, char **out, struct error *err)
{
    AUTO(http_response_release) struct http_response response = {0};
    *out = NULL;
    if (ask(m, "GET", path, m->token, &response, err) != 0) {
        if (err->code == ERR_CANCELLED || m->token) {
            return -1;
        }
        error_clear(err);
        return 0;
    }
    if (response.status == 200 && response.body.len > 0) {
        *out = buf_take(&response.body);
    }
    return 0;
}

static int get_keys(const struct metadata *m, const char *role, struct aws_keys *out,
                    bool *found_out, struct error *err)
{
    AUTO(mem_freep) char *path = mem_printf("%s%s", ROLES, role);
    AUTO(mem_freep) char *text = NULL;
    AUTO(json_freep) json_t *root = NULL;
    if (get_text(m, path, &text, err) != 0) {
        return -1;
    }
    struct error ignored = {0};
    if (!text ||
        json_parse(text, strlen(text), ANSWER_MAX, "metadata", ERR_AUTH, &root, &ignored) != 0) {
        return 0;
    }
    const char *code = json_get_string(root, "Code");
    if (code && strcmp(code, "Success") != 0) {
        return error_set(err, ERR_AUTH,
                         "the machine's metadata service has no keys for its role "
                         "'%.64s': %.100s",
                         role, code);
    }
    AUTO(mem_freep) char *name = mem_printf("the machine's metadata service, role '%.64s'", role);
    *found_out = aws_keys_from_json(root, "Token", name, out, err) == 0;
    return *found_out ? 0 : -1;
}

int aws_from_metadata(const struct aws_search *search, struct aws_keys *out, bool *found_out,
                      struct error *err)
{
    AUTO(metadata_release) struct metadata m = {0};
    AUTO(mem_freep) char *role = NULL;
    bool there = false;
    if (open_metadata(search, &m, &there, err) != 0) {
        return -1;
    }
    if (!there) {
        return 0;
    }
    if (get_text(&m, ROLES, &role, err) != 0) {
        return -1;
    }
    if (!role) {
        return 0;
    }
    role[strcspn(role, "\r\n")] = '\0';
    if (!*role || strpbrk(role, "/?# ")) {
        return 0;
    }
    return get_keys(&m, role, out, found_out, err);
}

int aws_metadata_region(const struct aws_search *search, char **region_out, struct error *err)
{
    AUTO(metadata_release) struct metadata m = {0};
    bool there = false;
    if (open_metadata(search, &m, &there, err) != 0) {
        return -1;
    }
    AUTO(mem_freep) char *zone = NULL;
    if (there && get_text(&m, ZONE, &zone, err) != 0) {
        return -1;
    }
    size_t len = zone ? strcspn(zone, "\r\n") : 0;
    /* "eu-west-1a" */
    *region_out = len > 1 ? mem_strndup(zone, len - 1) : NULL;
    return 0;
}
