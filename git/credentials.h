/*
 * Who we are to a git server: the answers to libgit2's callbacks for one fetch.
 *
 * For HTTP, each tried once and in this order: the URL's user info; CodeCommit's password from AWS
 * keys (aws/codecommit.h); netrc ($NETRC, ~/.netrc); git's credential helpers through `git
 * credential fill`, never asking on a terminal. For ssh: the agent, then the default keys without
 * passphrase (id_ed25519, id_ecdsa, id_rsa). The keys of ssh servers must be in known_hosts
 * (git/known_hosts.h).
 */
#ifndef SLIPWAY_GIT_CREDENTIALS_H
#define SLIPWAY_GIT_CREDENTIALS_H

#include <stdbool.h>

#include "base/error.h"
#include "git/libgit2.h"
#include "git/url.h"

/* The state of one fetch. URL is borrowed. */
struct git_auth {
    const struct git_url *url;
    unsigned next;  /* the next way to try */
    bool asked;     /* the server wanted credentials */
    bool tried;     /* it was given some */
    char *header;   /* "Authorization: ..." for every request of the next connection; NULL: none */
    char host[256]; /* the host of the last TLS connection; "": none yet */
    struct error error; /* why a callback refused, if code is set */
};

/* Begins anew, with nothing asked and nothing tried. */
void git_auth_init(struct git_auth *auth, const struct git_url *url);

/* Frees what AUTH holds. */
void git_auth_release(struct git_auth *auth);

/* After a connection over HTTP that failed because credentials were wanted (`asked`): puts the next
 * ones into `header`. False where there are no more; then `error` says so. libgit2 1.5 loses its
 * place in the stream when it answers a 401 on the connection that brought it, therefore they go
 * out with the first request of a new one. */
bool git_auth_next(struct git_auth *auth);

/* libgit2's callbacks; PAYLOAD is the struct git_auth. */
int git_auth_credentials(git_credential **out, const char *url, const char *user,
                         unsigned allowed_types, void *payload);

/* libgit2's certificate_check; PAYLOAD is the struct git_auth. */
int git_auth_certificate(git_cert *cert, int valid, const char *host, void *payload);

/* A name and a password, owned. */
struct git_login {
    char *user;
    char *password;
};

/* Frees what LOGIN holds. */
void git_login_release(struct git_login *login);

/* Looks HOST up in netrc TEXT; USER (may be NULL) must be the login where given. Whether found. */
bool netrc_find(const char *text, const char *host, const char *user, struct git_login *out);

/* Asks git's credential helpers for URL. Whether they had an answer; no git program, or no helper,
 * is none. */
bool git_helper_find(const struct git_url *url, struct git_login *out);

#endif
