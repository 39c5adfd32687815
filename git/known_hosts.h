/*
 * OpenSSH's known_hosts: whether a server's key is the one that is on record (sshd(8),
 * "SSH_KNOWN_HOSTS FILE FORMAT").
 */
#ifndef SLIPWAY_GIT_KNOWN_HOSTS_H
#define SLIPWAY_GIT_KNOWN_HOSTS_H

#include <stddef.h>

enum known_host {
    KNOWN_HOST_UNKNOWN, /* no line for the host with this type of key */
    KNOWN_HOST_MATCH,
    KNOWN_HOST_CHANGED, /* a line for the host, and this type, with another key */
    KNOWN_HOST_REVOKED, /* "@revoked" names this key */
};

/* Looks up HOST and PORT (0 and 22 are the same) with KEY (LEN bytes, the wire form that starts
 * with its type's name) in TEXT: plain and hashed names, patterns with "*", "?" and "!". Lines of
 * certificate authorities are passed over. */
enum known_host known_hosts_find(const char *text, const char *host, unsigned port, const void *key,
                                 size_t len);

#endif
