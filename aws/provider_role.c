/* A profile's role: the keys of another profile, or of the machine, buy those of the role. */
#include <stdlib.h>
#include <string.h>

#include "aws/credentials_internal.h"
#include "aws/sts.h"
#include "base/memory.h"

/* The providers that a source profile may use: all that read profiles. */
static aws_provider *const profile_providers[] = {aws_from_role,    aws_from_web_identity,
                                                  aws_from_sso,     aws_from_credentials_file,
                                                  aws_from_process, aws_from_config_file};

static int ask_all(aws_provider *const *list, size_t len, const struct aws_search *search,
                   struct aws_keys *out, struct error *err)
{
    bool found = false;
    for (size_t i = 0; i < len && !found; i++) {
        if (list[i](search, out, &found, err) != 0) {
            return -1;
        }
    }
    return found ? 0
                 : error_set(err, ERR_AUTH, "the AWS profile '%s' has no credentials",
                             search->profile);
}

static bool has_keys(const struct aws_search *search)
{
    return aws_profile_get(search->profiles, search->profile, "aws_access_key_id") ||
           aws_profile_get(search->profiles, search->profile, "aws_secret_access_key");
}

/* Keys that stand beside a role are meant before it; a profile that names itself has some. */
static int from_source_profile(const struct aws_search *search, const char *name,
                               struct aws_keys *out, struct error *err)
{
    struct aws_search source = *search;
    source.profile = name;
    source.argument = true;
    source.depth++;
    if (!aws_profile_exists(search->profiles, name)) {
        return error_set(err, ERR_AUTH,
                         "the AWS profile '%s' names the source_profile '%s', which does not exist",
                         search->profile, name);
    }
    if (source.depth > AWS_PROFILE_DEPTH) {
        return error_set(err, ERR_AUTH, "the AWS profile '%s': its source_profiles go in a circle",
                         search->profile);
    }
    const size_t first = has_keys(&source) ? 1 : 0;
    return ask_all(profile_providers + first, ARRAY_LEN(profile_providers) - first, &source, out,
                   err);
}

static int from_credential_source(const struct aws_search *search, const char *name,
                                  struct aws_keys *out, struct error *err)
{
    static const struct {
        const char *name;
        aws_provider *provider;
    } sources[] = {{"Environment", aws_from_environment},
                   {"EcsContainer", aws_from_container},
                   {"Ec2InstanceMetadata", aws_from_metadata}};
    struct aws_search source = *search;
    source.argument = false;
    for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
        bool found = false;
        if (strcmp(name, sources[i].name) != 0) {
            continue;
        }
        if (sources[i].provider(&source, out, &found, err) != 0) {
            return -1;
        }
        return found ? 0
                     : error_set(err, ERR_AUTH,
                                 "the AWS profile '%s' takes its keys from credential_source = %s, "
                                 "which has none",
                                 search->profile, name);
    }
    return error_set(err, ERR_AUTH,
                     "the AWS profile '%s': credential_source = %s: expected Environment, "
                     "EcsContainer or Ec2InstanceMetadata",
                     search->profile, name);
}

static int source_keys(const struct aws_search *search, struct aws_keys *out, struct error *err)
{
    const struct aws_profiles *all = search->profiles;
    const char *profile = aws_profile_get(all, search->profile, "source_profile");
    const char *source = aws_profile_get(all, search->profile, "credential_source");
    if (!profile == !source) {
        return error_set(err, ERR_AUTH,
                         "the AWS profile '%s' has a role_arn and %s source_profile %s "
                         "credential_source: exactly one is needed",
                         search->profile, profile ? "both" : "neither", profile ? "and" : "nor");
    }
    return profile ? from_source_profile(search, profile, out, err)
                   : from_credential_source(search, source, out, err);
}

int aws_from_role(const struct aws_search *search, struct aws_keys *out, bool *found_out,
                  struct error *err)
{
    const struct aws_profiles *all = search->profiles;
    const char *profile = search->profile;
    struct sts_role role = {
        .arn = aws_profile_get(all, profile, "role_arn"),
        .session = aws_profile_get(all, profile, "role_session_name"),
        .external_id = aws_profile_get(all, profile, "external_id"),
        .duration = aws_profile_get(all, profile, "duration_seconds"),
    };
    if (!role.arn || aws_profile_get(all, profile, "web_identity_token_file")) {
        return 0;
    }
    if (aws_profile_get(all, profile, "mfa_serial")) {
        return error_set(err, ERR_AUTH,
                         "the AWS profile '%s' wants a code of an MFA device, for which nobody can "
                         "be asked here: put the keys of `aws configure export-credentials "
                         "--profile %s` into the environment",
                         profile, profile);
    }
    AUTO(aws_keys_release) struct aws_keys keys = {0};
    if (source_keys(search, &keys, err) != 0 || sts_assume(search, &role, &keys, out, err) != 0) {
        return -1;
    }
    out->source =
        mem_printf("the role %s (profile '%s', by the keys of %s)", role.arn, profile, keys.source);
    *found_out = true;
    return 0;
}
