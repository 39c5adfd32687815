/*
 * Who we are to AWS, found as AWS's own tools find it (botocore's order):
 *
 *     environment; a profile's role (role_arn with source_profile or credential_source); web
 *     identity (AWS_WEB_IDENTITY_TOKEN_FILE, or a profile's); SSO's cached token; the shared
 *     credentials file; credential_process; keys in the config file; the container's endpoint
 *     (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, _FULL_URI: CodeBuild, ECS, EKS Pod Identity); the
 *     machine's metadata service (IMDSv2)
 *
 *     struct aws_identity *who = aws_identity_new(client, NULL);
 *     AUTO(aws_keys_release) struct aws_keys keys = {0};
 *     aws_identity_keys(who, &keys, &found, err)
 *
 * The first provider that has settings counts, and an error in it is the end: keys of somebody else
 * than was meant are never used. Keys are fetched when first asked for, and again before they
 * expire; all functions may be called from several threads. Nothing here is ever written to disk or
 * into a message but where the keys come from and the key's id.
 *
 * How to add a provider: a file provider_NAME.c with one function of the type in
 * credentials_internal.h, and a line in the table of credentials.c.
 */
#ifndef SLIPWAY_AWS_CREDENTIALS_H
#define SLIPWAY_AWS_CREDENTIALS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/http.h"

/* Access keys. All strings are owned. */
struct aws_keys {
    char *id;
    char *secret;
    char *token;        /* of temporary keys, else NULL */
    char *source;       /* where they come from, for messages: "environment" */
    int64_t expires_at; /* Unix time; 0: never, as far as is known */
};

/* Frees what KEYS holds, the secrets wiped first, and leaves it empty. */
void aws_keys_release(struct aws_keys *keys);

/* Copies FROM into OUT, which is overwritten; the caller releases it. */
void aws_keys_copy(const struct aws_keys *from, struct aws_keys *out);

struct aws_identity;

/* CLIENT is borrowed (NULL: one of its own is opened when needed). PROFILE is what the user named,
 * which leaves the environment's keys out; NULL: AWS_PROFILE, AWS_DEFAULT_PROFILE, else "default".
 * Reads nothing yet. */
struct aws_identity *aws_identity_new(struct http_client *client, const char *profile);
/* Cleanup for AUTO(). */
void aws_identity_freep(struct aws_identity **identity);

/* A copy of the keys, the caller's. *FOUND_OUT is false where no provider has any. ERR_AUTH where
 * the provider that counts fails, and for a profile that was named and is not there. */
int aws_identity_keys(struct aws_identity *identity, struct aws_keys *out, bool *found_out,
                      struct error *err);

/* As aws_identity_keys; none at all is ERR_AUTH with all places that were looked at. */
int aws_identity_need_keys(struct aws_identity *identity, struct aws_keys *out, struct error *err);

/* After AWS refused KEYS: fetches again. *CHANGED_OUT is whether there are other keys now. */
int aws_identity_renew(struct aws_identity *identity, const struct aws_keys *refused,
                       bool *changed_out, struct error *err);

/* AWS_REGION, AWS_DEFAULT_REGION, the profile's region, the machine's; NULL where nobody says. The
 * caller's. A profile given by name is asked before the environment. */
int aws_identity_region(struct aws_identity *identity, char **region_out, struct error *err);

/* As aws_identity_region for PROFILE (NULL: the one that the environment names), from environment
 * and files only: opens no socket. ERR_AUTH for a profile that is named and not there. */
int aws_profile_region(const char *profile, char **region_out, struct error *err);

/* The client that requests of this identity go through, borrowed. */
int aws_identity_client(struct aws_identity *identity, struct http_client **out, struct error *err);

/* The URL in AWS_ENDPOINT_URL_<SERVICE> ("ECR"), AWS_ENDPOINT_URL or the profile's endpoint_url,
 * without a slash at its end; NULL where there is none, or AWS_IGNORE_CONFIGURED_ENDPOINT_URLS is
 * true. The caller's. */
int aws_identity_endpoint(struct aws_identity *identity, const char *service, char **url_out,
                          struct error *err);

/* Whether the user wants the services' validated (FIPS) or dual-stack addresses:
 * AWS_USE_FIPS_ENDPOINT, AWS_USE_DUALSTACK_ENDPOINT, and the profile's settings of these names. */
int aws_identity_wishes(struct aws_identity *identity, bool *fips_out, bool *dual_out,
                        struct error *err);

/* All in one, for who asks once: the keys of PROFILE. */
int aws_keys_find(const char *profile, struct aws_keys *out, bool *found_out, struct error *err);

#endif
