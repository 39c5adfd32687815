/* Keys as documents carry them. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "aws/credentials_internal.h"
#include "base/memory.h"

int64_t aws_parse_time(const char *text)
{
    struct tm tm = {0};
    const char *rest = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
    if (!rest) {
        return 0;
    }
    if (*rest == '.') {
        rest += 1 + strspn(rest + 1, "0123456789");
    }
    long offset = 0;
    if (*rest == '+' || *rest == '-') {
        char *end = NULL;
        long hours = strtol(rest + 1, &end, 10);
        long minutes = end && *end == ':' ? strtol(end + 1, &end, 10) : 0;
        if (hours < 0 || hours > 9959 || minutes < 0 || minutes > 59) {
            return 0;
        }
        if (hours > 99) { /* "+0130" */
            minutes = hours % 100;
            hours /= 100;
        }
        offset = (hours * 60 + minutes) * 60 * (*rest == '-' ? -1 : 1);
    } else if (strcmp(rest, "Z") != 0 && strcmp(rest, "UTC") != 0 && *rest) {
        return 0;
    }
    return timegm(&tm) - offset;
}

int aws_keys_check(const struct aws_keys *keys, const char *name, struct error *err)
{
    const char *const values[] = {keys->id, keys->secret, keys->token};
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        for (const char *p = values[i] ? values[i] : ""; *p; p++) {
            if (!isgraph((unsigned char)*p)) {
                return error_set(err, ERR_AUTH,
                                 "AWS credentials from %s: %s has a character that no key has",
                                 name,
                                 i == 0   ? "the access key id"
                                 : i == 1 ? "the secret access key"
                                          : "the session token");
            }
        }
    }
    return 0;
}

int aws_keys_from_json(const json_t *root, const char *token, const char *name,
                       struct aws_keys *out, struct error *err)
{
    const char *id = json_get_string(root, "AccessKeyId");
    const char *secret = json_get_string(root, "SecretAccessKey");
    const char *session = json_get_string(root, token);
    const char *end = json_get_string(root, "Expiration");
    if (!id || !*id || !secret || !*secret) {
        return error_set(err, ERR_AUTH, "%s: the answer lacks %s", name,
                         id && *id ? "SecretAccessKey" : "AccessKeyId");
    }
    int64_t expires_at = aws_parse_time(end);
    if (end && !expires_at) {
        return error_set(err, ERR_AUTH, "%s: the answer's Expiration '%.40s' is no time", name,
                         end);
    }
    *out = (struct aws_keys){.id = mem_strdup(id),
                             .secret = mem_strdup(secret),
                             .token = session && *session ? mem_strdup(session) : NULL,
                             .source = mem_strdup(name),
                             .expires_at = expires_at};
    return 0;
}
