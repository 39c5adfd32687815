#include "aws/credentials.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/memory.h"

/* What the providers share. */
struct search {
    const char *profile; /* never NULL */
    bool named;          /* the user named it, by argument or environment */
    bool argument;       /* by argument: the environment's keys do not count */
};

/* A provider finds keys (*FOUND_OUT), has none, or fails for good. */
typedef int (*provider)(const struct search *search, struct aws_keys *out, bool *found_out,
                        struct error *err);

void aws_keys_release(struct aws_keys *keys)
{
    mem_freep(&keys->id);
    mem_freep(&keys->secret);
    mem_freep(&keys->token);
    mem_freep(&keys->region);
    keys->provider = NULL;
}

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static int from_environment(const struct search *search, struct aws_keys *out, bool *found_out,
                            struct error *err)
{
    const char *id = variable("AWS_ACCESS_KEY_ID");
    const char *secret = variable("AWS_SECRET_ACCESS_KEY");
    if (search->argument || (!id && !secret)) {
        return 0;
    }
    if (!id || !secret) {
        return error_set(err, ERR_AUTH, "%s is set without %s",
                         id ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY",
                         id ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID");
    }
    const char *token =
        variable("AWS_SECURITY_TOKEN"); /* the older name, which botocore asks first */
    token = token ? token : variable("AWS_SESSION_TOKEN");
    *out = (struct aws_keys){.id = mem_strdup(id),
                             .secret = mem_strdup(secret),
                             .token = mem_strdup(token),
                             .provider = "environment"};
    *found_out = true;
    return 0;
}

/* LEN bytes of TEXT without white space at either end; the caller's. */
static char *trimmed(const char *text, size_t len)
{
    while (len > 0 && isspace((unsigned char)*text)) {
        text++;
        len--;
    }
    while (len > 0 && isspace((unsigned char)text[len - 1])) {
        len--;
    }
    return mem_strndup(text, len);
}

static void take_setting(const char *line, size_t len, struct aws_keys *out)
{
    const char *equals = memchr(line, '=', len);
    if (!equals) {
        return;
    }
    AUTO(mem_freep) char *name = trimmed(line, (size_t)(equals - line));
    AUTO(mem_freep) char *value = trimmed(equals + 1, len - (size_t)(equals + 1 - line));
    const struct {
        const char *name;
        char **slot;
    } settings[] = {{"aws_access_key_id", &out->id},
                    {"aws_secret_access_key", &out->secret},
                    {"aws_session_token", &out->token},
                    {"aws_security_token", &out->token},
                    {"region", &out->region}};
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        if (strcasecmp(name, settings[i].name) == 0 && *value) {
            free(*settings[i].slot);
            *settings[i].slot = MEM_STEAL(value);
            return;
        }
    }
}

bool aws_profile_find(const char *text, const char *profile, struct aws_keys *out)
{
    struct aws_keys keys = {.provider = "shared credentials file"};
    bool inside = false;
    bool found = false;
    while (*text) {
        size_t len = strcspn(text, "\n");
        if (*text == '[') {
            const char *end = memchr(text, ']', len);
            AUTO(mem_freep)
            char *name = trimmed(text + 1, end ? (size_t)(end - text - 1) : len - 1);
            inside = strcmp(name, profile) == 0;
            found = found || inside;
        } else if (inside && !strchr("#; \t\r\n", *text)) {
            /* Indented lines are nested settings of the line above. */
            take_setting(text, len, &keys);
        }
        text += len;
        text += *text == '\n';
    }
    if (found) {
        *out = keys;
    } else {
        aws_keys_release(&keys);
    }
    return found;
}

static int from_shared_file(const struct search *search, struct aws_keys *out, bool *found_out,
                            struct error *err)
{
    const char *named = variable("AWS_SHARED_CREDENTIALS_FILE");
    const char *home = variable("HOME");
    if (!named && !home) {
        return 0;
    }
    AUTO(mem_freep)
    char *path = named ? mem_strdup(named) : mem_printf("%s/.aws/credentials", home);
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    bool there = false;
    if (file_read(AT_FDCWD, path, LIMIT_TEXT_FILE_BYTES, &text, &there, err)) {
        err->code = ERR_AUTH;
        return -1;
    }
    struct aws_keys keys = {0};
    if (!there || !aws_profile_find(buf_text(&text), search->profile, &keys) ||
        (!keys.id && !keys.secret)) {
        aws_keys_release(&keys);
        return 0;
    }
    if (!keys.id || !keys.secret) {
        aws_keys_release(&keys);
        return error_set(err, ERR_AUTH, "%s: profile '%s' has half a pair of keys", path,
                         search->profile);
    }
    *out = keys;
    *found_out = true;
    return 0;
}

int aws_keys_find(const char *profile, struct aws_keys *out, bool *found_out, struct error *err)
{
    static const provider providers[] = {from_environment, from_shared_file};
    const char *from_env = variable("AWS_PROFILE");
    from_env = from_env ? from_env : variable("AWS_DEFAULT_PROFILE");
    const char *name = profile ? profile : from_env;
    struct search search = {
        .profile = name ? name : "default", .named = name != NULL, .argument = profile != NULL};
    *found_out = false;
    for (size_t i = 0; i < ARRAY_LEN(providers); i++) {
        if (providers[i](&search, out, found_out, err)) {
            return -1;
        }
        if (*found_out) {
            return 0;
        }
    }
    if (search.named) {
        return error_set(err, ERR_AUTH, "no AWS keys for the profile '%s'", search.profile);
    }
    return 0;
}
