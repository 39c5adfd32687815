#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "aws/codecommit.h"
#include "aws/sigv4.h"
#include "base/memory.h"

/* 2026-01-15 12:34:56 UTC */
static const time_t now = 1768480496;

static struct aws_keys keys(const char *token)
{
    return (struct aws_keys){.id = (char *)"AKIDEXAMPLE",
                             .secret = (char *)"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
                             .token = (char *)token};
}

static void signature_is(const struct sigv4_request *request, const char *token,
                         const char *expected)
{
    struct aws_keys k = keys(token);
    AUTO(strlist_release) struct strlist out = {0};
    sigv4_sign(request, &k, now, &out);
    assert_int_equal(out.len, token ? 3 : 2);
    assert_string_equal(out.items[0], "X-Amz-Date: 20260115T123456Z");
    const char *got = strstr(out.items[out.len - 1], "Signature=");
    assert_non_null(got);
    assert_string_equal(got + strlen("Signature="), expected);
}

static void test_sigv4__ecr_get_authorization_token(void **state)
{
    (void)state;
    AUTO(strlist_release) struct strlist headers = {0};
    strlist_add(&headers, "X-Amz-Target: "
                          "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken");
    strlist_add(&headers, "Content-Type:   application/x-amz-json-1.1 ");
    struct sigv4_request request = {.method = "POST",
                                    .host = "api.ecr.eu-west-1.amazonaws.com",
                                    .path = "/",
                                    .headers = &headers,
                                    .body = "{}",
                                    .body_len = 2,
                                    .region = "eu-west-1",
                                    .service = "ecr"};
    signature_is(&request, NULL,
                 "4312a21d83acb51548b61b3fac58a14e6adc35dca202ad365fc52bc2041270df");
    signature_is(&request, "FAKE/session+token==",
                 "81cbf89246e173015d3224466d5e36fdc54ea58bf2024c3d1678f76607fcbc19");
    struct aws_keys k = keys(NULL);
    AUTO(strlist_release) struct strlist out = {0};
    sigv4_sign(&request, &k, now, &out);
    assert_string_equal(
        out.items[1], "Authorization: AWS4-HMAC-SHA256 "
                      "Credential=AKIDEXAMPLE/20260115/eu-west-1/ecr/aws4_request, "
                      "SignedHeaders=content-type;host;x-amz-date;x-amz-target, "
                      "Signature=4312a21d83acb51548b61b3fac58a14e6adc35dca202ad365fc52bc2041270df");
}

static void test_sigv4__sts(void **state)
{
    (void)state;
    AUTO(strlist_release) struct strlist headers = {0};
    strlist_add(&headers, "Content-Type: application/x-www-form-urlencoded; charset=utf-8");
    const char *who = "Action=GetCallerIdentity&Version=2011-06-15";
    struct sigv4_request request = {.method = "POST",
                                    .host = "sts.eu-west-1.amazonaws.com",
                                    .headers = &headers,
                                    .body = who,
                                    .body_len = strlen(who),
                                    .region = "eu-west-1",
                                    .service = "sts"};
    signature_is(&request, "FAKE/session+token==",
                 "0af684d3aea1c41b6be2fcf148ba800cbbd8fbbec3331b9e8c6b3b770062d384");
    const char *assume = "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A"
                         "123456789012%3Arole%2Fdeploy&RoleSessionName=slipway";
    request.host = "sts.us-east-1.amazonaws.com";
    request.region = "us-east-1";
    request.body = assume;
    request.body_len = strlen(assume);
    signature_is(&request, NULL,
                 "89d9a9b4ef33b466c3e68b807a8d35fb8c0a9350e5f631010189cf17e2348927");
}

static void test_sigv4__query_is_sorted_and_encoded(void **state)
{
    (void)state;
    AUTO(strlist_release) struct strlist query = {0};
    strlist_add(&query, "Version=2011-06-15");
    strlist_add(&query, "Action=GetCallerIdentity");
    strlist_add(&query, "X-A=a b/c+d~e=");
    strlist_add(&query, "Empty");
    struct sigv4_request request = {.method = "GET",
                                    .host = "sts.us-east-1.amazonaws.com",
                                    .query = &query,
                                    .region = "us-east-1",
                                    .service = "sts"};
    signature_is(&request, NULL,
                 "bba11a472b1fe9f7db98c7b1aea94a331e7559218015c7dd94d33dcabe138f97");
    AUTO(mem_freep) char *text = sigv4_query(&query);
    assert_string_equal(
        text, "Action=GetCallerIdentity&Empty=&Version=2011-06-15&X-A=a%20b%2Fc%2Bd~e%3D");
    AUTO(strlist_release) struct strlist prefix = {0};
    strlist_add(&prefix, "a-b=1");
    strlist_add(&prefix, "a=2");
    strlist_add(&prefix, "a=1");
    AUTO(mem_freep) char *sorted = sigv4_query(&prefix);
    assert_string_equal(sorted, "a=1&a=2&a-b=1");
}

static void test_sigv4__codecommit_password(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        const char *region;
        const char *token;
        const char *user;
        const char *password;
    } cases[] = {
        {"git-codecommit.eu-west-1.amazonaws.com", "eu-west-1", NULL, "AKIDEXAMPLE",
         "20260115T123456Zb76eebb17bfdfe9741f35f92376f5e654627049adfa320138209e430e933b61f"},
        {"git-codecommit.eu-west-1.amazonaws.com", "eu-west-1",
         "FAKE/session+token==", "AKIDEXAMPLE%FAKE/session+token==",
         "20260115T123456Zb76eebb17bfdfe9741f35f92376f5e654627049adfa320138209e430e933b61f"},
        {"git-codecommit.cn-north-1.amazonaws.com.cn", "cn-north-1", NULL, "AKIDEXAMPLE",
         "20260115T123456Za441f8d1e4d07c858f04008cbde43d977710a35201d89b9f9954ed13e6ea6381"},
        {"git-codecommit-fips.us-east-1.amazonaws.com", "us-east-1", NULL, "AKIDEXAMPLE",
         "20260115T123456Z721a86f73a34a01ffd4ad5d4dd100a44c59c1e891338ed48eaa66273131bbbcf"},
        {"vpce-0123-abcd.git-codecommit.us-east-1.vpce.amazonaws.com", "us-east-1", NULL,
         "AKIDEXAMPLE",
         "20260115T123456Z5a27709e72f2783de3a0196c5295c34668eda12f83f9e8469ed59b7e1b249758"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct aws_keys k = keys(cases[i].token);
        AUTO(mem_freep) char *user = NULL;
        AUTO(mem_freep) char *password = NULL;
        codecommit_password(&k, cases[i].host, "/v1/repos/my-repo", cases[i].region, now, &user,
                            &password);
        assert_string_equal(user, cases[i].user);
        assert_string_equal(password, cases[i].password);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sigv4__ecr_get_authorization_token),
        cmocka_unit_test(test_sigv4__sts),
        cmocka_unit_test(test_sigv4__query_is_sorted_and_encoded),
        cmocka_unit_test(test_sigv4__codecommit_password),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
