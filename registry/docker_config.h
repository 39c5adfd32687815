/*
 * Credentials as docker and containers-auth.json(5) keep them.
 *
 * Looked up in this order: $REGISTRY_AUTH_FILE alone if it is set; else $DOCKER_CONFIG/config.json
 * if that is set; else $XDG_RUNTIME_DIR/containers/auth.json,
 * ${XDG_CONFIG_HOME:-~/.config}/containers/auth.json and ~/.docker/config.json: the first that has
 * something for the host counts. Inside a file: credHelpers[host], then credsStore, then auths.
 */
#ifndef SLIPWAY_REGISTRY_DOCKER_CONFIG_H
#define SLIPWAY_REGISTRY_DOCKER_CONFIG_H

#include <stdbool.h>

#include "base/error.h"
#include "base/strlist.h"

/* What is known for a host. All members owned, NULL where absent; all NULL: nothing, go on
 * anonymously. */
struct credentials {
    char *user;
    char *password;
    char *identity_token; /* an OAuth2 refresh token: POST to the token server */
    char *registry_token; /* a bearer token to be used as it is */
    char *source; /* where they come from, for messages: a file, or "docker-credential-NAME" */
};

/* Frees what CREDENTIALS holds and leaves it empty. */
void credentials_release(struct credentials *credentials);

/* Copies FROM into OUT, which is overwritten; the caller releases it. */
void credentials_copy(const struct credentials *from, struct credentials *out);

/* Whether there is nothing in CREDENTIALS to log in with. */
bool credentials_empty(const struct credentials *credentials);

/* What HOST ("docker.io", "127.0.0.1:5000") has; REPOSITORY ("a/b", may be NULL) for keys of the
 * form host/a. A helper that fails or a damaged file is ERR_AUTH. */
int docker_config_get(const char *host, const char *repository, struct credentials *out,
                      struct error *err);

/* The files that are looked into, in their order, whether they are there or not. */
void auth_file_paths(struct strlist *out);

/* Stores USER and PASSWORD for HOST in the file that docker login would use ($REGISTRY_AUTH_FILE,
 * else config.json), or in the helper named there. Unknown members stay. *WHERE_OUT (may be NULL)
 * says where, the caller's. ERR_USAGE or ERR_STORE. */
int docker_config_store(const char *host, const char *user, const char *password, char **where_out,
                        struct error *err);

/* Forgets HOST. *FOUND_OUT (may be NULL) becomes whether there was something. */
int docker_config_erase(const char *host, bool *found_out, struct error *err);

/* Reads the credentials of HOST in a parsed auth file of LEN bytes without asking helpers:
 * *HELPER_OUT (the caller's) gets the name of the helper to be asked, or NULL. For tests and
 * fuzzing too. */
int docker_config_parse(const void *data, size_t len, const char *name, const char *host,
                        const char *repository, struct credentials *out, char **helper_out,
                        struct error *err);

#endif
