#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/http_internal.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/memory.h"

enum { WORDS_MAX = 600 };

const char *http_header_next(const struct http_response *response, const char *name,
                             const char *previous)
{
    size_t len = strlen(name);
    bool seen = previous == NULL;
    for (size_t i = 0; i < response->headers.len; i++) {
        const char *line = response->headers.items[i];
        if (strncasecmp(line, name, len) != 0 || line[len] != ':') {
            continue;
        }
        const char *value = line + len + 1;
        value += strspn(value, " \t");
        if (seen) {
            return value;
        }
        seen = value == previous;
    }
    return NULL;
}

const char *http_header(const struct http_response *response, const char *name)
{
    return http_header_next(response, name, NULL);
}

bool http_is_coded(const struct http_response *response)
{
    const char *coding = http_header(response, "Content-Encoding");
    return coding && *coding && strcasecmp(coding, "identity") != 0;
}

/* After these a secret may follow in a server's own words. */
static const char *const secret_marks[] = {"X-Amz-Signature=",
                                           "X-Amz-Security-Token=",
                                           "X-Amz-Credential=",
                                           "Signature=",
                                           "sig=",
                                           "access_token=",
                                           "refresh_token=",
                                           "token=",
                                           "password=",
                                           "_state=",
                                           "Bearer ",
                                           "Basic "};

/* Length of the secret that begins at TEXT + *AT, whose mark is copied; 0: none. */
static size_t secret_at(const char *text, size_t *mark_len)
{
    for (size_t i = 0; i < ARRAY_LEN(secret_marks); i++) {
        size_t len = strlen(secret_marks[i]);
        if (strncasecmp(text, secret_marks[i], len) != 0) {
            continue;
        }
        size_t secret = strcspn(text + len, " \t&\"'<>,;");
        /* "Basic authentication" is prose. */
        bool word = secret_marks[i][len - 1] == ' ' && secret < 16;
        if (secret > 0 && !word) {
            *mark_len = len;
            return secret;
        }
    }
    return 0;
}

/* Adds TEXT on one line, cut at WORDS_MAX, without what looks like a secret. */
static void append_words(struct buf *out, const char *text, size_t len)
{
    AUTO(mem_freep) char *copy = mem_strndup(text, len);
    size_t start = out->len;
    bool blank = true;
    for (const char *p = copy; *p;) {
        if (out->len - start > WORDS_MAX) {
            buf_puts(out, "...");
            break;
        }
        size_t mark = 0;
        size_t secret = secret_at(p, &mark);
        if (secret) {
            buf_append(out, p, mark);
            buf_puts(out, "***");
            p += mark + secret;
            blank = false;
            continue;
        }
        if (isspace((unsigned char)*p) || iscntrl((unsigned char)*p)) {
            if (!blank) {
                buf_putc(out, ' ');
            }
            blank = true;
        } else {
            buf_putc(out, *p);
            blank = false;
        }
        p++;
    }
    while (out->len > start && out->data[out->len - 1] == ' ') {
        out->data[--out->len] = '\0';
    }
}

static void append_coded(struct buf *out, const char *code, const char *message)
{
    const char *between = "";
    if (code && *code) {
        append_words(out, code, strlen(code));
        between = ": ";
    }
    if (message && *message && !(code && strcmp(code, message) == 0)) {
        buf_puts(out, between);
        append_words(out, message, strlen(message));
    }
}

/* {"errors":[{"code","message","detail"}]} of registries. */
static bool append_registry_errors(struct buf *out, const json_t *root)
{
    const json_t *errors = json_object_get(root, "errors");
    if (!json_is_array(errors) || json_array_size(errors) == 0) {
        return false;
    }
    for (size_t i = 0; i < json_array_size(errors) && i < 3; i++) {
        const json_t *item = json_array_get(errors, i);
        if (i > 0) {
            buf_puts(out, "; ");
        }
        append_coded(out, json_get_string(item, "code"), json_get_string(item, "message"));
        const json_t *detail = json_object_get(item, "detail");
        if (json_is_string(detail)) {
            buf_puts(out, " (");
            append_words(out, json_string_value(detail), json_string_length(detail));
            buf_putc(out, ')');
        }
    }
    return true;
}

/* AWS: {"__type","message"} or {"Error":{"Code","Message"}}; token servers:
 * {"error","error_description"} or {"details"}. */
