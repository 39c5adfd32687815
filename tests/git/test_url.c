#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "git/source.h"
#include "git/url.h"

static void test_url__what_is_a_repository(void **state)
{
    (void)state;
    static const char *const yes[] = {
        "git://h/x",
        "ssh://git@h/x",
        "git+ssh://h/x",
        "git+https://h/x",
        "git@github.com:o/n.git",
        "user.name@h:x",
        "git@h:x#ref:dir",
        "file:///srv/x",
        "http://h/x.git",
        "https://h/x.git#main",
        "https://h/x.git#main:dir",
        "https://u:p@h:8080/x.git",
        "https://github.com/o/n",
        "https://u@github.com/o/n#main",
        "github.com/o/n",
        "codecommit::eu-west-1://repo",
        "codecommit://repo",
        "https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/x",
    };
    static const char *const no[] = {
        "",
        ".",
        "./x.git",
        "/srv/x.git",
        "x.git",
        "-",
        "https://h/x.tar.gz",
        "https://h/x.git.tar",
        "https://h/Dockerfile#x.git",
        "https://github.com/o/n/archive/main.tar.gz",
        "https://github.com/o",
        "C:\\x",
        "host:path",
        "@h:x",
        "a b@h:x",
        "git@h",
        "git@h:",
        "git@h://x",
        "http://",
        "file://",
        "github.com/",
        "https://evil.com/git-codecommit.eu-west-1.amazonaws.com/v1/repos/x",
        "ubuntu:18.04",
    };
    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        if (!git_is_url(yes[i])) {
            fail_msg("%s", yes[i]);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(no); i++) {
        if (git_is_url(no[i])) {
            fail_msg("%s", no[i]);
        }
    }
}

static void same(const char *text, const char *what, const char *got, const char *expected)
{
    if ((got == NULL) != (expected == NULL) || (got && strcmp(got, expected) != 0)) {
        fail_msg("%s: %s is '%s', not '%s'", text, what, got ? got : "NULL",
                 expected ? expected : "NULL");
    }
}

