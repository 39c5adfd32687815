#include "tests/git/world.h"

#include "git/credentials.h"
#include "git/known_hosts.h"

static void login_is(bool found, struct git_login *login, const char *user, const char *password)
{
    assert_true(found);
    assert_string_equal(login->user, user);
    assert_string_equal(login->password, password);
    git_login_release(login);
}

static void test_credentials__netrc(void **state)
{
    (void)state;
    static const char text[] =
        "# a comment: machine h login no password no\n"
        "machine other login o password op\n"
        "macdef init\n machine h login evil password evil\n\n"
        "machine h login first password #1\n"
        "machine h\n\tlogin second\n\taccount a\n\tpassword \"two \\\"words\\\"\"\n"
        "default login anonymous password guest";
    struct git_login login = {0};
    login_is(netrc_find(text, "H", NULL, &login), &login, "first", "#1");
    login_is(netrc_find(text, "h", "second", &login), &login, "second", "two \"words\"");
    login_is(netrc_find(text, "else", NULL, &login), &login, "anonymous", "guest");
    assert_false(netrc_find(text, "h", "third", &login));
    assert_false(netrc_find("machine h login", "h", NULL, &login));
    assert_false(netrc_find("machine", "h", NULL, &login));
    assert_false(netrc_find("", "h", NULL, &login));
}

/* Keys as the wire has them: the type's name, then anything. */
static const unsigned char key_a[] = "\0\0\0\x0bssh-ed25519AAAAAAAAA";
static const unsigned char key_b[] = "\0\0\0\x0bssh-ed25519BBBBBBBBB";
static const unsigned char key_r[] = "\0\0\0\x07ssh-rsaRRRRRRRRRRRRR";
#define B64_A "AAAAC3NzaC1lZDI1NTE5QUFBQUFBQUFB"
#define B64_B "AAAAC3NzaC1lZDI1NTE5QkJCQkJCQkJC"

static void test_credentials__known_hosts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *host;
        unsigned port;
        const unsigned char *key;
        enum known_host expected;
    } cases[] = {
        {"", "h", 22, key_a, KNOWN_HOST_UNKNOWN},
        {"h ssh-ed25519 " B64_A "\n", "h", 0, key_a, KNOWN_HOST_MATCH},
        {"h ssh-ed25519 " B64_A " comment\n", "H", 22, key_a, KNOWN_HOST_MATCH},
        {"h ssh-ed25519 " B64_A "\n", "h", 22, key_b, KNOWN_HOST_CHANGED},
        {"h ssh-ed25519 " B64_A "\n", "h", 22, key_r, KNOWN_HOST_UNKNOWN},
        {"h ssh-ed25519 " B64_A "\n", "h", 2222, key_a, KNOWN_HOST_UNKNOWN},
        {"[h]:2222 ssh-ed25519 " B64_A "\n", "h", 2222, key_a, KNOWN_HOST_MATCH},
        {"[h]:2222 ssh-ed25519 " B64_A "\n", "h", 22, key_a, KNOWN_HOST_UNKNOWN},
        {"x,h,y ssh-ed25519 " B64_A "\n", "h", 22, key_a, KNOWN_HOST_MATCH},
        {"*.example.com,!bad.example.com ssh-ed25519 " B64_A, "git.example.com", 22, key_a,
         KNOWN_HOST_MATCH},
        {"*.example.com,!bad.example.com ssh-ed25519 " B64_A, "bad.example.com", 22, key_a,
         KNOWN_HOST_UNKNOWN},
        {"h? ssh-ed25519 " B64_A, "h1", 22, key_a, KNOWN_HOST_MATCH},
        {"h ssh-ed25519 " B64_B "\nh ssh-ed25519 " B64_A "\n", "h", 22, key_a, KNOWN_HOST_MATCH},
        {"h ssh-ed25519 " B64_A "\n@revoked * ssh-ed25519 " B64_A "\n", "h", 22, key_a,
         KNOWN_HOST_REVOKED},
        {"@cert-authority * ssh-ed25519 " B64_A "\n", "h", 22, key_a, KNOWN_HOST_UNKNOWN},
        {"# h ssh-ed25519 " B64_A "\n", "h", 22, key_a, KNOWN_HOST_UNKNOWN},
        {"h ssh-ed25519 !!!!\nh\nh ssh-ed25519\n", "h", 22, key_a, KNOWN_HOST_UNKNOWN},
        /* ssh-keygen -H: salt of 20 bytes "0123...", name "h" */
        {"|1|MDEyMzQ1Njc4OTAxMjM0NTY3ODk=|HASH ssh-ed25519 " B64_A, "h", 22, key_a,
         KNOWN_HOST_UNKNOWN},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum known_host got =
            known_hosts_find(cases[i].text, cases[i].host, cases[i].port, cases[i].key, 24);
        if (got != cases[i].expected) {
            fail_msg("case %zu: %d", i, (int)got);
        }
    }
}

