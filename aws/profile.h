/*
 * The settings that AWS's tools share: ~/.aws/config and ~/.aws/credentials (AWS_CONFIG_FILE,
 * AWS_SHARED_CREDENTIALS_FILE).
 *
 * Sections of the credentials file are profiles, "[NAME]"; those of the config file are
 * "[default]", "[profile NAME]", "[sso-session NAME]" and "[services NAME]". Names of settings do
 * not depend on case. Lines that are indented deeper than the setting above are its nested
 * settings: they are known as "SETTING.NAME".
 */
#ifndef SLIPWAY_AWS_PROFILE_H
#define SLIPWAY_AWS_PROFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* In which file a setting stands. */
enum aws_file { AWS_FILE_CONFIG, AWS_FILE_CREDENTIALS };

struct aws_setting {
    enum aws_file file;
    char *section; /* "profile NAME", "sso-session NAME", "services NAME" */
    char *name;    /* lower case; NULL marks that the section is there */
    char *value;
};

/* Both files as one list. `paths` are what was read or would be, NULL without a home folder. */
struct aws_profiles {
    struct aws_setting *items;
    size_t len;
    char *paths[2]; /* by enum aws_file */
};

/* Frees what PROFILES holds. */
void aws_profiles_release(struct aws_profiles *profiles);

/* Reads both files; one that is missing is empty. ERR_AUTH where one cannot be read. */
int aws_profiles_load(struct aws_profiles *out, struct error *err);

/* Adds what TEXT, the content of a FILE of that kind, has. For tests and fuzzing too. */
void aws_profiles_parse(struct aws_profiles *profiles, enum aws_file file, const char *text);

/* The setting NAME of PROFILE, borrowed; NULL if there is none. The credentials file counts before
 * the config file, as with AWS's own tools. */
const char *aws_profile_get(const struct aws_profiles *profiles, const char *profile,
                            const char *name);

/* As aws_profile_get, of one file only. */
const char *aws_profile_get_from(const struct aws_profiles *profiles, enum aws_file file,
                                 const char *profile, const char *name);

/* The setting NAME of "[sso-session SESSION]", borrowed. */
const char *aws_sso_session_get(const struct aws_profiles *profiles, const char *session,
                                const char *name);

/* The setting NAME ("ecr.endpoint_url") of "[services SERVICES]", borrowed. */
const char *aws_services_get(const struct aws_profiles *profiles, const char *services,
                             const char *name);

/* Whether either file has PROFILE. */
bool aws_profile_exists(const struct aws_profiles *profiles, const char *profile);

#endif
