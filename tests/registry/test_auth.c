#include <fcntl.h>

#include "registry/auth.h"
#include "registry/login.h"
#include "tests/base/misbehaving.h"
#include "tests/registry/peer.h"

static struct misbehaving server;
static struct peer guarded; /* docker-registry that wants me:secret */
static char folder[] = "/tmp/slipway-auth-XXXXXX";
static int stores;

static int start(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    setenv("DOCKER_CONFIG", folder, 1);
    unsetenv("REGISTRY_AUTH_FILE");
    unsetenv("SLIPWAY_REGISTRY_MAP");
    peer_start(&guarded, "--user me:secret");
    return misbehaving_start(&server) ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    struct error ignored = {0};
    misbehaving_stop(&server);
    peer_stop(&guarded);
    file_remove_tree(AT_FDCWD, folder, &ignored);
    return 0;
}

static void write_config(const char *format, const char *host)
{
    AUTO(mem_freep) char *path = mem_printf("%s/config.json", folder);
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    for (const char *p = format; *p; p++) {
        if (*p == '@') {
            buf_puts(&text, host);
        } else {
            buf_putc(&text, *p);
        }
    }
    OK(file_write_atomic(AT_FDCWD, path, text.data, text.len, 0600, false, &err));
}

static struct store *new_store(void)
{
    AUTO(mem_freep) char *name = mem_printf("store%d", stores++);
    return store_in(folder, name);
}

static int pull(const char *host, const char *rest, struct error *err)
{
    AUTO(store_freep) struct store *store = new_store();
    AUTO(registry_freep) struct registry *registry = registry_of(store, false);
    AUTO(image_release) struct image image = {0};
    AUTO(reference_release) struct reference ref = ref_of(host, rest);
    if (registry_get_image(registry, &ref, NULL, RESOLVE_REGISTRY, &image, err) != 0) {
        return -1;
    }
    return registry_get_layers(registry, &image, 0, image.layers_len, err);
}

static int push(const char *host, const char *rest, struct error *err)
{
    AUTO(store_freep) struct store *store = new_store();
    AUTO(registry_freep) struct registry *registry = registry_of(store, false);
    AUTO(image_release) struct image image = make_image(store, 2, 1000, 77);
    return push_to(registry, &image, host, rest, err);
}

static const struct {
    const char *value;
    size_t len;
    const char *scheme;
    const char *realm;
    const char *service;
    const char *scope;
} challenge_cases[] = {
    {"Bearer realm=\"https://a/t\",service=\"s\",scope=\"repository:x:pull,push\"", 1, "bearer",
     "https://a/t", "s", "repository:x:pull,push"},
    {"BEARER Realm = \"https://a/t\" , service=s", 1, "bearer", "https://a/t", "s", NULL},
    {"Basic realm=\"a, \\\"b\\\"\"", 1, "basic", "a, \"b\"", NULL, NULL},
    {"Negotiate, Basic realm=x", 2, "negotiate", NULL, NULL, NULL},
    {"Basic realm=https://a/", 1, "basic", "https://a/", NULL, NULL},
    {"Basic", 1, "basic", NULL, NULL, NULL},
    {"Bearer realm=\"unfinished", 1, "bearer", "unfinished", NULL, NULL},
    {"", 0, NULL, NULL, NULL, NULL},
    {",,= =\"", 0, NULL, NULL, NULL, NULL},
};

static void same(const char *a, const char *b)
{
    if (a && b) {
        assert_string_equal(a, b);
    } else {
        assert_true(!a && !b);
    }
}

static void test_auth__challenges_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(challenge_cases); i++) {
        AUTO(challenges_release) struct challenges list = {0};
        challenges_parse(challenge_cases[i].value, &list);
        assert_int_equal(list.len, challenge_cases[i].len);
        if (list.len > 0) {
            assert_string_equal(list.items[0].scheme, challenge_cases[i].scheme);
            same(list.items[0].realm, challenge_cases[i].realm);
            same(list.items[0].service, challenge_cases[i].service);
            same(list.items[0].scope, challenge_cases[i].scope);
        }
    }
}

static void test_auth__anonymous_tokens_pull(void **state)
{
    (void)state;
    write_config("{}", "");
    OK(pull(server.host, "token/app:1", &err));
    struct error failure = {0};
    assert_int_equal(pull(server.host, "private/app:1", &failure), -1);
    assert_int_equal(failure.code, ERR_AUTH);
    SAYS(failure, "HTTP 401");
    SAYS(failure, "slipway login 127.0.0.1:");
}

static void test_auth__credentials_push_with_bearer(void **state)
{
    (void)state;
    write_config("{\"auths\":{\"@\":{\"auth\":\"bWU6c2VjcmV0\"}}}", server.host);
    OK(push(server.host, "private/mine:1", &err));
    write_config("{\"auths\":{\"http://@/v2/\":{\"identitytoken\":\"refresh-me\"}}}", server.host);
    OK(push(server.host, "private/mine:2", &err));
    /* A token that lives one second is renewed in between. */
    OK(push(server.host, "short/mine:1", &err));
    write_config("{\"auths\":{\"@\":{\"auth\":\"bWU6d3Jvbmc=\"}}}", server.host);
    struct error failure = {0};
    assert_int_equal(push(server.host, "private/mine:3", &failure), -1);
    assert_int_equal(failure.code, ERR_AUTH);
    SAYS(failure, "incorrect username or password");
    SAYS(failure, "config.json are refused");
    assert_null(strstr(failure.text, "wrong"));
}