static void test_url__parts(void **state)
{
    (void)state;
    setenv("AWS_REGION", "us-east-2", 1);
    unsetenv("CODE_COMMIT_ENDPOINT");
    static const struct {
        const char *text;
        const char *fetch;
        const char *display;
        const char *user;
        const char *password;
        const char *ref;
        const char *subdir;
    } cases[] = {
        {"https://h/x.git", "https://h/x.git", "https://h/x.git", NULL, NULL, NULL, ""},
        {"https://u:p%40s@h:8443/x.git#v1:/a/../b/", "https://h:8443/x.git", "https://h:8443/x.git",
         "u", "p@s", "v1", "b"},
        {"https://token@h/x.git#:../..", "https://h/x.git", "https://h/x.git", "token", NULL, NULL,
         ""},
        {"https://:p@h/x.git", "https://h/x.git", "https://h/x.git", NULL, "p", NULL, ""},
        {"git+https://a@b:c@h/x", "https://h/x", "https://h/x", "a@b", "c", NULL, ""},
        {"ssh://git@h:2222/x.git#refs/pull/1/head", "ssh://git@h:2222/x.git",
         "ssh://git@h:2222/x.git", "git", NULL, "refs/pull/1/head", ""},
        {"ssh://git:pw@h/x", "ssh://git@h/x", "ssh://git@h/x", "git", "pw", NULL, ""},
        {"git@h:o/n.git#b:d", "git@h:o/n.git", "git@h:o/n.git", "git", NULL, "b", "d"},
        {"git://h/x", "git://h/x", "git://h/x", NULL, NULL, NULL, ""},
        {"file:///srv/a%20b#x", "/srv/a b", "file:///srv/a b", NULL, NULL, "x", ""},
        {"file://localhost/srv/x", "/srv/x", "file:///srv/x", NULL, NULL, NULL, ""},
        {"/srv/x", "/srv/x", "file:///srv/x", NULL, NULL, NULL, ""},
        {"github.com/o/n#main", "https://github.com/o/n", "https://github.com/o/n", NULL, NULL,
         "main", ""},
        {"https://[::1]:80/x.git", "https://[::1]:80/x.git", "https://[::1]:80/x.git", NULL, NULL,
         NULL, ""},
        {"https://u@h/x.git?branch=a%2Fb&subdir=/d/../e/#", "https://h/x.git", "https://h/x.git",
         "u", NULL, "refs/heads/a/b", "e"},
        {"git@h:o/n.git?ref=b#b:d", "git@h:o/n.git", "git@h:o/n.git", "git", NULL, "b", "d"},
        {"https://h/x.git?tag=refs/tags/v&commit=abc&", "https://h/x.git", "https://h/x.git", NULL,
         NULL, "refs/tags/v", ""},
        {"codecommit::eu-west-1://prof@repo#main",
         "https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/repo",
         "https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/repo", NULL, NULL, "main", ""},
        {"codecommit::cn-north-1://r",
         "https://git-codecommit.cn-north-1.amazonaws.com.cn/v1/repos/r",
         "https://git-codecommit.cn-north-1.amazonaws.com.cn/v1/repos/r", NULL, NULL, NULL, ""},
        {"codecommit://r", "https://git-codecommit.us-east-2.amazonaws.com/v1/repos/r",
         "https://git-codecommit.us-east-2.amazonaws.com/v1/repos/r", NULL, NULL, NULL, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = {0};
        AUTO(git_url_release) struct git_url url = {0};
        if (git_url_parse(cases[i].text, &url, &err)) {
            fail_msg("%s: %s", cases[i].text, err.text);
        }
        same(cases[i].text, "fetch", url.fetch, cases[i].fetch);
        same(cases[i].text, "display", url.display, cases[i].display);
        same(cases[i].text, "user", url.user, cases[i].user);
        same(cases[i].text, "password", url.password, cases[i].password);
        same(cases[i].text, "ref", url.ref, cases[i].ref);
        same(cases[i].text, "subdir", url.subdir, cases[i].subdir);
    }
}

static void test_url__codecommit_hosts_tell_their_region(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"git-codecommit.eu-west-1.amazonaws.com", "eu-west-1"},
        {"git-codecommit-fips.us-east-1.amazonaws.com", "us-east-1"},
        {"git-codecommit.cn-north-1.amazonaws.com.cn", "cn-north-1"},
        {"vpce-0123-abcd.git-codecommit.us-east-1.vpce.amazonaws.com", "us-east-1"},
        {"git-codecommit.eu-west-1.amazonaws.com.evil.org", NULL},
        {"git-codecommit.eu-west-1.evil.com", NULL},
        {"xgit-codecommit.eu-west-1.amazonaws.com", NULL},
        {"git-codecommit-x.eu-west-1.amazonaws.com", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = {0};
        AUTO(mem_freep) char *text = mem_printf("https://%s/v1/repos/x", cases[i][0]);
        AUTO(git_url_release) struct git_url url = {0};
        assert_int_equal(git_url_parse(text, &url, &err), 0);
        same(text, "region", url.region, cases[i][1]);
        assert_int_equal(url.codecommit, cases[i][1] != NULL);
        assert_int_equal(git_is_url(text), cases[i][1] != NULL);
    }
}

