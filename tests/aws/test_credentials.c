#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aws/credentials.h"
#include "base/file.h"
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

static const char newer_text[] = "[work]\n"
                                 "aws_access_key_id=AKIDNEWER\n"
                                 "aws_secret_access_key = s3\n";

static char path[] = "/tmp/slipway-aws-XXXXXX";
static char newer_path[] = "/tmp/slipway-aws-XXXXXX";

static int setup(void **state)
{
    (void)state;
    static const char *const names[] = {"AWS_ACCESS_KEY_ID",
                                        "AWS_SECRET_ACCESS_KEY",
                                        "AWS_SESSION_TOKEN",
                                        "AWS_SECURITY_TOKEN",
                                        "AWS_PROFILE",
                                        "AWS_DEFAULT_PROFILE",
                                        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
                                        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                                        "AWS_WEB_IDENTITY_TOKEN_FILE",
                                        "AWS_REGION",
                                        "AWS_DEFAULT_REGION",
                                        "AWS_ENDPOINT_URL"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        unsetenv(names[i]);
    }
    setenv("AWS_SHARED_CREDENTIALS_FILE", path, 1);
    setenv("AWS_CONFIG_FILE", "/nonexistent/config", 1);
    setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
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
    refused("half", "profile 'half' has aws_access_key_id without aws_secret_access_key");
    keys_are("empty", NULL, NULL, NULL);
    refused("nonesuch", "the AWS profile 'nonesuch' is neither in");
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

static void test_credentials__region(void **state)
{
    (void)state;
    static const struct {
        const char *profile; /* by argument */
        const char *region;
        const char *default_region;
        const char *expected;
    } cases[] = {
        {NULL, NULL, NULL, NULL},
        {"work", NULL, NULL, "eu-west-3"},
        {"work", "eu-a-1", NULL, "eu-west-3"}, /* a profile that is named is meant */
        {"default", NULL, "eu-b-1", "eu-b-1"},
        {NULL, NULL, "eu-b-1", "eu-b-1"},
        {NULL, "eu-a-1", "eu-b-1", "eu-a-1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = {0};
        AUTO(mem_freep) char *region = NULL;
        AUTO(aws_identity_freep)
        struct aws_identity *who = aws_identity_new(NULL, cases[i].profile);
        setup(NULL);
        if (cases[i].region) {
            setenv("AWS_REGION", cases[i].region, 1);
        }
        if (cases[i].default_region) {
            setenv("AWS_DEFAULT_REGION", cases[i].default_region, 1);
        }
        assert_int_equal(aws_identity_region(who, &region, &err), 0);
        assert_string_equal(region ? region : "-", cases[i].expected ? cases[i].expected : "-");
    }
}

static void test_credentials__endpoints(void **state)
{
    (void)state;
    struct error err = {0};
    AUTO(aws_identity_freep) struct aws_identity *who = aws_identity_new(NULL, NULL);
    char *url = NULL;
    assert_int_equal(aws_identity_endpoint(who, "ECR", &url, &err), 0);
    assert_null(url);
    setenv("AWS_ENDPOINT_URL", "http://all/", 1);
    assert_int_equal(aws_identity_endpoint(who, "ECR", &url, &err), 0);
    assert_string_equal(url, "http://all");
    mem_freep(&url);
    setenv("AWS_ENDPOINT_URL_ECR", "http://one", 1);
    assert_int_equal(aws_identity_endpoint(who, "ECR", &url, &err), 0);
    assert_string_equal(url, "http://one");
    mem_freep(&url);
    setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true", 1);
    assert_int_equal(aws_identity_endpoint(who, "ECR", &url, &err), 0);
    assert_null(url);
    unsetenv("AWS_ENDPOINT_URL_ECR");
    unsetenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
}

/* Keys in the file are replaced by another program: what was refused is read again. */
static void test_credentials__refused_keys_are_read_again(void **state)
{
    (void)state;
    struct error err = {0};
    bool found = false;
    bool changed = true;
    AUTO(aws_identity_freep) struct aws_identity *who = aws_identity_new(NULL, "work");
    AUTO(aws_keys_release) struct aws_keys keys = {0};
    AUTO(aws_keys_release) struct aws_keys other = {0};
    assert_int_equal(aws_identity_keys(who, &keys, &found, &err), 0);
    assert_int_equal(aws_identity_renew(who, &keys, &changed, &err), 0);
    assert_false(changed);
    setenv("AWS_SHARED_CREDENTIALS_FILE", newer_path, 1);
    assert_int_equal(aws_identity_renew(who, &keys, &changed, &err), 0);
    assert_true(changed);
    assert_int_equal(aws_identity_keys(who, &other, &found, &err), 0);
    assert_string_equal(other.id, "AKIDNEWER");
    /* Another thread that was refused with the old ones does not fetch again. */
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/file", 1);
    assert_int_equal(aws_identity_renew(who, &keys, &changed, &err), 0);
    assert_true(changed);
}

/* A program whose keys last for LIFE seconds, each time with another id. */
static void use_program(const char *folder, int life)
{
    AUTO(mem_freep) char *program = mem_printf("%s/program", folder);
    AUTO(mem_freep) char *config = mem_printf("%s/config", folder);
    AUTO(file_closep) FILE *script = fopen(program, "we");
    AUTO(file_closep) FILE *settings = fopen(config, "we");
    assert_non_null(script);
    assert_non_null(settings);
    fprintf(script,
            "#!/bin/sh\n"
            "echo x >>%s/calls\n"
            "printf '{\"Version\":1,\"AccessKeyId\":\"ID%%s\",\"SecretAccessKey\":\"s\","
            "\"Expiration\":\"%%s\"}' $(wc -l <%s/calls) "
            "$(date -u -d '+%d seconds' +%%Y-%%m-%%dT%%H:%%M:%%SZ)\n",
            folder, folder, life);
    fprintf(settings, "[default]\ncredential_process = sh '%s'\n", program);
    setenv("AWS_CONFIG_FILE", config, 1);
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/file", 1);
}

static void id_is(struct aws_identity *who, const char *id)
{
    struct error err = {0};
    bool found = false;
    AUTO(aws_keys_release) struct aws_keys keys = {0};
    if (aws_identity_keys(who, &keys, &found, &err) != 0) {
        fail_msg("%s", err.text);
    }
    assert_true(found);
    assert_string_equal(keys.id, id);
}

static void test_credentials__are_fetched_once_and_again_when_over(void **state)
{
    (void)state;
    struct error err = {0};
    char folder[] = "/tmp/slipway-aws-XXXXXX";
    assert_non_null(mkdtemp(folder));
    AUTO(aws_identity_freep) struct aws_identity *lasting = aws_identity_new(NULL, NULL);
    AUTO(aws_identity_freep) struct aws_identity *brief = aws_identity_new(NULL, NULL);
    use_program(folder, 3600);
    id_is(lasting, "ID1");
    id_is(lasting, "ID1");
    /* Shorter than what we like to have left: still not fetched at each use. */
    use_program(folder, 2);
    id_is(brief, "ID2");
    id_is(brief, "ID2");
    sleep(3);
    id_is(brief, "ID3");
    id_is(lasting, "ID1");
    assert_int_equal(file_remove_tree(AT_FDCWD, folder, &err), 0);
}

/* They would end up in a header. */
static void test_credentials__keys_with_line_ends_are_refused(void **state)
{
    (void)state;
    setenv("AWS_ACCESS_KEY_ID", "AKID", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "s", 1);
    setenv("AWS_SESSION_TOKEN", "t\r\nX-Evil: 1", 1);
    refused(NULL, "the session token has a character that no key has");
}

static bool make_file(char *name, const char *text)
{
    int fd = mkstemp(name);
    bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    close(fd);
    return good;
}

int main(void)
{
    if (!make_file(path, file_text) || !make_file(newer_path, newer_text)) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_credentials__shared_file, setup),
        cmocka_unit_test_setup(test_credentials__environment_comes_first, setup),
        cmocka_unit_test_setup(test_credentials__region, setup),
        cmocka_unit_test_setup(test_credentials__endpoints, setup),
        cmocka_unit_test_setup(test_credentials__refused_keys_are_read_again, setup),
        cmocka_unit_test_setup(test_credentials__are_fetched_once_and_again_when_over, setup),
        cmocka_unit_test_setup(test_credentials__keys_with_line_ends_are_refused, setup),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    unlink(newer_path);
    return failed;
}