/* What ssh-keygen itself hashes is found. */
static void test_credentials__known_hosts_hashed_by_ssh_keygen(void **state)
{
    struct world *w = *state;
    shell(
        w,
        "printf 'git.example.com ssh-ed25519 " B64_A "\\n[git.example.com]:22022 ssh-ed25519 " B64_B
        "\\n' >$W/known; ssh-keygen -q -t ed25519 -N '' -f $W/key; K=$(cut -d' ' -f2 $W/key.pub); "
        "printf 'git.example.com ssh-ed25519 %%s\\n' $K >$W/known; ssh-keygen -q -H -f $W/known; "
        "grep -q '^|1|' $W/known; printf %%s $K | base64 -d >$W/blob");
    AUTO(mem_freep) char *text = world_capture(w, "cat known");
    AUTO(mem_freep) char *path = mem_printf("%s/blob", w->dir);
    unsigned char blob[256];
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    size_t len = fread(blob, 1, sizeof blob, f);
    fclose(f);
    assert_int_equal(known_hosts_find(text, "git.example.com", 22, blob, len), KNOWN_HOST_MATCH);
    assert_int_equal(known_hosts_find(text, "git.example.org", 22, blob, len), KNOWN_HOST_UNKNOWN);
    blob[len - 1] ^= 1;
    assert_int_equal(known_hosts_find(text, "git.example.com", 22, blob, len), KNOWN_HOST_CHANGED);
}

static void private_server(struct world *w)
{
    world_app(w);
    world_serve(w, "me:s3cr/t@");
}

static char *private_url(const struct world *w, const char *login)
{
    return mem_printf("http://%s127.0.0.1:%u/app.git", login, w->port);
}

static void test_credentials__none_and_wrong_ones(void **state)
{
    struct world *w = *state;
    private_server(w);
    AUTO(mem_freep) char *none = private_url(w, "");
    world_refused(w, none, ERR_AUTH, "needs a name and password");
    AUTO(mem_freep) char *wrong = private_url(w, "me:hunter2@");
    struct error err = {0};
    struct git_source source = {0};
    assert_int_equal(
        git_source_open(&(struct git_request){.store = w->store, .url = wrong}, &source, &err), -1);
    assert_int_equal(err.code, ERR_AUTH);
    assert_non_null(strstr(err.text, "refused"));
    assert_null(strstr(err.text, "hunter2"));
}

static void test_credentials__from_the_url(void **state)
{
    struct world *w = *state;
    private_server(w);
    AUTO(mem_freep) char *url = private_url(w, "me:s3cr%2Ft%40@");
    AUTO(git_source_release) struct git_source source = {0};
    world_source(w, url, &source);
    assert_null(strstr(source.url, "s3cr"));
    /* Nothing of it stays in the store. */
    shell(w, "! grep -r s3cr $W/store");
}

static void test_credentials__from_netrc(void **state)
{
    struct world *w = *state;
    private_server(w);
    AUTO(mem_freep) char *netrc = mem_printf("%s/netrc", w->dir);
    shell(w, "printf 'machine 127.0.0.1 login me password s3cr/t@\\n' >$W/netrc");
    setenv("NETRC", netrc, 1);
    AUTO(mem_freep) char *url = private_url(w, "");
    AUTO(git_source_release) struct git_source source = {0};
    world_source(w, url, &source);
    unsetenv("NETRC");
    shell(w, "rm -rf $W/store/git; cp $W/netrc $W/home/.netrc");
    AUTO(git_source_release) struct git_source again = {0};
    world_source(w, url, &again);
}

