/*
 * What the providers of credentials share.
 */
#ifndef SLIPWAY_AWS_CREDENTIALS_INTERNAL_H
#define SLIPWAY_AWS_CREDENTIALS_INTERNAL_H

#include "aws/credentials.h"
#include "aws/profile.h"
#include "base/buf.h"
#include "base/json.h"

enum { AWS_PROFILE_DEPTH = 10 /* source_profile naming another and so on */ };

/* A search for keys. All borrowed. */
struct aws_search {
    struct http_client *client;
    const struct aws_profiles *profiles;
    const char *profile; /* never NULL */
    bool argument;       /* the user named it on the command line or in a URL: the environment's
                            keys do not count */
    unsigned depth;      /* of source_profile */
};

/* Finds keys (*FOUND_OUT), has no settings (neither), or fails. OUT is zero-initialised. */
typedef int aws_provider(const struct aws_search *search, struct aws_keys *out, bool *found_out,
                         struct error *err);

aws_provider aws_from_environment;
aws_provider aws_from_role;
aws_provider aws_from_web_identity;
aws_provider aws_from_sso;
aws_provider aws_from_credentials_file;
aws_provider aws_from_process;
aws_provider aws_from_config_file;
aws_provider aws_from_container;
aws_provider aws_from_metadata;

/* The region that the machine's metadata service tells; NULL: none. */
int aws_metadata_region(const struct aws_search *search, char **region_out, struct error *err);

/* AWS_REGION, AWS_DEFAULT_REGION, the profile's region; of a profile that was named as an argument
 * its own first. Borrowed; NULL: nobody says. */
const char *aws_search_region(const struct aws_search *search);

/* As aws_identity_endpoint. */
char *aws_configured_endpoint(const struct aws_search *search, const char *service);

/* A service, for aws_service_url(). */
struct aws_service {
    const char *variable; /* AWS_ENDPOINT_URL_<VARIABLE> */
    const char *name;     /* the beginning of its host's name: "sts" */
    const char *fips;     /* the same of the validated one */
};

/* Where SERVICE answers in REGION: what is configured, else its own name, of the validated or
 * dual-stack kind where that is wished for. No slash at its end. The caller's. */
char *aws_service_url(const struct aws_search *search, const struct aws_service *service,
                      const char *region);

/* Variable NAME of the environment; NULL where it is missing or empty. */
const char *aws_variable(const char *name);
/* Whether it is "true" (in any case) or "1". */
bool aws_variable_is_true(const char *name);

/* Whether VARIABLE, or without it the profile's setting NAME, is "true". */
bool aws_setting_is_true(const struct aws_search *search, const char *variable, const char *name);

/* As aws_identity_wishes. */
void aws_search_wishes(const struct aws_search *search, bool *fips_out, bool *dual_out);

/* PATH with "~" at its start replaced by $HOME, SEPARATOR and REST behind; NULL where there is no
 * HOME. The caller's. */
char *aws_home_path(const char *path, const char *separator, const char *rest);

/* Unix time of "2026-01-15T12:34:56Z" (a fraction and "+00:00" are understood); 0 for what is none.
 */
int64_t aws_parse_time(const char *text);

/* The keys of a JSON document as the container's endpoint, the metadata service and
 * credential_process give them; TOKEN is the member's name. ERR_AUTH where one is missing; NAME is
 * for messages. */
int aws_keys_from_json(const json_t *root, const char *token, const char *name,
                       struct aws_keys *out, struct error *err);

/* Whether ID and SECRET may be sent in a header: printable, no blanks. ERR_AUTH with NAME. */
int aws_keys_check(const struct aws_keys *keys, const char *name, struct error *err);

#endif
