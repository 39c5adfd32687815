/*
 * What the files about IAM Identity Center share: a profile's settings, and the token that buys its
 * role's keys.
 */
#ifndef SLIPWAY_AWS_SSO_INTERNAL_H
#define SLIPWAY_AWS_SSO_INTERNAL_H

#include "aws/credentials_internal.h"

/* What a profile says about SSO. All borrowed. */
struct sso {
    const char *profile;
    const char *session; /* NULL: the older way, where a token cannot be renewed */
    const char *start_url;
    const char *region;
    const char *account;
    const char *role;
};

/* The cached token, renewed (and kept, as AWS's own tools do) where it is about to end and its
 * session can be renewed without a person; the caller's. */
int sso_token(const struct aws_search *search, const struct sso *sso, char **token_out,
              struct error *err);

/* Sets the error that says WHY, and what a person has to do. Returns -1. */
int sso_log_in_again(const struct sso *sso, const char *why, struct error *err);

#endif
