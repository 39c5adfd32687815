#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/profile.h"
#include "base/memory.h"

static const char credentials_text[] = "# comment\n"
                                       "[default]\n"
                                       "aws_access_key_id = AKIDDEFAULT\n"
                                       "aws_secret_access_key=secret=with=equals\r\n"
                                       "[ work ]\n"
                                       "AWS_ACCESS_KEY_ID=AKIDWORK\n"
                                       "aws_session_token =\n"
                                       "region = eu-west-3\n"
                                       "s3 =\n"
                                       "  aws_access_key_id = nested\n"
                                       "; aws_access_key_id = comment\n"
                                       "no equals sign\n"
                                       "[profile prefixed]\n"
                                       "region = r\n";

static const char config_text[] = "[default]\n"
                                  "region = us-east-2\n"
                                  "[work]\n"
                                  "region = not-a-profile\n"
                                  "[profile work]\n"
                                  "region = us-west-2\n"
                                  "output = json\n"
                                  "region = us-west-1\n"
                                  "[profile \"a b\"]\n"
                                  "region = eu-north-1\n"
                                  "[profile\ttab]\n"
                                  "region = eu-south-1\n"
                                  "[sso-session team]\n"
                                  "sso_region = eu-west-1\n"
                                  "[profilex y]\n"
                                  "region = none\n"
                                  "[services local]\n"
                                  "ecr =\n"
                                  "  endpoint_url = http://here\n"
                                  "sts = \n"
                                  "\tendpoint_url: http://there\n"
                                  "[profile indented]\n"
                                  "  region : eu-south-2\n"
                                  "  role_arn = arn:aws:iam::1:role/x\n"
                                  "    region = nested\n"
                                  "  output = text\n"
                                  "[unclosed\n"
                                  "region = none\n";

static void load(struct aws_profiles *profiles)
{
    aws_profiles_parse(profiles, AWS_FILE_CREDENTIALS, credentials_text);
    aws_profiles_parse(profiles, AWS_FILE_CONFIG, config_text);
}

static void test_profile__settings(void **state)
{
    (void)state;
    AUTO(aws_profiles_release) struct aws_profiles p = {0};
    load(&p);
    static const struct {
        const char *profile;
        const char *name;
        const char *value;
    } cases[] = {
        {"default", "aws_access_key_id", "AKIDDEFAULT"},
        {"default", "aws_secret_access_key", "secret=with=equals"},
        {"default", "region", "us-east-2"},
        {"work", "aws_access_key_id", "AKIDWORK"}, /* not the nested one */
        {"work", "region", "eu-west-3"},           /* the credentials file counts first */
        {"work", "output", "json"},
        {"work", "aws_session_token", NULL}, /* empty is none */
        {"a b", "region", "eu-north-1"},
        {"tab", "region", "eu-south-1"},
        {"profile prefixed", "region", "r"}, /* no such prefix in the credentials file */
        {"prefixed", "region", NULL},
        {"y", "region", NULL},
        {"team", "sso_region", NULL},
        {"indented", "region", "eu-south-2"}, /* with a colon, as Python's parser takes it */
        {"indented", "role_arn", "arn:aws:iam::1:role/x"},
        {"indented", "output", "text"},
        {"unclosed", "region", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *value = aws_profile_get(&p, cases[i].profile, cases[i].name);
        if (!cases[i].value) {
            assert_null(value);
        } else {
            assert_non_null(value);
            assert_string_equal(value, cases[i].value);
        }
    }
    /* The last of two in one section. */
    assert_string_equal(aws_profile_get_from(&p, AWS_FILE_CONFIG, "work", "region"), "us-west-1");
    assert_string_equal(aws_sso_session_get(&p, "team", "sso_region"), "eu-west-1");
    assert_null(aws_sso_session_get(&p, "work", "region"));
    assert_string_equal(aws_services_get(&p, "local", "ecr.endpoint_url"), "http://here");
    assert_string_equal(aws_services_get(&p, "local", "sts.endpoint_url"), "http://there");
    assert_null(aws_services_get(&p, "other", "ecr.endpoint_url"));
}

static void test_profile__which_there_are(void **state)
{
    (void)state;
    AUTO(aws_profiles_release) struct aws_profiles p = {0};
    load(&p);
    static const struct {
        const char *name;
        bool there;
    } cases[] = {{"default", true},  {"work", true},  {"a b", true}, {"tab", true},
                 {"\"a b\"", false}, {"team", false}, {"y", false},  {"", false}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(aws_profile_exists(&p, cases[i].name), cases[i].there);
    }
}

static void test_profile__empty_texts(void **state)
{
    (void)state;
    static const char *const texts[] = {"",    "\n", "[",        "[]",    "=",
                                        "a=b", "[x", "[x]\n=\n", "[x]\na"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        AUTO(aws_profiles_release) struct aws_profiles p = {0};
        aws_profiles_parse(&p, AWS_FILE_CREDENTIALS, texts[i]);
        assert_null(aws_profile_get(&p, "x", "a"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_profile__settings),
        cmocka_unit_test(test_profile__which_there_are),
        cmocka_unit_test(test_profile__empty_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