static void test_auth__basic_pushes_and_refuses(void **state)
{
    (void)state;
    write_config("{\"auths\":{\"@\":{\"auth\":\"bWU6c2VjcmV0\"}}}", guarded.host);
    OK(push(guarded.host, "app:1", &err));
    OK(pull(guarded.host, "app:1", &err));
    write_config("{\"auths\":{\"@\":{\"auth\":\"bWU6d3Jvbmc=\"}}}", guarded.host);
    struct error failure = {0};
    assert_int_equal(pull(guarded.host, "app:1", &failure), -1);
    assert_int_equal(failure.code, ERR_AUTH);
    SAYS(failure, "with the credentials from ");
    write_config("{}", "");
    failure = (struct error){0};
    assert_int_equal(push(guarded.host, "app:2", &failure), -1);
    SAYS(failure, "no credentials for 127.0.0.1:");
}

static void test_auth__an_expired_token_is_renewed_once(void **state)
{
    (void)state;
    write_config("{\"auths\":{\"@\":{\"auth\":\"bWU6c2VjcmV0\"}}}", server.host);
    OK(pull(server.host, "expired/app:1", &err));
    write_config("{}", "");
    struct error failure = {0};
    assert_int_equal(pull(server.host, "expired/app:1", &failure), -1);
    assert_int_equal(failure.code, ERR_AUTH);
    SAYS(failure, "or there is no such image");
}

static void test_auth__login_checks_and_stores(void **state)
{
    (void)state;
    AUTO(store_freep) struct store *store = new_store();
    AUTO(registry_freep) struct registry *registry = registry_of(store, false);
    AUTO(mem_freep) char *where = NULL;
    AUTO(mem_freep) char *url = mem_printf("http://%s/", guarded.host);
    AUTO(mem_freep) char *path = mem_printf("%s/config.json", folder);
    struct error failure = {0};
    write_config("{\"auths\":{},\"proxies\":{\"default\":{}}}", "");
    assert_int_equal(registry_login(registry, guarded.host, "me", "wrong", &where, &failure), -1);
    assert_int_equal(failure.code, ERR_AUTH);
    assert_int_equal(pull(guarded.host, "app:1", &failure), -1);
    OK(registry_login(registry, url, "me", "secret", &where, &err));
    assert_string_equal(where, path);
    OK(pull(guarded.host, "app:1", &err));
    bool found = false;
    OK(registry_logout(guarded.host, &found, &err));
    assert_true(found);
    assert_int_equal(pull(guarded.host, "app:1", &failure), -1);
    OK(registry_logout(guarded.host, &found, &err));
    assert_false(found);
}

static void test_auth__a_helper_is_asked(void **state)
{
    (void)state;
    AUTO(mem_freep) char *program = mem_printf("%s/docker-credential-slipwaytest", folder);
    AUTO(mem_freep) char *path = mem_printf("%s:%s", folder, getenv("PATH"));
    static const char script[] =
        "#!/bin/sh\nread host\n[ \"$1\" = get ] || exit 3\n"
        "case $host in 127.*) echo '{\"Username\":\"me\",\"Secret\":\"secret\"}' ;;\n"
        "quiet*) echo 'credentials not found in native keychain'; exit 1 ;;\n"
        "https://index.docker.io/v1/) echo '{\"Username\":\"<token>\",\"Secret\":\"t\"}' ;;\n"
        "*) echo 'the vault is locked'; exit 1 ;; esac\n";
    OK(file_write_atomic(AT_FDCWD, program, script, sizeof script - 1, 0755, false, &err));
    setenv("PATH", path, 1);
    write_config("{\"credsStore\":\"slipwaytest\"}", "");
    OK(pull(guarded.host, "app:1", &err));
    struct credentials c = {0};
    OK(docker_config_get("quiet.example", NULL, &c, &err));
    assert_true(credentials_empty(&c));
    OK(docker_config_get("docker.io", NULL, &c, &err));
    assert_string_equal(c.identity_token, "t");
    credentials_release(&c);
    struct error failure = {0};
    assert_int_equal(docker_config_get("loud.example", NULL, &c, &failure), -1);
    assert_int_equal(failure.code, ERR_AUTH);
    SAYS(failure, "docker-credential-slipwaytest get: the vault is locked");
    write_config("{\"credHelpers\":{\"@\":\"nosuchhelper\"}}", "x.example");
    assert_int_equal(docker_config_get("x.example", NULL, &c, &failure), -1);
    SAYS(failure, "docker-credential-nosuchhelper");
    write_config("{\"credHelpers\":{\"@\":\"../evil\"}}", "x.example");
    assert_int_equal(docker_config_get("x.example", NULL, &c, &failure), -1);
    SAYS(failure, "is no name of a credential helper");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_auth__challenges_are_read),
        cmocka_unit_test(test_auth__anonymous_tokens_pull),
        cmocka_unit_test(test_auth__credentials_push_with_bearer),
        cmocka_unit_test(test_auth__basic_pushes_and_refuses),
        cmocka_unit_test(test_auth__an_expired_token_is_renewed_once),
        cmocka_unit_test(test_auth__login_checks_and_stores),
        cmocka_unit_test(test_auth__a_helper_is_asked),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
