#include "git/known_hosts.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { SHA1_BYTES = 20, MAX_FIELD = 16384 };

/* A word of a line. */
struct field {
    const char *text;
    size_t len;
};

static struct field next_field(const char **at)
{
    *at += strspn(*at, " \t");
    struct field field = {.text = *at, .len = strcspn(*at, " \t\r\n")};
    *at += field.len;
    return field;
}

static bool field_is(struct field field, const char *word)
{
    return field.len == strlen(word) && strncmp(field.text, word, field.len) == 0;
}

/* Decodes base64 of at most CAP bytes. Returns the length, 0 where it is none. */
static size_t decode(struct field field, unsigned char *out, size_t cap)
{
    if (field.len == 0 || field.len % 4 != 0 || field.len / 4 * 3 > cap) {
        return 0;
    }
    int got = EVP_DecodeBlock(out, (const unsigned char *)field.text, (int)field.len);
    if (got <= 0) {
        return 0;
    }
    size_t padding =
        (size_t)(field.text[field.len - 1] == '=') + (field.text[field.len - 2] == '=');
    return (size_t)got - padding;
}

/* Shell patterns with "*" and "?" only, without regard to case. */
static bool pattern_matches(const char *pattern, size_t len, const char *name)
{
    if (len == 0) {
        return *name == '\0';
    }
    if (*pattern == '*') {
        while (len > 1 && pattern[1] == '*') {
            pattern++;
            len--;
        }
        for (const char *rest = name;; rest++) {
            if (pattern_matches(pattern + 1, len - 1, rest)) {
                return true;
            }
            if (!*rest) {
                return false;
            }
        }
    }
    if (*name == '\0' ||
        (*pattern != '?' && tolower((unsigned char)*pattern) != tolower((unsigned char)*name))) {
        return false;
    }
    return pattern_matches(pattern + 1, len - 1, name + 1);
}

/* "|1|SALT|HMAC-SHA1(SALT, NAME)" */
static bool hashed_matches(struct field hosts, const char *name)
{
    const char *salt = hosts.text + 3;
    const char *bar = memchr(salt, '|', hosts.len - 3);
    if (!bar) {
        return false;
    }
    unsigned char key[64];
    unsigned char wanted[64];
    unsigned char got[EVP_MAX_MD_SIZE];
    unsigned got_len = 0;
    struct field hash = {bar + 1, hosts.len - (size_t)(bar + 1 - hosts.text)};
    size_t key_len = decode((struct field){salt, (size_t)(bar - salt)}, key, sizeof key);
    if (key_len == 0 || decode(hash, wanted, sizeof wanted) != SHA1_BYTES ||
        !HMAC(EVP_sha1(), key, (int)key_len, (const unsigned char *)name, strlen(name), got,
              &got_len)) {
        return false;
    }
    return got_len == SHA1_BYTES && memcmp(got, wanted, SHA1_BYTES) == 0;
}

static bool hosts_match(struct field hosts, const char *name)
{
    if (hosts.len > 3 && strncmp(hosts.text, "|1|", 3) == 0) {
        return hashed_matches(hosts, name);
    }
    bool matched = false;
    size_t start = 0;
    while (start < hosts.len) {
        const char *item = hosts.text + start;
        const char *comma = memchr(item, ',', hosts.len - start);
        size_t len = comma ? (size_t)(comma - item) : hosts.len - start;
        bool negated = len > 0 && *item == '!';
        if (len < 1024 && pattern_matches(item + negated, len - negated, name)) {
            if (negated) {
                return false;
            }
            matched = true;
        }
        start += len + 1;
    }
    return matched;
}

/* The type's name at the start of a key in wire form. */
static struct field key_type(const unsigned char *key, size_t len)
{
    if (len < 4) {
        return (struct field){"", 0};
    }
    size_t name = (size_t)key[0] << 24 | (size_t)key[1] << 16 | (size_t)key[2] << 8 | key[3];
    return name <= len - 4 ? (struct field){(const char *)key + 4, name} : (struct field){"", 0};
}

/* What one line says of the key. */
static enum known_host judge_line(const char *line, const char *name, const void *key, size_t len)
{
    struct field first = next_field(&line);
    bool revoked = field_is(first, "@revoked");
    if (first.len == 0 || *first.text == '#' || (*first.text == '@' && !revoked)) {
        return KNOWN_HOST_UNKNOWN;
    }
    struct field hosts = revoked ? next_field(&line) : first;
    struct field type = next_field(&line);
    struct field blob = next_field(&line);
    AUTO(mem_freep) unsigned char *known = mem_alloc(MAX_FIELD);
    size_t known_len = decode(blob, known, MAX_FIELD);
    struct field wanted = key_type(key, len);
    if (known_len == 0 || wanted.len == 0 || !hosts_match(hosts, name)) {
        return KNOWN_HOST_UNKNOWN;
    }
    bool same = known_len == len && memcmp(known, key, len) == 0;
    if (revoked) {
        return same ? KNOWN_HOST_REVOKED : KNOWN_HOST_UNKNOWN;
    }
    if (same) {
        return KNOWN_HOST_MATCH;
    }
    bool same_type = type.len == wanted.len && memcmp(type.text, wanted.text, type.len) == 0;
    return same_type ? KNOWN_HOST_CHANGED : KNOWN_HOST_UNKNOWN;
}

enum known_host known_hosts_find(const char *text, const char *host, unsigned port, const void *key,
                                 size_t len)
{
    AUTO(mem_freep)
    char *name = port == 0 || port == 22 ? mem_strdup(host) : mem_printf("[%s]:%u", host, port);
    for (char *p = name; *p; p++) {
        *p = (char)tolower((unsigned char)*p);
    }
    enum known_host result = KNOWN_HOST_UNKNOWN;
    while (*text) {
        enum known_host line = judge_line(text, name, key, len);
        if (line == KNOWN_HOST_REVOKED) {
            return line;
        }
        if (line == KNOWN_HOST_MATCH ||
            (line == KNOWN_HOST_CHANGED && result == KNOWN_HOST_UNKNOWN)) {
            result = line;
        }
        text += strcspn(text, "\n");
        text += *text == '\n';
    }
    return result;
}
