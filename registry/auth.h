/*
 * Authentication towards registries: WWW-Authenticate challenges (RFC 9110), Basic, and Bearer
 * tokens (distribution spec: token, oauth, scope).
 *
 * An `auth` belongs to one registry and is shared by threads. auth_header() gives the Authorization
 * value for a request, "" for none; on a 401 (or an expired token's 403) auth_challenge() reads the
 * answer, gets what is asked for, and says whether it is worth asking again.
 */
#ifndef SLIPWAY_REGISTRY_AUTH_H
#define SLIPWAY_REGISTRY_AUTH_H

#include <stdbool.h>

#include "aws/ecr.h"
#include "base/http.h"
#include "base/strlist.h"
#include "registry/docker_config.h"

/* One challenge of a WWW-Authenticate header. Owned members, NULL where absent. */
struct challenge {
    char *scheme; /* lower case: "basic", "bearer" */
    char *realm;
    char *service;
    char *scope;
    char *error;
};
struct challenges {
    struct challenge *items;
    size_t len;
};

/* Frees what CHALLENGES holds. */
void challenges_release(struct challenges *challenges);
/* Adds the challenges in one header's value; what cannot be read is skipped. */
void challenges_parse(const char *value, struct challenges *out);

struct auth;

/* For the registry HOST as people name it (credentials are looked up by it) that is asked at
 * BASE_URL ("https://registry-1.docker.io"). CLIENT is borrowed. Nothing is read before the first
 * use. */
struct auth *auth_new(struct http_client *client, const char *host, const char *base_url);
/* As auth_new with credentials given (`slipway login`): the files are not read. */
struct auth *auth_new_with(struct http_client *client, const char *host, const char *base_url,
                           const char *user, const char *password);
/* A host of ECR gets its password from AWS as IDENTITY (borrowed) where docker's config has none,
 * or an old one; for others this does nothing. Call it before the first use. */
void auth_use_aws(struct auth *auth, struct aws_identity *identity);
/* Cleanup for AUTO(). */
void auth_freep(struct auth **auth);

/* SCOPES: "repository:NAME:pull", "repository:NAME:pull,push"; the set is the key of the token
 * cache. *VALUE_OUT is the caller's, NULL where nothing is to be sent (yet). Gets a new token where
 * the cached one is about to expire. */
int auth_header(struct auth *auth, const struct strlist *scopes, char **value_out,
                struct error *err);

/* Reads RESPONSE, the 401 (or 403) to a request sent with USED (NULL: none): *AGAIN_OUT becomes
 * true where a new auth_header() is worth trying. Errors of the token server and of credential
 * helpers are returned. */
int auth_challenge(struct auth *auth, const struct strlist *scopes, const char *used,
                   const struct http_response *response, bool *again_out, struct error *err);

/* The registry took what auth_header() gave: should it refuse the same later, it is asked once
 * more. */
void auth_accepted(struct auth *auth);

/* Where the credentials come from ("~/.docker/config.json"), or NULL where there are none: for
 * messages. The caller's.
 */
char *auth_source(struct auth *auth);

#endif
