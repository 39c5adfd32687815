/* Web identity: a token that the platform keeps fresh in a file (EKS, and CI systems with OIDC). */
#include <ctype.h>
#include <fcntl.h>
#include <string.h>

#include "aws/credentials_internal.h"
#include "aws/sts.h"
#include "base/file.h"
#include "base/memory.h"

enum { TOKEN_MAX = 20000 /* STS takes no longer one */ };

/* The token, the caller's. The file is replaced now and then: it is read at every fetch. */
static int read_token(const char *path, char **out, struct error *err)
{
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    if (file_read(AT_FDCWD, path, TOKEN_MAX, &text, NULL, err) != 0) {
        return error_wrap(err, "web identity token");
    }
    while (text.len > 0 && isspace((unsigned char)text.data[text.len - 1])) {
        text.data[--text.len] = '\0';
    }
    if (text.len == 0) {
        return error_set(err, ERR_AUTH, "%s: the web identity's token is empty", path);
    }
    *out = buf_take(&text);
    return 0;
}

/* VARIABLE, unless a profile was named as an argument; else the profile's setting NAME. */
static const char *setting(const struct aws_search *search, const char *variable, const char *name)
{
    const char *value = search->argument ? NULL : aws_variable(variable);
    return value ? value : aws_profile_get(search->profiles, search->profile, name);
}

int aws_from_web_identity(const struct aws_search *search, struct aws_keys *out, bool *found_out,
                          struct error *err)
{
    const struct aws_profiles *all = search->profiles;
    const char *profile = search->profile;
    bool by_environment = !search->argument && aws_variable("AWS_WEB_IDENTITY_TOKEN_FILE");
    const char *path = setting(search, "AWS_WEB_IDENTITY_TOKEN_FILE", "web_identity_token_file");
    if (!path) {
        return 0;
    }
    struct sts_role role = {
        .arn = setting(search, "AWS_ROLE_ARN", "role_arn"),
        .session = setting(search, "AWS_ROLE_SESSION_NAME", "role_session_name"),
        .duration = by_environment ? NULL : aws_profile_get(all, profile, "duration_seconds"),
    };
    if (!role.arn) {
        return error_set(err, ERR_AUTH, "%s is set without %s",
                         by_environment ? "AWS_WEB_IDENTITY_TOKEN_FILE" : "web_identity_token_file",
                         by_environment ? "AWS_ROLE_ARN" : "role_arn");
    }
    AUTO(mem_freep) char *token = NULL;
    if (read_token(path, &token, err) != 0) {
        return -1;
    }
    role.token = token;
    if (sts_assume(search, &role, NULL, out, err) != 0) {
        return -1;
    }
    out->source = mem_printf("web identity, role %s", role.arn);
    *found_out = true;
    return 0;
}