static void test_url__bad_ones_are_refused_without_their_secrets(void **state)
{
    (void)state;
    unsetenv("AWS_REGION");
    unsetenv("AWS_DEFAULT_REGION");
    static const char *const cases[][2] = {
        {"https:///x.git", "no host"},
        {"https://u:hunter2@/x.git", "no host"},
        {"https://u:hunter2@h:99999/x.git", "port"},
        {"https://u:hunter2@h:0/x.git", "port"},
        {"https://u:hunter2@h:8a/x.git", "port"},
        {"https://u:hunter2#@h/x.git", "port"},
        {"https://u:hunter2/@h/x.git", "port"},
        {"https://h", "no repository"},
        {"https://h/", "no repository"},
        {"https://h%0aevil/x.git", "control"},
        {"https://h/x%0ahost=evil.git", "control"},
        {"https://u%0d:hunter2@h/x.git", "control"},
        {"https://-oProxyCommand=x/x.git", "no host"},
        {"ssh://-x@-y/z", "no host"},
        {"https://[::1/x.git", "brackets"},
        {"https://[[::1]/x.git", "no IPv6 address"},
        {"https://[host]/x.git", "no IPv6 address"},
        {"https://ho[st/x.git", "no host"},
        {"file://relative", "absolute"},
        {"codecommit://r", "no region"},
        {"codecommit::eu-west-1:r", "written"},
        {"codecommit::EU_WEST://r", "region"},
        {"codecommit::eu-west-1://a/b", "letters"},
        {"ext::sh -c id", "not a git URL"},
        {"x", "not a git URL"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = {0};
        struct git_url url;
        assert_int_equal(git_url_parse(cases[i][0], &url, &err), -1);
        if (err.code != ERR_USAGE || !strstr(err.text, cases[i][1]) ||
            strstr(err.text, "hunter2") || strpbrk(err.text, "\r\n")) {
            fail_msg("%s: %s", cases[i][0], err.text);
        }
    }
}

static void test_url__redaction(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"no url", "no url"},
        {"get https://u:p@h/x failed", "get https://***@h/x failed"},
        {"a http://t@h b ssh://u:q@i", "a http://***@h b ssh://***@i"},
        {"https://u:a/b#c@h/x", "https://***@h/x"},
        {"https://h/x", "https://h/x"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(mem_freep) char *got = git_url_redact(cases[i][0]);
        assert_string_equal(got, cases[i][1]);
    }
}

static void test_url__submodules_are_relative_to_their_repository(void **state)
{
    (void)state;
    static const struct {
        const char *base;
        const char *text;
        const char *expected; /* NULL: refused */
        const char *user;
    } cases[] = {
        {"https://h/o/n.git", "../m.git", "https://h/o/m.git", NULL},
        {"https://u:p@h/o/n.git", "../m.git", "https://h/o/m.git", "u"},
        {"https://u:p@h/o/n.git", "https://h/q/m.git", "https://h/q/m.git", "u"},
        {"https://u:p@h/o/n.git", "https://i/q/m.git", "https://i/q/m.git", NULL},
        {"https://u:p@h/o/n.git", "http://h/q/m.git", "http://h/q/m.git", NULL},
        {"https://u:p@h/o/n.git", "https://h:444/q/m.git", "https://h:444/q/m.git", NULL},
        {"https://h/o/n.git/", "./m", "https://h/o/n.git/m", NULL},
        {"https://h/o/n.git", "../../m", "https://h/m", NULL},
        {"https://h/o/n.git", "../../../m", NULL, NULL},
        {"git@h:o/n.git", "../m.git", "git@h:o/m.git", "git"},
        {"git@h:n.git", "../m.git", "git@h:m.git", "git"},
        {"git@h:n.git", "../../m.git", NULL, NULL},
        {"file:///srv/n", "../m", "/srv/m", NULL},
        {"file:///srv/n", "/opt/m", "/opt/m", NULL},
        {"https://h/n.git", "/opt/m", NULL, NULL},
        {"https://h/n.git", "file:///opt/m", NULL, NULL},
        {"ssh://git@h/n.git", "file:///opt/m", NULL, NULL},
        {"https://h/n.git", "rubbish", NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = {0};
        AUTO(git_url_release) struct git_url base = {0};
        AUTO(git_url_release) struct git_url url = {0};
        assert_int_equal(git_url_parse(cases[i].base, &base, &err), 0);
        int failed = git_url_resolve(&base, cases[i].text, &url, &err);
        if (failed != (cases[i].expected ? 0 : -1)) {
            fail_msg("%s %s: %s", cases[i].base, cases[i].text, failed ? err.text : url.fetch);
        }
        if (!failed) {
            same(cases[i].text, "fetch", url.fetch, cases[i].expected);
            same(cases[i].text, "user", url.user, cases[i].user);
        } else {
            assert_int_equal(err.code, ERR_REMOTE);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_url__what_is_a_repository),
        cmocka_unit_test(test_url__parts),
        cmocka_unit_test(test_url__codecommit_hosts_tell_their_region),
        cmocka_unit_test(test_url__bad_ones_are_refused_without_their_secrets),
        cmocka_unit_test(test_url__redaction),
        cmocka_unit_test(test_url__submodules_are_relative_to_their_repository),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
