#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aws/credentials.h"
#include "base/memory.h"

static const char file_text[] = "# comment\n"
                                "[default]\n"
                                "aws_access_key_id = AKIDDEFAULT\n"
                                "aws_secret_access_key=secret=with=equals\r\n"
                                "[ work ]\n"
                                "AWS_ACCESS_KEY_ID=AKIDWORK\n"
                                "aws_secret_access_key = s2\n"
                                "aws_session_token = t2\n"
                                "region = eu-west-3\n"
                                "s3 =\n"
                                "  aws_access_key_id = nested\n"
                                "; aws_access_key_id = comment\n"
                                "[half]\n"
                                "aws_access_key_id = AKIDHALF\n"
                                "[empty]\n";

static char path[] = "/tmp/slipway-aws-XXXXXX";

static int setup(void **state)
{
    (void)state;
    static const char *const names[] = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
                                        "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN",
                                        "AWS_PROFILE",       "AWS_DEFAULT_PROFILE"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        unsetenv(names[i]);
    }
    setenv("AWS_SHARED_CREDENTIALS_FILE", path, 1);
    return 0;
}

static void keys_are(const char *profile, const char *id, const char *secret, const char *token)
{
    struct error err = {0};
    bool found = false;
    AUTO(aws_keys_release) struct aws_keys keys = {0};
    if (aws_keys_find(profile, &keys, &found, &err)) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(found, id != NULL);
    if (id) {
        assert_string_equal(keys.id, id);
        assert_string_equal(keys.secret, secret);
        assert_string_equal(keys.token ? keys.token : "", token);
    }
}

static void refused(const char *profile, const char *words)
{
    struct error err = {0};
    bool found = false;
    struct aws_keys keys = {0};
    assert_int_equal(aws_keys_find(profile, &keys, &found, &err), -1);
    assert_int_equal(err.code, ERR_AUTH);
    if (!strstr(err.text, words)) {
        fail_msg("%s", err.text);
    }
}

static void test_credentials__shared_file(void **state)
{
    (void)state;
    keys_are(NULL, "AKIDDEFAULT", "secret=with=equals", "");
    keys_are("work", "AKIDWORK", "s2", "t2");
    refused("half", "half a pair");
    refused("empty", "no AWS keys for the profile 'empty'");
    refused("nonesuch", "nonesuch");
    setenv("AWS_PROFILE", "work", 1);
    keys_are(NULL, "AKIDWORK", "s2", "t2");
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/file", 1);
    refused(NULL, "'work'");
    unsetenv("AWS_PROFILE");
    keys_are(NULL, NULL, NULL, NULL);
}

static void test_credentials__environment_comes_first(void **state)
{
    (void)state;
    setenv("AWS_ACCESS_KEY_ID", "AKIDENV", 1);
    refused(NULL, "AWS_ACCESS_KEY_ID is set without AWS_SECRET_ACCESS_KEY");
    setenv("AWS_SECRET_ACCESS_KEY", "s", 1);
    keys_are(NULL, "AKIDENV", "s", "");
    setenv("AWS_SESSION_TOKEN", "t", 1);
    keys_are(NULL, "AKIDENV", "s", "t");
    /* A profile in the environment does not set its keys aside, one that is named as an argument
     * does. */
    setenv("AWS_PROFILE", "work", 1);
    keys_are(NULL, "AKIDENV", "s", "t");
    keys_are("work", "AKIDWORK", "s2", "t2");
}

static void test_credentials__profile_settings(void **state)
{
    (void)state;
    AUTO(aws_keys_release) struct aws_keys keys = {0};
    assert_true(aws_profile_find(file_text, "work", &keys));
    assert_string_equal(keys.region, "eu-west-3");
    assert_false(aws_profile_find("[x", "y", &keys));
    assert_false(aws_profile_find("", "default", &keys));
}

int main(void)
{
    int fd = mkstemp(path);
    if (fd < 0 || write(fd, file_text, strlen(file_text)) < 0) {
        return 1;
    }
    close(fd);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_credentials__shared_file, setup),
        cmocka_unit_test_setup(test_credentials__environment_comes_first, setup),
        cmocka_unit_test_setup(test_credentials__profile_settings, setup),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return failed;
}