static void test_credentials__from_a_helper(void **state)
{
    struct world *w = *state;
    private_server(w);
    AUTO(mem_freep) char *url = private_url(w, "");
    AUTO(git_source_release) struct git_source source = {0};
    shell(w, "printf '#!/bin/sh\\ncat >%%s/asked\\necho username=me\\necho password=s3cr/t@\\n' $W "
             ">$W/helper; chmod 755 $W/helper; git config --global credential.helper $W/helper");
    world_source(w, url, &source);
    AUTO(mem_freep) char *asked = world_capture(w, "tr '\\n' ' ' <asked");
    AUTO(mem_freep)
    char *expected = mem_printf("protocol=http host=127.0.0.1:%u ", w->port);
    assert_int_equal(strncmp(asked, expected, strlen(expected)), 0);
    /* One that says nothing, and one that does not exist. */
    shell(w, "rm -rf $W/store/git; git config --global credential.helper '!true'");
    world_refused(w, url, ERR_AUTH, "needs a name and password");
    shell(w, "git config --global credential.helper nonesuch");
    world_refused(w, url, ERR_AUTH, "needs a name and password");
}

/* What CI does: a token for all of a host, by git's own rewriting of URLs. */
static void test_credentials__from_instead_of(void **state)
{
    struct world *w = *state;
    private_server(w);
    shell(w,
          "git config --global url.'http://me:s3cr%%2Ft%%40@127.0.0.1:%u/'.insteadOf "
          "https://git.example.com/",
          w->port);
    AUTO(git_source_release) struct git_source source = {0};
    world_source(w, "https://git.example.com/app.git", &source);
    assert_string_equal(source.url, "https://git.example.com/app.git");
}

/* netrc has a stale password, the helper the right one. */
static void test_credentials__the_next_way_is_tried(void **state)
{
    struct world *w = *state;
    private_server(w);
    shell(w, "printf 'machine 127.0.0.1 login me password old\\n' >$W/home/.netrc; "
             "git config --global credential.helper '!f() { echo username=me; echo "
             "password=s3cr/t@; }; f'");
    AUTO(mem_freep) char *url = private_url(w, "");
    AUTO(git_source_release) struct git_source source = {0};
    world_source(w, url, &source);
}

/* A server that sends us elsewhere must not see the password of the first. */
static void test_credentials__no_password_follows_a_redirect(void **state)
{
    struct world *w = *state;
    private_server(w);
    shell(w, "cat >$W/redirect.py <<'PY'\n"
             "import http.server, sys\n"
             "class H(http.server.BaseHTTPRequestHandler):\n"
             "    def do_GET(self):\n"
             "        if not self.path.startswith('/away'):\n"
             "            self.send_response(302)\n"
             "            self.send_header('Location', 'http://localhost:%%d/away%%s' %% (port, "
             "self.path))\n"
             "        else:\n"
             "            open(sys.argv[1] + '/seen', "
             "'a').write(str(self.headers.get('Authorization')) + '\\n')\n"
             "            self.send_response(401)\n"
             "            self.send_header('WWW-Authenticate', 'Basic realm=\"x\"')\n"
             "        self.send_header('Content-Length', '0')\n"
             "        self.end_headers()\n"
             "s = http.server.ThreadingHTTPServer(('127.0.0.1', 0), H)\n"
             "port = s.server_address[1]\n"
             "open(sys.argv[1] + '/redirect.port', 'w').write('%%d\\n' %% port)\n"
             "s.serve_forever()\n"
             "PY\n"
             "python3 $W/redirect.py $W </dev/null & echo $! >$W/redirect.pid; "
             "for i in $(seq 50); do test -s $W/redirect.port && break; sleep 0.1; done; "
             "printf 'default login me password s3cret\\n' >$W/home/.netrc");
    AUTO(mem_freep) char *port = world_capture(w, "cat redirect.port");
    AUTO(mem_freep) char *url = mem_printf("http://127.0.0.1:%s/app.git", port);
    struct error err = {0};
    struct git_source source = {0};
    assert_int_equal(
        git_source_open(&(struct git_request){.store = w->store, .url = url}, &source, &err), -1);
    shell(w, "kill $(cat $W/redirect.pid); grep -q None $W/seen; ! grep -q Basic $W/seen");
}

int main(void)
{
#define IN_WORLD(TEST) cmocka_unit_test_setup_teardown(TEST, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_credentials__netrc),
        cmocka_unit_test(test_credentials__known_hosts),
        IN_WORLD(test_credentials__known_hosts_hashed_by_ssh_keygen),
        IN_WORLD(test_credentials__none_and_wrong_ones),
        IN_WORLD(test_credentials__from_the_url),
        IN_WORLD(test_credentials__from_netrc),
        IN_WORLD(test_credentials__from_a_helper),
        IN_WORLD(test_credentials__from_instead_of),
        IN_WORLD(test_credentials__the_next_way_is_tried),
        IN_WORLD(test_credentials__no_password_follows_a_redirect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
