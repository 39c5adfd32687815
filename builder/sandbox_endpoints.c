/*
 * What a RUN must not reach although its network is the machine's: the addresses at which AWS hands
 * out the keys of the machine, task or build (link-local, so they are nobody else's). Who keeps it
 * from there is sandbox_connect.c.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/memory.h"
#include "builder/sandbox_internal.h"

/* EC2's metadata service; the endpoints of ECS (CodeBuild, Fargate) and of EKS Pod Identity. */
static const uint32_t addresses4[] = {0xA9FEA9FE, 0xA9FEAA02, 0xA9FEAA17};
/* fd00:ec2::254 and fd00:ec2::23 */
static const uint32_t addresses6[] = {0x254, 0x23};
enum { UNIQUE_LOCAL = 0xFD000EC2, MAPPED = 0xFFFF };

static bool is_one_of(uint32_t address, const uint32_t *addresses, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (address == addresses[i]) {
            return true;
        }
    }
    return false;
}

bool sandbox_is_endpoint(const void *address, size_t len)
{
    struct sockaddr_in v4 = {0};
    struct sockaddr_in6 v6 = {0};
    uint32_t words[4];
    if (len >= sizeof v4) {
        memcpy(&v4, address, sizeof v4);
    }
    if (v4.sin_family == AF_INET) {
        return is_one_of(ntohl(v4.sin_addr.s_addr), addresses4, ARRAY_LEN(addresses4));
    }
    if (v4.sin_family != AF_INET6) {
        return false;
    }
    memcpy(&v6, address, len < sizeof v6 ? len : sizeof v6);
    memcpy(words, &v6.sin6_addr, sizeof words);
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        words[i] = ntohl(words[i]);
    }
    if (words[1] != 0) {
        return false;
    }
    return words[0] == UNIQUE_LOCAL
               ? words[2] == 0 && is_one_of(words[3], addresses6, ARRAY_LEN(addresses6))
               : words[0] == 0 && words[2] == MAPPED &&
                     is_one_of(words[3], addresses4, ARRAY_LEN(addresses4));
}

bool sandbox_is_key_address(const char *ip)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    return inet_pton(AF_INET, ip, &v4.sin_addr) == 1
               ? sandbox_is_endpoint(&v4, sizeof v4)
               : inet_pton(AF_INET6, ip, &v6.sin6_addr) == 1 && sandbox_is_endpoint(&v6, sizeof v6);
}
