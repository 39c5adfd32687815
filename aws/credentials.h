/*
 * Who we are to AWS. Today the environment and the shared credentials file; the whole chain
 * (assumed roles, web identity, SSO, processes, the container's endpoint, instance metadata) fits
 * behind the same function as further providers.
 */
#ifndef SLIPWAY_AWS_CREDENTIALS_H
#define SLIPWAY_AWS_CREDENTIALS_H

#include <stdbool.h>

#include "base/error.h"

/* Access keys. All strings are owned. */
struct aws_keys {
    char *id;
    char *secret;
    char *token;  /* of temporary keys, else NULL */
    char *region; /* what the profile says, else NULL */
    const char *
        provider; /* where they come from, for messages: "environment", "shared credentials file" */
};
void aws_keys_release(struct aws_keys *keys);

/* Asks the providers in order; the first that has settings counts, and an error in it is the end.
 * PROFILE is what the user named, which leaves the environment's keys out; NULL: AWS_PROFILE,
 * AWS_DEFAULT_PROFILE, else "default". *FOUND_OUT is false where nobody has any. ERR_AUTH for half
 * a pair of keys, and for a profile that was named and is not there. */
int aws_keys_find(const char *profile, struct aws_keys *out, bool *found_out, struct error *err);

/* The keys of PROFILE in TEXT (a shared credentials file), and its region. Whether the profile is
 * there; OUT may lack keys even so. */
bool aws_profile_find(const char *text, const char *profile, struct aws_keys *out);

#endif
