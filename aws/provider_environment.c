/* The environment, and what reading it needs. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "aws/credentials_internal.h"
#include "base/memory.h"

const char *aws_variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

bool aws_variable_is_true(const char *name)
{
    const char *value = aws_variable(name);
    return value && (strcasecmp(value, "true") == 0 || strcmp(value, "1") == 0);
}

char *aws_home_path(const char *path, const char *separator, const char *rest)
{
    const char *home = aws_variable("HOME");
    if (*path != '~') {
        return mem_printf("%s%s%s", path, separator, rest);
    }
    return home ? mem_printf("%s%s%s%s", home, path + 1, separator, rest) : NULL;
}

bool aws_setting_is_true(const struct aws_search *search, const char *variable, const char *name)
{
    const char *setting = aws_profile_get(search->profiles, search->profile, name);
    return aws_variable(variable) ? aws_variable_is_true(variable)
                                  : setting && strcasecmp(setting, "true") == 0;
}

/* The endpoint_url of SERVICE in the profile's [services ...]; borrowed. */
static const char *service_endpoint(const struct aws_search *search, const char *service)
{
    const char *services = aws_profile_get(search->profiles, search->profile, "services");
    AUTO(mem_freep) char *name = mem_printf("%s.endpoint_url", service);
    for (char *c = name; *c; c++) {
        *c = (char)tolower((unsigned char)*c);
    }
    return services ? aws_services_get(search->profiles, services, name) : NULL;
}

char *aws_configured_endpoint(const struct aws_search *search, const char *service)
{
    if (aws_setting_is_true(search, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
                            "ignore_configured_endpoint_urls")) {
        return NULL;
    }
    AUTO(mem_freep) char *name = mem_printf("AWS_ENDPOINT_URL_%s", service);
    const char *value = aws_variable(name);
    value = value ? value : aws_variable("AWS_ENDPOINT_URL");
    value = value ? value : service_endpoint(search, service);
    value = value ? value : aws_profile_get(search->profiles, search->profile, "endpoint_url");
    if (!value) {
        return NULL;
    }
    size_t len = strlen(value);
    while (len > 0 && value[len - 1] == '/') {
        len--;
    }
    return mem_strndup(value, len);
}

int aws_from_environment(const struct aws_search *search, struct aws_keys *out, bool *found_out,
                         struct error *err)
{
    const char *id = aws_variable("AWS_ACCESS_KEY_ID");
    const char *secret = aws_variable("AWS_SECRET_ACCESS_KEY");
    /* The id alone decides, as with AWS's own tools. */
    if (search->argument || !id) {
        return 0;
    }
    if (!secret) {
        return error_set(err, ERR_AUTH, "AWS_ACCESS_KEY_ID is set without AWS_SECRET_ACCESS_KEY");
    }
    /* The older name, which botocore asks first. */
    const char *token = aws_variable("AWS_SECURITY_TOKEN");
    token = token ? token : aws_variable("AWS_SESSION_TOKEN");
    *out = (struct aws_keys){.id = mem_strdup(id),
                             .secret = mem_strdup(secret),
                             .token = mem_strdup(token),
                             .source = mem_strdup("the environment (AWS_ACCESS_KEY_ID)")};
    *found_out = true;
    return 0;
}
