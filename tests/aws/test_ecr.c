#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/credentials_internal.h"
#include "aws/ecr.h"
#include "aws/endpoint.h"
#include "aws/sts.h"
#include "base/memory.h"

/* facts, 1.1 */
static void test_ecr__hosts(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        const char *region;
        const char *domain;
        bool fips;
        bool dual_stack;
    } cases[] = {
        {"123456789012.dkr.ecr.eu-west-1.amazonaws.com", "eu-west-1", "amazonaws.com", 0, 0},
        {"123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1", "amazonaws.com",
         1, 0},
        {"123456789012.dkr-ecr.eu-west-1.on.aws", "eu-west-1", "on.aws", 0, 1},
        {"123456789012.dkr-ecr-fips.us-east-1.on.aws", "us-east-1", "on.aws", 1, 1},
        {"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "cn-north-1", "amazonaws.com.cn", 0,
         0},
        {"123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn", "cn-north-1",
         "on.amazonwebservices.com.cn", 0, 1},
        {"123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1", "amazonaws.eu", 0,
         0},
        {"123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov", "us-iso-east-1", "c2s.ic.gov", 0, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ecr_host h;
        assert_true(ecr_host_parse(cases[i].host, &h));
        assert_false(h.is_public);
        assert_string_equal(h.account, "123456789012");
        assert_string_equal(h.region, cases[i].region);
        assert_string_equal(h.domain, cases[i].domain);
        assert_int_equal(h.fips, cases[i].fips);
        assert_int_equal(h.dual_stack, cases[i].dual_stack);
    }
}

/* The password must go nowhere else. */
static void test_ecr__other_hosts(void **state)
{
    (void)state;
    static const char *const hosts[] = {
        "docker.io",
        "",
        "12345678901.dkr.ecr.eu-west-1.amazonaws.com",
        "1234567890123.dkr.ecr.eu-west-1.amazonaws.com",
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com.example.org",
        "123456789012.dkr.ecr.eu-west-1.amazonaws.org",
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com:5000",
        "123456789012.dkr.ecr.eu-west-1",
        "123456789012.dkr.ecr..amazonaws.com",
        "123456789012.dkr.ecr.eu/west.amazonaws.com",
        "123456789012.dkr.ecrx.eu-west-1.amazonaws.com",
        "x123456789012.dkr.ecr.eu-west-1.amazonaws.com",
        "public.ecr.aws.example.org",
    };
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        struct ecr_host h;
        assert_false(ecr_host_parse(hosts[i], &h));
    }
}

static void test_ecr__public_hosts(void **state)
{
    (void)state;
    struct ecr_host h;
    assert_true(ecr_host_parse("public.ecr.aws", &h));
    assert_true(h.is_public);
    assert_string_equal(h.region, "us-east-1");
    assert_true(ecr_host_parse("ecr-public.aws.com", &h));
}

static void test_endpoint__domains(void **state)
{
    (void)state;
    static const struct {
        const char *region;
        const char *domain;
    } cases[] = {{"eu-west-1", "amazonaws.com"},      {"cn-north-1", "amazonaws.com.cn"},
                 {"us-gov-west-1", "amazonaws.com"},  {"us-iso-east-1", "c2s.ic.gov"},
                 {"us-isob-east-1", "sc2s.sgov.gov"}, {"eusc-de-east-1", "amazonaws.eu"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_string_equal(aws_domain(cases[i].region), cases[i].domain);
    }
    assert_true(aws_is_region("ap-southeast-2"));
    assert_false(aws_is_region(""));
    assert_false(aws_is_region("evil.example.org/"));
    assert_false(aws_is_region("EU-WEST-1"));
}

static void test_endpoint__host_of_url(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        const char *host;
    } cases[] = {{"https://a.b/", "a.b"},       {"https://a.b:443/x", "a.b"},
                 {"https://a.b:80/", "a.b:80"}, {"http://127.0.0.1:4566/", "127.0.0.1:4566"},
                 {"http://a:80", "a"},          {"https://a?q", "a"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(mem_freep) char *host = aws_url_host(cases[i].url);
        assert_string_equal(host, cases[i].host);
    }
}

static void test_sts__elements(void **state)
{
    (void)state;
    static const char xml[] = "<R xmlns=\"x\"><A>1 &lt;2&gt; &amp;amp; &quot;q&quot; &x</A><B></B>"
                              "<C>open</R>";
    AUTO(mem_freep) char *a = sts_element(xml, "A");
    AUTO(mem_freep) char *b = sts_element(xml, "B");
    assert_string_equal(a, "1 <2> &amp; \"q\" &x");
    assert_string_equal(b, "");
    assert_null(sts_element(xml, "C"));
    assert_null(sts_element(xml, "D"));
    assert_null(sts_element("", "A"));
}

static void test_keys__times(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t time;
    } cases[] = {
        {"2026-01-15T12:34:56Z", 1768480496},
        {"2026-01-15T12:34:56.789Z", 1768480496},
        {"2026-01-15T12:34:56+00:00", 1768480496},
        {"2026-01-15T13:34:56+01:00", 1768480496},
        {"2026-01-15T13:34:56+0100", 1768480496},
        {"2026-01-15T07:04:56-05:30", 1768480496},
        {"2026-01-15T12:34:56UTC", 1768480496}, /* in SSO's cache */
        {"2026-01-15", 0},
        {"tomorrow", 0},
        {"2026-01-15T12:34:56 o'clock", 0},
        {"", 0},
        {NULL, 0},
        {"2026-01-01T12:34:05-11111111111111111111111", 0},
        {"2026-01-01T12:34:05+-5", 0},
        {"2026-01-01T12:34:05+01:99", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(aws_parse_time(cases[i].text), cases[i].time);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ecr__hosts),
        cmocka_unit_test(test_ecr__other_hosts),
        cmocka_unit_test(test_ecr__public_hosts),
        cmocka_unit_test(test_endpoint__domains),
        cmocka_unit_test(test_endpoint__host_of_url),
        cmocka_unit_test(test_sts__elements),
        cmocka_unit_test(test_keys__times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
