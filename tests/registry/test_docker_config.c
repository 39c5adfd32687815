#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include <fcntl.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "registry/docker_config.h"

static char folder[] = "/tmp/slipway-docker-config-XXXXXX";

static int start(void **state)
{
    (void)state;
    static const char *const unset[] = {"REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "XDG_RUNTIME_DIR",
                                        "XDG_CONFIG_HOME"};
    for (size_t i = 0; i < ARRAY_LEN(unset); i++) {
        unsetenv(unset[i]);
    }
    return mkdtemp(folder) && setenv("HOME", folder, 1) == 0 ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    struct error ignored = {0};
    return file_remove_tree(AT_FDCWD, folder, &ignored);
}

static void put(const char *path, const char *text)
{
    struct error err = {0};
    AUTO(mem_freep) char *full = mem_printf("%s/%s", folder, path);
    AUTO(mem_freep) char *parent = mem_strdup(full);
    *strrchr(parent, '/') = '\0';
    assert_int_equal(file_make_dirs(AT_FDCWD, parent, 0700, &err), 0);
    assert_int_equal(file_write_atomic(AT_FDCWD, full, text, strlen(text), 0600, false, &err), 0);
}

static const char FILE_TEXT[] =
    "{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"aHViOnB3\"},"
    "\"r.example:5000\":{\"auth\":\"dTpwOnc=\"},"
    "\"https://old.example/v2/\":{\"username\":\"a\",\"password\":\"b\"},"
    "\"deep.example\":{\"auth\":\"aG9zdDp4\"},\"deep.example/team\":{\"auth\":\"dGVhbTp4\"},"
    "\"id.example\":{\"auth\":\"\",\"identitytoken\":\"tok\"},"
    "\"reg.example\":{\"registrytoken\":\"jwt\"},"
    "\"nul.example\":{\"auth\":\"dTpwAAA=\"},"
    "\"empty.example\":{}},\"credHelpers\":{\"ecr.example\":\"ecr-login\"}}";

static const struct {
    const char *host;
    const char *repository;
    const char *user;
    const char *password;
    const char *identity;
    const char *token;
    const char *helper;
} lookups[] = {
    {"docker.io", "library/x", "hub", "pw", NULL, NULL, NULL},
    {"r.example:5000", "a/b", "u", "p:w", NULL, NULL, NULL},
    {"R.example:5000", NULL, "u", "p:w", NULL, NULL, NULL},
    {"r.example", NULL, NULL, NULL, NULL, NULL, NULL},
    {"old.example", NULL, "a", "b", NULL, NULL, NULL},
    {"deep.example", "team/app", "team", "x", NULL, NULL, NULL},
    {"deep.example", "teamster/app", "host", "x", NULL, NULL, NULL},
    {"id.example", NULL, NULL, NULL, "tok", NULL, NULL},
    {"reg.example", NULL, NULL, NULL, NULL, "jwt", NULL},
    {"nul.example", NULL, "u", "p", NULL, NULL, NULL},
    {"empty.example", NULL, NULL, NULL, NULL, NULL, NULL},
    {"ecr.example", NULL, NULL, NULL, NULL, NULL, "ecr-login"},
};

static void same(const char *a, const char *b)
{
    if (a && b) {
        assert_string_equal(a, b);
    } else {
        assert_true(!a && !b);
    }
}

static void test_docker_config__entries_are_found_under_all_their_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lookups); i++) {
        AUTO(credentials_release) struct credentials c = {0};
        AUTO(mem_freep) char *helper = NULL;
        struct error err = {0};
        assert_int_equal(docker_config_parse(FILE_TEXT, strlen(FILE_TEXT), "f", lookups[i].host,
                                             lookups[i].repository, &c, &helper, &err),
                         0);
        same(c.user, lookups[i].user);
        same(c.password, lookups[i].password);
        same(c.identity_token, lookups[i].identity);
        same(c.registry_token, lookups[i].token);
        same(helper, lookups[i].helper);
    }
}

static void test_docker_config__damage_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *words;
    } cases[] = {
        {"{", "f is not JSON"},
        {"{\"auths\":{\"h\":{\"auth\":\"!!\"}}}",
         "f: auths: h: 'auth' is not base64 of user:password"},
        {"{\"auths\":{\"h\":{\"auth\":\"bm9jb2xvbg==\"}}}", "is not base64 of user:password"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(credentials_release) struct credentials c = {0};
        AUTO(mem_freep) char *helper = NULL;
        struct error err = {0};
        assert_int_equal(docker_config_parse(cases[i].text, strlen(cases[i].text), "f", "h", NULL,
                                             &c, &helper, &err),
                         -1);
        assert_int_equal(err.code, ERR_AUTH);
        if (!strstr(err.text, cases[i].words)) {
            fail_msg("'%s' does not say '%s'", err.text, cases[i].words);
        }
    }
}

