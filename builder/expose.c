#include "builder/expose.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"

/* A port from *AT on, which is moved behind it; false: there is none. */
static bool read_port(const char **at, unsigned *out)
{
    unsigned port = 0;
    const char *p = *at + (**at == '+'); /* Go's numbers may have it */
    const char *digits = p;
    for (; isdigit((unsigned char)*p) && port <= 65535; p++) {
        port = port * 10 + (unsigned)(*p - '0');
    }
    if (p == digits || port > 65535) {
        return false;
    }
    *at = p;
    *out = port;
    return true;
}

/* PORT or PORT-PORT, and nothing else. */
static bool read_range(const char *text, unsigned *first, unsigned *last)
{
    if (!read_port(&text, first)) {
        return false;
    }
    *last = *first;
    if (*text == '-') {
        text++;
        if (!read_port(&text, last)) {
            return false;
        }
    }
    return *text == '\0' && *last >= *first;
}

static int read_protocol(const char *word, const char *text, struct exposed *out, struct error *err)
{
    static const char *const known[] = {"tcp", "udp", "sctp"};
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (strcasecmp(text, known[i]) == 0) {
            snprintf(out->protocol, sizeof out->protocol, "%s", known[i]);
            out->odd_case = strcmp(text, known[i]) != 0;
            return 0;
        }
    }
    return error_set(err, ERR_USAGE, "EXPOSE %s: the protocol is not tcp, udp or sctp", word);
}

/* The address in front of the host's port. */
static bool is_address(const char *text)
{
    unsigned char address[sizeof(struct in6_addr)];
    size_t len = strlen(text);
    bool brackets = len > 2 && text[0] == '[' && text[len - 1] == ']';
    AUTO(mem_freep) char *bare = brackets ? mem_strndup(text + 1, len - 2) : mem_strdup(text);
    return inet_pton(AF_INET, bare, address) == 1 || inet_pton(AF_INET6, bare, address) == 1;
}

/* "IP:HOST", "HOST" or "IP:": what stands in front of the last colon. */
static int check_host(const char *word, char *text, const struct exposed *out, struct error *err)
{
    char *colon = strrchr(text, ':');
    const char *host = colon ? colon + 1 : text;
    unsigned first = 0;
    unsigned last = 0;
    if (host[0] && !read_range(host, &first, &last)) {
        return error_set(err, ERR_USAGE, "EXPOSE %s: '%s' is no port between 0 and 65535", word,
                         host);
    }
    if (host[0] && out->last != out->first && last - first != out->last - out->first) {
        return error_set(err, ERR_USAGE, "EXPOSE %s: the two ranges differ in length", word);
    }
    if (colon) {
        *colon = '\0';
        if (text[0] && !is_address(text)) {
            return error_set(err, ERR_USAGE, "EXPOSE %s: '%s' is no IP address", word, text);
        }
    }
    return 0;
}

int expose_parse(const char *word, struct exposed *out, struct error *err)
{
    struct exposed port = {.protocol = "tcp"};
    AUTO(mem_freep) char *text = mem_strdup(word);
    char *colon = strrchr(text, ':');
    char *own = colon ? colon + 1 : text;
    char *slash = strchr(own, '/');
    if (slash) {
        *slash = '\0';
    }
    if (slash && slash[1] && read_protocol(word, slash + 1, &port, err) != 0) {
        return -1;
    }
    if (!read_range(own, &port.first, &port.last)) {
        return error_set(err, ERR_USAGE, "EXPOSE %s: not a port between 0 and 65535", word);
    }
    if (colon) {
        *colon = '\0';
        port.mapped = text[strspn(text, ":")] != '\0';
        if (check_host(word, text, &port, err) != 0) {
            return -1;
        }
    }
    *out = port;
    return 0;
}
