#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

#include "base/memory.h"
#include "builder/sandbox_internal.h"

static bool is_guarded(const char *address)
{
    bool six = strchr(address, ':') != NULL;
    struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_port = htons(80)};
    struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_port = htons(80)};
    assert_int_equal(inet_pton(six ? AF_INET6 : AF_INET, address,
                               six ? (void *)&a6.sin6_addr : (void *)&a4.sin_addr),
                     1);
    return six ? sandbox_is_endpoint(&a6, sizeof a6) : sandbox_is_endpoint(&a4, sizeof a4);
}

static void test_is_endpoint__those_that_hand_out_keys(void **state)
{
    static const char *const guarded[] = {
        "169.254.169.254",      "169.254.170.2",         "169.254.170.23", "::ffff:169.254.169.254",
        "::ffff:169.254.170.2", "::ffff:169.254.170.23", "fd00:ec2::254",  "fd00:ec2::23"};
    static const char *const others[] = {"169.254.169.253", /* the resolver of a VPC */
                                         "127.0.0.1",        "254.169.254.169",   "::1",
                                         "::ffff:127.0.0.1", "::169.254.169.254", "fd00:ec2::253",
                                         "fd00:ec2:1::254"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(guarded); i++) {
        if (!is_guarded(guarded[i])) {
            fail_msg("%s is within reach", guarded[i]);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        if (is_guarded(others[i])) {
            fail_msg("%s is out of reach", others[i]);
        }
    }
}

static void test_is_endpoint__takes_any_length(void **state)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6};
    (void)state;
    inet_pton(AF_INET6, "fd00:ec2::254", &address.sin6_addr);
    for (size_t len = 0; len < sizeof address; len++) {
        AUTO(mem_freep) char *exact = mem_dup(&address, len); /* a sanitizer watches its end */
        sandbox_is_endpoint(exact, len);
    }
    assert_true(sandbox_is_endpoint(&address, sizeof address));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_is_endpoint__those_that_hand_out_keys),
        cmocka_unit_test(test_is_endpoint__takes_any_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
