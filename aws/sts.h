/*
 * STS: keys of a role, for keys of our own or for a token of somebody whom AWS trusts.
 */
#ifndef SLIPWAY_AWS_STS_H
#define SLIPWAY_AWS_STS_H

#include "aws/credentials_internal.h"

/* A role to take. All borrowed. */
struct sts_role {
    const char *arn;
    const char *session;     /* NULL: one is made */
    const char *external_id; /* NULL: none */
    const char *duration;    /* seconds, as the profile has it; NULL: AWS's default */
    const char *token;       /* a web identity's token; NULL: KEYS sign */
};

/* AssumeRole signed with KEYS, or AssumeRoleWithWebIdentity without. OUT lacks `source`. ERR_AUTH
 * with AWS's own words. */
int sts_assume(const struct aws_search *search, const struct sts_role *role,
               const struct aws_keys *keys, struct aws_keys *out, struct error *err);

/* The text of the first element NAME in XML, unescaped; the caller's, NULL if there is none. For
 * tests and fuzzing too. */
char *sts_element(const char *xml, const char *name);

#endif
