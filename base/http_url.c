#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/curl_library.h"
#include "base/http.h"
#include "base/memory.h"

static void url_freep(CURLU **url)
{
    curl_url_cleanup(*url);
    *url = NULL;
}

static void curl_stringp(char **text)
{
    curl_free(*text);
    *text = NULL;
}

/* Parameters that say what is asked for and prove nothing. */
static const char *const harmless[] = {"service", "scope",  "digest", "mount",
                                       "from",    "n",      "last",   "artifactType",
                                       "tag",     "Action", "ref",    "Version"};

static bool is_harmless(const char *name, size_t len)
{
    for (size_t i = 0; i < ARRAY_LEN(harmless); i++) {
        if (strlen(harmless[i]) == len && memcmp(harmless[i], name, len) == 0) {
            return true;
        }
    }
    return false;
}

static void append_visible(struct buf *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        buf_putc(out, iscntrl((unsigned char)text[i]) ? '?' : text[i]);
    }
}

static void append_query(struct buf *out, const char *query)
{
    char before = '?';
    bool hidden = false;
    while (*query && *query != '#') {
        size_t len = strcspn(query, "&#");
        size_t name = strcspn(query, "=&#");
        if (is_harmless(query, name)) {
            buf_putc(out, before);
            append_visible(out, query, len);
            before = '&';
        } else {
            hidden = hidden || len > 0;
        }
        query += len + (query[len] == '&');
    }
    if (hidden) {
        buf_putc(out, before);
        buf_puts(out, "...");
    }
}

char *http_redact_url(const char *url)
{
    struct buf out = BUF_INIT(0);
    const char *scheme_end = strstr(url, "://");
    const char *authority = scheme_end ? scheme_end + 3 : url;
    size_t authority_len = strcspn(authority, "/?#");
    /* The last @ counts: a password with an unescaped @ must not be shown in half. */
    const char *at = authority_len ? memrchr(authority, '@', authority_len) : NULL;
    append_visible(&out, url, (size_t)(authority - url));
    const char *host = at ? at + 1 : authority;
    const char *rest = authority + authority_len;
    append_visible(&out, host, (size_t)(rest - host));
    size_t path_len = strcspn(rest, "?#");
    append_visible(&out, rest, path_len);
    if (rest[path_len] == '?') {
        append_query(&out, rest + path_len + 1);
    }
    return buf_take(&out);
}

int http_resolve_url(const char *base, const char *target, char **out, struct error *err)
{
    AUTO(url_freep) CURLU *url = curl_url();
    AUTO(curl_stringp) char *text = NULL;
    AUTO(curl_stringp) char *scheme = NULL;
    CURLUcode rc = CURLUE_OK;
    if (base) {
        rc = curl_url_set(url, CURLUPART_URL, base, CURLU_URLENCODE);
        /* What the base carries of user info is not for other hosts. */
        curl_url_set(url, CURLUPART_USER, NULL, 0);
        curl_url_set(url, CURLUPART_PASSWORD, NULL, 0);
    }
    if (rc == CURLUE_OK) {
        rc = curl_url_set(url, CURLUPART_URL, target, CURLU_URLENCODE);
    }
    if (rc == CURLUE_OK) {
        rc = curl_url_get(url, CURLUPART_SCHEME, &scheme, 0);
    }
    if (rc == CURLUE_OK && strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0) {
        rc = CURLUE_UNSUPPORTED_SCHEME;
    }
    if (rc == CURLUE_OK) {
        rc = curl_url_get(url, CURLUPART_URL, &text, 0);
    }
    if (rc != CURLUE_OK) {
        AUTO(mem_freep) char *shown = http_redact_url(target);
        return error_set(err, ERR_REMOTE, "'%.200s' is not an http or https URL", shown);
    }
    *out = mem_strdup(text);
    return 0;
}

/* "https://host:443" of URL; NULL where it is none. */
static char *origin_of(const char *text)
{
    AUTO(url_freep) CURLU *url = curl_url();
    AUTO(curl_stringp) char *scheme = NULL;
    AUTO(curl_stringp) char *host = NULL;
    AUTO(curl_stringp) char *port = NULL;
    if (curl_url_set(url, CURLUPART_URL, text, CURLU_URLENCODE) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK) {
        return NULL;
    }
    return mem_printf("%s://%s:%s", scheme, host, port);
}

bool http_same_origin(const char *a, const char *b)
{
    AUTO(mem_freep) char *x = origin_of(a);
    AUTO(mem_freep) char *y = origin_of(b);
    return x && y && strcasecmp(x, y) == 0;
}

bool http_is_loopback(const char *host)
{
    size_t len = strcspn(host, ":/?#");
    bool named = len == 9 && strncasecmp(host, "localhost", len) == 0;
    bool v4 = strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") == len;
    return named || v4 || strncmp(host, "[::1]", 5) == 0;
}

void http_encode(const char *text, const char *keep, struct buf *out)
{
    for (const char *p = text; *p; p++) {
        if (isalnum((unsigned char)*p) || strchr("-._~", *p) || (keep && strchr(keep, *p))) {
            buf_putc(out, *p);
        } else {
            buf_printf(out, "%%%02X", (unsigned char)*p);
        }
    }
}

void http_add_query(struct buf *url, const char *name, const char *value)
{
    buf_putc(url, strchr(buf_text(url), '?') ? '&' : '?');
    buf_puts(url, name);
    buf_putc(url, '=');
    http_encode(value, ":/", url);
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(const void *data, size_t len, struct buf *out)
{
    const unsigned char *in = data;
    for (size_t i = 0; i < len; i += 3) {
        unsigned b1 = i + 1 < len ? in[i + 1] : 0;
        unsigned b2 = i + 2 < len ? in[i + 2] : 0;
        unsigned group = (unsigned)in[i] << 16 | b1 << 8 | b2;
        buf_putc(out, alphabet[group >> 18]);
        buf_putc(out, alphabet[group >> 12 & 63]);
        buf_putc(out, i + 1 < len ? alphabet[group >> 6 & 63] : '=');
        buf_putc(out, i + 2 < len ? alphabet[group & 63] : '=');
    }
}

bool base64_decode(const char *text, struct buf *out)
{
    unsigned group = 0;
    unsigned bits = 0;
    size_t digits = 0;
    size_t pads = 0;
    for (const char *p = text; *p; p++) {
        if (isspace((unsigned char)*p)) {
            continue;
        }
        if (*p == '=') {
            pads++;
            continue;
        }
        const char *at = strchr(alphabet, *p);
        if (!at || pads > 0) {
            return false;
        }
        group = (group << 6 | (unsigned)(at - alphabet)) & 0xffffffu;
        bits += 6;
        digits++;
        if (bits >= 8) {
            bits -= 8;
            buf_putc(out, (char)(group >> bits & 0xff));
        }
    }
    /* Missing padding is tolerated, a lone digit at the end is none. */
    return digits % 4 != 1 && pads <= 2;
}
