#include "aws/sigv4.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/memory.h"

void sigv4_time(time_t now, char out[SIGV4_TIME_SIZE])
{
    struct tm tm;
    gmtime_r(&now, &tm);
    strftime(out, SIGV4_TIME_SIZE, "%Y%m%dT%H%M%SZ", &tm);
}

void sigv4_hmac(const void *key, size_t key_len, const void *data, size_t len,
                uint8_t out[DIGEST_BYTES])
{
    unsigned got = 0;
    if (!HMAC(EVP_sha256(), key, (int)key_len, data, len, out, &got) || got != DIGEST_BYTES) {
        abort(); /* only out of memory */
    }
}

void sigv4_key(const char *secret, const char *timestamp, const char *region, const char *service,
               uint8_t out[DIGEST_BYTES])
{
    AUTO(mem_freep) char *first = mem_printf("AWS4%s", secret);
    uint8_t day[DIGEST_BYTES];
    uint8_t place[DIGEST_BYTES];
    uint8_t what[DIGEST_BYTES];
    sigv4_hmac(first, strlen(first), timestamp, 8, day);
    sigv4_hmac(day, sizeof day, region, strlen(region), place);
    sigv4_hmac(place, sizeof place, service, strlen(service), what);
    sigv4_hmac(what, sizeof what, "aws4_request", strlen("aws4_request"), out);
}

static void encode(struct buf *out, const char *text, size_t len, const char *also_plain)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (isalnum(c) || (c && strchr("-_.~", c)) || (c && strchr(also_plain, c))) {
            buf_putc(out, (char)c);
        } else {
            buf_printf(out, "%%%02X", c);
        }
    }
}

char *sigv4_query(const struct strlist *query)
{
    AUTO(strlist_release) struct strlist pairs = {0};
    for (size_t i = 0; query && i < query->len; i++) {
        const char *item = query->items[i];
        size_t name = strcspn(item, "=");
        AUTO(buf_release) struct buf pair = BUF_INIT(0);
        encode(&pair, item, name, "");
        /* A byte below every one that a name can hold: "a=" must stand before "a-b=". */
        buf_putc(&pair, '\x01');
        if (item[name] == '=') {
            encode(&pair, item + name + 1, strlen(item + name + 1), "");
        }
        strlist_take(&pairs, buf_take(&pair));
    }
    strlist_sort(&pairs);
    AUTO(buf_release) struct buf out = BUF_INIT(0);
    for (size_t i = 0; i < pairs.len; i++) {
        *strchr(pairs.items[i], '\x01') = '=';
        buf_printf(&out, "%s%s", i ? "&" : "", pairs.items[i]);
    }
    return buf_take(&out);
}

/* Adds "name\x01value" in canonical form: lower-case name, trimmed value with single spaces. */
static void add_header(struct strlist *out, const char *line)
{
    size_t name = strcspn(line, ":");
    AUTO(buf_release) struct buf b = BUF_INIT(0);
    for (size_t i = 0; i < name; i++) {
        buf_putc(&b, (char)tolower((unsigned char)line[i]));
    }
    buf_putc(&b, '\x01');
    bool space = false;
    size_t start = b.len;
    for (const char *p = line + name + (line[name] == ':'); *p; p++) {
        if (isspace((unsigned char)*p)) {
            space = true;
            continue;
        }
        if (space && b.len > start) {
            buf_putc(&b, ' ');
        }
        space = false;
        buf_putc(&b, *p);
    }
    strlist_take(out, buf_take(&b));
}

/* The header lines and the list of their names; values of one name are joined by commas, in the
 * order given. */
static void canonical_headers(struct strlist *headers, struct buf *lines, struct buf *names)
{
    strlist_sort(headers);
    const char *last = "";
    for (size_t i = 0; i < headers->len; i++) {
        char *value = strchr(headers->items[i], '\x01');
        *value++ = '\0';
        if (strcmp(last, headers->items[i]) == 0) {
            lines->len--; /* the newline */
            buf_printf(lines, ",%s\n", value);
            continue;
        }
        last = headers->items[i];
        buf_printf(lines, "%s:%s\n", last, value);
        buf_printf(names, "%s%s", names->len ? ";" : "", last);
    }
}

void sigv4_sign(const struct sigv4_request *request, const struct aws_keys *keys, time_t now,
                struct strlist *headers_out)
{
    char timestamp[SIGV4_TIME_SIZE];
    sigv4_time(now, timestamp);
    strlist_addf(headers_out, "X-Amz-Date: %s", timestamp);
    if (keys->token) {
        strlist_addf(headers_out, "X-Amz-Security-Token: %s", keys->token);
    }
    AUTO(strlist_release) struct strlist headers = {0};
    for (size_t i = 0; request->headers && i < request->headers->len; i++) {
        add_header(&headers, request->headers->items[i]);
    }
    AUTO(mem_freep) char *host = mem_printf("host:%s", request->host);
    AUTO(mem_freep) char *date = mem_printf("x-amz-date:%s", timestamp);
    add_header(&headers, host);
    add_header(&headers, date);
    if (keys->token) {
        AUTO(mem_freep) char *token = mem_printf("x-amz-security-token:%s", keys->token);
        add_header(&headers, token);
    }
    AUTO(buf_release) struct buf lines = BUF_INIT(0);
    AUTO(buf_release) struct buf names = BUF_INIT(0);
    AUTO(buf_release) struct buf path = BUF_INIT(0);
    canonical_headers(&headers, &lines, &names);
    const char *sent = request->path && *request->path ? request->path : "/";
    encode(&path, sent, strlen(sent), "/");
    AUTO(mem_freep) char *query = sigv4_query(request->query);
    struct digest digest;
    char hex[DIGEST_HEX_SIZE];
    digest_of(request->body ? request->body : "", request->body_len, &digest);
    AUTO(mem_freep)
    char *canonical = mem_printf("%s\n%s\n%s\n%s\n%s\n%s", request->method, buf_text(&path), query,
                                 buf_text(&lines), buf_text(&names), digest_hex(&digest, hex));
    digest_of(canonical, strlen(canonical), &digest);
    AUTO(mem_freep)
    char *scope =
        mem_printf("%.8s/%s/%s/aws4_request", timestamp, request->region, request->service);
    AUTO(mem_freep)
    char *to_sign =
        mem_printf("AWS4-HMAC-SHA256\n%s\n%s\n%s", timestamp, scope, digest_hex(&digest, hex));
    uint8_t key[DIGEST_BYTES];
    sigv4_key(keys->secret, timestamp, request->region, request->service, key);
    sigv4_hmac(key, sizeof key, to_sign, strlen(to_sign), digest.bytes);
    strlist_addf(headers_out,
                 "Authorization: AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s",
                 keys->id, scope, buf_text(&names), digest_hex(&digest, hex));
}
