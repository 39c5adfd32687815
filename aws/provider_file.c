/* Keys that stand in the shared files. */
#include "aws/credentials_internal.h"
#include "base/memory.h"

static int from_file(const struct aws_search *search, enum aws_file file, struct aws_keys *out,
                     bool *found_out, struct error *err)
{
    const struct aws_profiles *all = search->profiles;
    const char *profile = search->profile;
    const char *id = aws_profile_get_from(all, file, profile, "aws_access_key_id");
    const char *secret = aws_profile_get_from(all, file, profile, "aws_secret_access_key");
    const char *token = aws_profile_get_from(all, file, profile, "aws_security_token");
    token = token ? token : aws_profile_get_from(all, file, profile, "aws_session_token");
    /* The id alone decides, as with AWS's own tools. */
    if (!id) {
        return 0;
    }
    if (!secret) {
        return error_set(err, ERR_AUTH,
                         "%s: profile '%s' has aws_access_key_id without aws_secret_access_key",
                         all->paths[file], profile);
    }
    *out = (struct aws_keys){
        .id = mem_strdup(id),
        .secret = mem_strdup(secret),
        .token = mem_strdup(token),
        .source = mem_printf("%s, profile '%s'", all->paths[file], profile),
    };
    *found_out = true;
    return 0;
}

int aws_from_credentials_file(const struct aws_search *search, struct aws_keys *out,
                              bool *found_out, struct error *err)
{
    return from_file(search, AWS_FILE_CREDENTIALS, out, found_out, err);
}

int aws_from_config_file(const struct aws_search *search, struct aws_keys *out, bool *found_out,
                         struct error *err)
{
    return from_file(search, AWS_FILE_CONFIG, out, found_out, err);
}