static bool append_other_errors(struct buf *out, const json_t *root)
{
    static const char *const codes[] = {"__type", "code", "Code", "error"};
    static const char *const messages[] = {"message", "Message", "error_description", "details",
                                           "detail"};
    const json_t *inner = json_object_get(root, "Error");
    const json_t *from = json_is_object(inner) ? inner : root;
    const char *code = NULL;
    const char *message = NULL;
    for (size_t i = 0; i < ARRAY_LEN(codes) && !code; i++) {
        code = json_get_string(from, codes[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(messages) && !message; i++) {
        message = json_get_string(from, messages[i]);
    }
    if (!code && !message) {
        return false;
    }
    const char *hash = code ? strrchr(code, '#') : NULL;
    append_coded(out, hash ? hash + 1 : code, message);
    return true;
}

static bool looks_like_html(const struct http_response *response)
{
    const char *type = http_header(response, "Content-Type");
    if (type && strcasestr(type, "html")) {
        return true;
    }
    const char *text = buf_text(&response->body);
    text += strspn(text, " \t\r\n");
    return strncasecmp(text, "<!doctype html", 14) == 0 || strncasecmp(text, "<html", 5) == 0;
}

static bool is_text(const struct buf *body)
{
    size_t look = body->len < 512 ? body->len : 512;
    for (size_t i = 0; i < look; i++) {
        unsigned char c = (unsigned char)body->data[i];
        if (c < 32 && !isspace(c)) {
            return false;
        }
    }
    return true;
}

void http_server_words(const struct http_response *response, struct buf *out)
{
    if (response->body.len == 0) {
        return;
    }
    struct error ignored = {0};
    AUTO(json_freep) json_t *root = NULL;
    if (json_parse(response->body.data, response->body.len, LIMIT_JSON_BYTES, "answer", ERR_REMOTE,
                   &root, &ignored) == 0) {
        if (append_registry_errors(out, root) || append_other_errors(out, root)) {
            return;
        }
    }
    if (looks_like_html(response)) {
        buf_puts(out, "the answer is an HTML page (a proxy, or no registry?)");
        return;
    }
    if (is_text(&response->body)) {
        append_words(out, response->body.data, response->body.len);
    }
}

static enum error_code code_for(const struct http_request *request, int status)
{
    if (status == 401 || status == 403 || status == 407) {
        return ERR_AUTH;
    }
    return request->code != ERR_NONE ? request->code : ERR_REMOTE;
}

int http_error(const struct http_request *request, const struct http_response *response,
               struct error *err)
{
    AUTO(mem_freep) char *url = http_redact_url(response->url ? response->url : request->url);
    AUTO(buf_release) struct buf words = BUF_INIT(0);
    http_server_words(response, &words);
    error_set(err, code_for(request, response->status), "%s %s: HTTP %d%s%s",
              request->method ? request->method : "GET", url, response->status,
              words.len ? ": " : "", buf_text(&words));
    err->http_status = response->status;
    const char *after = http_header(response, "Retry-After");
    long seconds = after ? http_parse_retry_after(after) : -1;
    if (seconds > 0) {
        size_t len = strlen(err->text);
        snprintf(err->text + len, sizeof err->text - len, " (to be asked again in %ld s)", seconds);
    }
    return -1;
}

int http_check(const struct http_request *request, const struct http_response *response,
               struct error *err)
{
    if (response->status >= 200 && response->status < 300) {
        return 0;
    }
    return http_error(request, response, err);
}

int http_no_answer(const struct http_request *request, const char *method, const char *url,
                   const struct http_outcome *outcome, unsigned timeout_ms, struct error *err)
{
    AUTO(mem_freep) char *shown = http_redact_url(url);
    enum error_code code = request->code != ERR_NONE ? request->code : ERR_REMOTE;
    if (outcome->timed_out) {
        return error_set(err, code, "%s %s: no progress for %u.%u seconds", method, shown,
                         timeout_ms / 1000, timeout_ms % 1000 / 100);
    }
    const char *words = outcome->text[0] ? outcome->text : curl_easy_strerror(outcome->curl);
    AUTO(buf_release) struct buf line = BUF_INIT(0);
    append_words(&line, words, strlen(words));
    return error_set(err, code, "%s %s: %s", method, shown, buf_text(&line));
}
