#include "aws/codecommit.h"

#include <string.h>

#include "aws/sigv4.h"
#include "base/buf.h"
#include "base/memory.h"

void codecommit_password(const struct aws_keys *keys, const char *host, const char *path,
                         const char *region, time_t now, char **user_out, char **password_out)
{
    char timestamp[SIGV4_TIME_SIZE];
    sigv4_time(now, timestamp);
    timestamp[15] = '\0'; /* the signed time has no "Z"; the password has one */
    AUTO(mem_freep)
    char *canonical = mem_printf("GIT\n%s\n\nhost:%s\n\nhost\n", path, host);
    struct digest digest;
    char hex[DIGEST_HEX_SIZE];
    digest_of(canonical, strlen(canonical), &digest);
    AUTO(mem_freep)
    char *to_sign = mem_printf("AWS4-HMAC-SHA256\n%s\n%.8s/%s/codecommit/aws4_request\n%s",
                               timestamp, timestamp, region, digest_hex(&digest, hex));
    uint8_t key[DIGEST_BYTES];
    struct digest signature;
    sigv4_key(keys->secret, timestamp, region, "codecommit", key);
    sigv4_hmac(key, sizeof key, to_sign, strlen(to_sign), signature.bytes);
    *user_out = keys->token ? mem_printf("%s%%%s", keys->id, keys->token) : mem_strdup(keys->id);
    *password_out = mem_printf("%sZ%s", timestamp, digest_hex(&signature, hex));
}