static void expect_user(const char *host, const char *user)
{
    AUTO(credentials_release) struct credentials c = {0};
    struct error err = {0};
    if (docker_config_get(host, NULL, &c, &err) != 0) {
        fail_msg("%s", err.text);
    }
    same(c.user, user);
}

static void test_docker_config__files_are_read_in_their_order(void **state)
{
    (void)state;
    put(".docker/config.json", "{\"auths\":{\"h\":{\"username\":\"docker\",\"password\":\"x\"},"
                               "\"g\":{\"username\":\"g\",\"password\":\"x\"}}}");
    expect_user("h", "docker");
    put(".config/containers/auth.json",
        "{\"auths\":{\"h\":{\"username\":\"containers\",\"password\":\"x\"}}}");
    expect_user("h", "containers");
    expect_user("g", "g");
    put("own/config.json", "{\"auths\":{\"h\":{\"username\":\"own\",\"password\":\"x\"}}}");
    AUTO(mem_freep) char *own = mem_printf("%s/own", folder);
    setenv("DOCKER_CONFIG", own, 1);
    expect_user("h", "own");
    expect_user("g", NULL);
    put("auth.json", "{\"auths\":{\"h\":{\"username\":\"alone\",\"password\":\"x\"}}}");
    AUTO(mem_freep) char *alone = mem_printf("%s/auth.json", folder);
    setenv("REGISTRY_AUTH_FILE", alone, 1);
    expect_user("h", "alone");
    unsetenv("REGISTRY_AUTH_FILE");
    unsetenv("DOCKER_CONFIG");
}

static void test_docker_config__login_keeps_what_it_does_not_know(void **state)
{
    (void)state;
    AUTO(mem_freep) char *own = mem_printf("%s/keep", folder);
    AUTO(mem_freep) char *path = mem_printf("%s/config.json", own);
    AUTO(mem_freep) char *where = NULL;
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    AUTO(json_freep) json_t *root = NULL;
    struct stat st = {0};
    struct error err = {0};
    bool found = false;
    setenv("DOCKER_CONFIG", own, 1);
    /* There is neither file nor folder at first. */
    assert_int_equal(docker_config_store("docker.io", "me", "p\xc3\xa4ss:word", &where, &err), 0);
    assert_string_equal(where, path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    expect_user("docker.io", "me");
    put("keep/config.json",
        "{\"psFormat\":\"x\",\"auths\":{\"index.docker.io\":{\"auth\":\"b2xkOm9sZA==\"},\"other\":{"
        "\"auth\":\"bzpv\"}},\"plugins\":{\"a\":{}}}");
    assert_int_equal(docker_config_store("docker.io", "new", "pw", NULL, &err), 0);
    expect_user("docker.io", "new");
    expect_user("other", "o");
    assert_int_equal(file_read(AT_FDCWD, path, 1 << 20, &text, NULL, &err), 0);
    assert_int_equal(json_parse(text.data, text.len, 1 << 20, "f", ERR_USAGE, &root, &err), 0);
    assert_string_equal(json_get_string(root, "psFormat"), "x");
    assert_non_null(json_object_get(json_object_get(root, "plugins"), "a"));
    assert_null(json_object_get(json_object_get(root, "auths"), "index.docker.io"));
    assert_non_null(json_object_get(json_object_get(root, "auths"), "https://index.docker.io/v1/"));
    assert_int_equal(docker_config_erase("docker.io", &found, &err), 0);
    assert_true(found);
    expect_user("docker.io", NULL);
    expect_user("other", "o");
    assert_int_equal(docker_config_store("h", "with:colon", "pw", NULL, &err), -1);
    assert_int_equal(err.code, ERR_USAGE);
    /* A file that cannot be read is not replaced. */
    put("keep/config.json", "{ broken");
    assert_int_equal(docker_config_store("h", "u", "pw", NULL, &err), -1);
    buf_clear(&text);
    assert_int_equal(file_read(AT_FDCWD, path, 1 << 20, &text, NULL, &err), 0);
    assert_string_equal(text.data, "{ broken");
    unsetenv("DOCKER_CONFIG");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_docker_config__entries_are_found_under_all_their_names),
        cmocka_unit_test(test_docker_config__damage_is_named),
        cmocka_unit_test(test_docker_config__files_are_read_in_their_order),
        cmocka_unit_test(test_docker_config__login_keeps_what_it_does_not_know),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
