/*
 * What authentication's own files share: an `auth` from inside, and its bearer tokens
 * (auth_token.c). All is used under the lock.
 */
#ifndef SLIPWAY_REGISTRY_AUTH_INTERNAL_H
#define SLIPWAY_REGISTRY_AUTH_INTERNAL_H

#include <pthread.h>
#include <stdint.h>

#include "registry/auth.h"

enum scheme { SCHEME_UNKNOWN, SCHEME_BASIC, SCHEME_BEARER };

struct token {
    char *scopes; /* the set, as text */
    char *value;  /* "Bearer ..." */
    int64_t expires_at;
};

struct auth {
    struct http_client *client;
    char *host;
    char *base_url;
    pthread_mutex_t lock; /* held while a token is fetched: who wants the same one waits for it */
    bool loaded;
    struct credentials credentials;
    enum scheme scheme;
    char *realm;
    char *service;
    char *extra_scope; /* that the registry wants besides ours: of another form, or of another
                          repository that stands behind the one that is asked for */
    struct token *tokens;
    size_t tokens_len;
    int64_t reloaded_at;
    bool accepted;            /* the credentials, since they were last refused */
    struct aws_identity *aws; /* borrowed; NULL: this is no registry of ECR */
    struct ecr_host ecr;
    int64_t renew_at;   /* ECR's password is to be fetched again; 0: never */
    bool config_is_old; /* what docker's config has was refused as expired */
};

/* Seconds that pass while the machine sleeps, too. */
int64_t auth_now_s(void);

/* SCOPES and what the registry wants besides, with blanks between: the key of a token; the
 * caller's. */
char *auth_scopes_text(const struct auth *auth, const struct strlist *scopes);

/* The token for SCOPES (auth_scopes_text), also one that is over; NULL: there is none. Borrowed. */
struct token *auth_find_token(struct auth *auth, const char *scopes);

/* "Bearer ..." for SCOPES, fetched where there is none or it is about to expire; the caller's. */
int auth_bearer_value(struct auth *auth, const struct strlist *scopes, char **value_out,
                      struct error *err);

/* "Basic ..."; the caller's. */
char *auth_basic_value(const struct credentials *c);

#endif
