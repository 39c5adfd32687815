#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "registry/reference.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct {
    const char *text;
    const char *host;
    const char *repository;
    const char *tag;
    bool digest;
    const char *familiar;
} good[] = {
    {"ubuntu", "docker.io", "library/ubuntu", NULL, false, "ubuntu"},
    {"ubuntu:18.04", "docker.io", "library/ubuntu", "18.04", false, "ubuntu:18.04"},
    {"docker.io/ubuntu", "docker.io", "library/ubuntu", NULL, false, "ubuntu"},
    {"index.docker.io/me/app:1", "docker.io", "me/app", "1", false, "me/app:1"},
    {"docker.io/1.io/app", "docker.io", "1.io/app", NULL, false, "docker.io/1.io/app"},
    {"me/app", "docker.io", "me/app", NULL, false, "me/app"},
    {"localhost/app", "localhost", "app", NULL, false, "localhost/app"},
    {"localhost:5000/app:x", "localhost:5000", "app", "x", false, "localhost:5000/app:x"},
    {"127.0.0.1:5000/a/b__c.d-e--f:v1", "127.0.0.1:5000", "a/b__c.d-e--f", "v1", false, NULL},
    {"[::1]:5000/app", "[::1]:5000", "app", NULL, false, NULL},
    {"ghcr.io/o/r@sha256:" HEX, "ghcr.io", "o/r", NULL, true, NULL},
    {"r.io/x:t@sha256:" HEX, "r.io", "x", "t", true, "r.io/x:t@sha256:" HEX},
    {"HOST/app", "HOST", "app", NULL, false, "HOST/app"},
    {"app:5000", "docker.io", "library/app", "5000", false, "app:5000"},
    {"123456789012.dkr.ecr.eu-west-1.amazonaws.com/hello-world",
     "123456789012.dkr.ecr.eu-west-1.amazonaws.com", "hello-world", NULL, false, NULL},
    {"a/" HEX, "docker.io", "a/" HEX, NULL, false, NULL},
    {"docker.io/" HEX, "docker.io", "library/" HEX, NULL, false, "library/" HEX},
};

static void test_reference__reads_what_docker_reads(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct error err = {0};
        AUTO(reference_release) struct reference ref = {0};
        if (reference_parse(good[i].text, &ref, &err) != 0) {
            fail_msg("%s: %s", good[i].text, err.text);
        }
        assert_string_equal(ref.host, good[i].host);
        assert_string_equal(ref.repository, good[i].repository);
        assert_int_equal(ref.has_digest, good[i].digest);
        if (good[i].tag) {
            assert_non_null(ref.tag);
            assert_string_equal(ref.tag, good[i].tag);
        } else {
            assert_null(ref.tag);
            assert_string_equal(reference_tag(&ref), "latest");
        }
        AUTO(mem_freep) char *familiar = reference_familiar(&ref);
        assert_string_equal(familiar, good[i].familiar ? good[i].familiar : good[i].text);
        /* The full form is read as the same. */
        AUTO(mem_freep) char *full = reference_format(&ref);
        AUTO(reference_release) struct reference again = {0};
        assert_int_equal(reference_parse(full, &again, &err), 0);
        AUTO(mem_freep) char *twice = reference_format(&again);
        assert_string_equal(full, twice);
    }
}

static const struct {
    const char *text;
    const char *words;
} bad[] = {
    {"", "empty"},
    {"https://ghcr.io/a/b", "without 'https://'"},
    {"Ubuntu", "did you mean 'ubuntu'?"},
    {"ghcr.io/Me/App:V1", "did you mean 'ghcr.io/me/app:V1'?"},
    {"me/App@sha256:" HEX, "did you mean 'me/app@sha256:" HEX "'?"},
    {HEX, "64 hexadecimal digits"},
    {"a//b", "repository name"},
    {"a/", "repository name"},
    {"/a", "repository name"},
    {"a_", "repository name"},
    {"a___b", "repository name"},
    {"a..b/c", "no host name"},
    {"-a", "repository name"},
    {"a b", "repository name"},
    {"a:", "a tag has"},
    {"a:-x", "a tag has"},
    {"a:b c", "a tag has"},
    {"a:" A64 A64 "a", "a tag has"},
    {"a@sha256:12", "invalid reference"},
    {"a@md5:" HEX, "invalid reference"},
    {"a@", "invalid reference"},
    {"host.:5000x/a", "no host name"},
    {":5000/a", "no host name"},
    {"r.io/" A64 A64 A64 A64, "longer than 255"},
    {":x", "repository name"},
};

static void test_reference__refuses_with_a_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct error err = {0};
        struct reference ref = {0};
        if (reference_parse(bad[i].text, &ref, &err) == 0) {
            fail_msg("'%s' was taken", bad[i].text);
        }
        assert_null(ref.host);
        assert_int_equal(err.code, ERR_USAGE);
        if (!strstr(err.text, bad[i].words)) {
            fail_msg("'%s': '%s' does not say '%s'", bad[i].text, err.text, bad[i].words);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference__reads_what_docker_reads),
        cmocka_unit_test(test_reference__refuses_with_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
