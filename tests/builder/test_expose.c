#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/memory.h"
#include "builder/expose.h"

static void test_expose__reads_what_buildkit_reads(void **state)
{
    (void)state;
    static const struct {
        const char *word;
        unsigned first, last;
        const char *protocol;
        bool odd_case, mapped;
    } cases[] = {
        {"80", 80, 80, "tcp", false, false},
        {"80/", 80, 80, "tcp", false, false},
        {"+80-+081", 80, 81, "tcp", false, false},
        {"0/udp", 0, 0, "udp", false, false},
        {"65535/SCTP", 65535, 65535, "sctp", true, false},
        {"8000-8010/Udp", 8000, 8010, "udp", true, false},
        {"8080:80", 80, 80, "tcp", false, true},
        {":80", 80, 80, "tcp", false, false},
        {"9000-9001:80-81/tcp", 80, 81, "tcp", false, true},
        {"9000-9100:80", 80, 80, "tcp", false, true},
        {"127.0.0.1:8080:80/TCP", 80, 80, "tcp", true, true},
        {"127.0.0.1::80", 80, 80, "tcp", false, true},
        {"[::1]:8080:80", 80, 80, "tcp", false, true},
        {"::1:8080:80", 80, 80, "tcp", false, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = {0};
        struct exposed out = {0};
        assert_int_equal(expose_parse(cases[i].word, &out, &err), 0);
        assert_int_equal(out.first, cases[i].first);
        assert_int_equal(out.last, cases[i].last);
        assert_string_equal(out.protocol, cases[i].protocol);
        assert_int_equal(out.odd_case, cases[i].odd_case);
        assert_int_equal(out.mapped, cases[i].mapped);
    }
}

static void test_expose__refuses_the_rest(void **state)
{
    (void)state;
    static const struct {
        const char *word;
        const char *text;
    } cases[] = {
        {"", "EXPOSE : not a port"},
        {"http", "EXPOSE http: not a port"},
        {"65536", "not a port between 0 and 65535"},
        {"99999999999999999999", "not a port"},
        {"90-80", "not a port"},
        {"80-", "not a port"},
        {"80 ", "not a port"},
        {"80/http", "the protocol is not tcp, udp or sctp"},
        {"80/tcp/udp", "the protocol is not"},
        {"x:80", "'x' is no port"},
        {"1.2.3:80:80", "'1.2.3' is no IP address"},
        {"9000-9002:80-81", "differ in length"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = {0};
        struct exposed out = {.first = 7};
        assert_int_equal(expose_parse(cases[i].word, &out, &err), -1);
        assert_int_equal(err.code, ERR_USAGE);
        assert_non_null(strstr(err.text, cases[i].text));
        assert_int_equal(out.first, 7);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expose__reads_what_buildkit_reads),
        cmocka_unit_test(test_expose__refuses_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
