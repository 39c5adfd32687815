/*
 * `slipway login` and `logout`: check with the registry, then keep where docker keeps it.
 */
#ifndef SLIPWAY_REGISTRY_LOGIN_H
#define SLIPWAY_REGISTRY_LOGIN_H

#include "registry/registry.h"

/* Checks USER and PASSWORD with HOST ("" or NULL: docker.io; a pasted "https://host/..." is read as
 * the host) and stores them; *WHERE_OUT (may be NULL; the caller's) says where. ERR_AUTH where the
 * registry refuses: nothing is stored then. */
int registry_login(struct registry *registry, const char *host, const char *user,
                   const char *password, char **where_out, struct error *err);

/* Forgets HOST's credentials. *FOUND_OUT (may be NULL) becomes whether there were any. Opens no
 * socket. */
int registry_logout(const char *host, bool *found_out, struct error *err);

/* HOST as credentials are kept under: without scheme and path, docker.io for Docker Hub's other
 * names. The caller's. */
char *registry_login_host(const char *host);

#endif
