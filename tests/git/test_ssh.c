#include "tests/git/world.h"

#include <stdbool.h>

/* A server (fixtures/ssh-server) that takes key $W/user (ed25519). False where there can be none.
 */
static bool serve_ssh(struct world *w)
{
    shell(w, "cd $W; mkdir -p home/.ssh; chmod 700 home home/.ssh; "
             "ssh-keygen -q -t ed25519 -N '' -f user");
    shell(w, "fixtures/ssh-server start $W/ssh $W/user.pub || test $? = 77");
    AUTO(mem_freep) char *port = world_capture(w, "cat ssh/port 2>/dev/null || true");
    w->port = (unsigned)strtoul(port, NULL, 10);
    return w->port != 0;
}

static int ssh_teardown(void **state)
{
    struct world *w = *state;
    shell(w, "fixtures/ssh-server stop $W/ssh");
    return world_teardown(state);
}

static void know(const struct world *w, const char *key)
{
    shell(w, "echo \"[127.0.0.1]:%u $(cut -d' ' -f1,2 $W/%s.pub)\" >$W/home/.ssh/known_hosts",
          w->port, key);
}

static void test_ssh__only_known_servers_and_our_keys(void **state)
{
    struct world *w = *state;
    world_app(w);
    if (!serve_ssh(w)) {
        skip();
    }
    AUTO(mem_freep) char *user = world_capture(w, "id -un");
    AUTO(mem_freep)
    char *url = mem_printf("ssh://%s@127.0.0.1:%u%s/srv/app.git", user, w->port, w->dir);
    shell(w, "cp $W/user $W/home/.ssh/id_ed25519");
    AUTO(mem_freep) char *add = mem_printf("ssh-keyscan -p %u 127.0.0.1 >>", w->port);
    world_refused(w, url, ERR_AUTH, add);
    know(w, "user");
    world_refused(w, url, ERR_AUTH, "is not the one in known_hosts");
    know(w, "ssh/host_rsa");
    world_refused(w, url, ERR_REMOTE, "ssh-keyscan");
    know(w, "ssh/host_ed25519");
    AUTO(git_source_release) struct git_source source = {0};
    world_source(w, url, &source);
    assert_non_null(tree_find(source.tree, "src/main.c"));
    shell(w, "rm -r $W/home/.ssh/id_ed25519; ssh-keygen -q -H -f $W/home/.ssh/known_hosts");
    world_refused(w, url, ERR_AUTH, "took no key");
    /* A key with a passphrase is passed over, the next is used. */
    shell(w,
          "cd $W/home/.ssh; ssh-keygen -q -t ed25519 -N pass -f id_ed25519; ssh-keygen -q -t ecdsa "
          "-N '' -f id_ecdsa; cat id_ecdsa.pub >>$W/ssh/authorized");
    AUTO(git_source_release) struct git_source again = {0};
    world_source(w, url, &again);
}

static void test_ssh__agent(void **state)
{
    struct world *w = *state;
    world_app(w);
    if (!serve_ssh(w)) {
        skip();
    }
    know(w, "ssh/host_ed25519");
    shell(w, "ssh-agent -a $W/agent >$W/agent.env; . $W/agent.env; ssh-add -q $W/user");
    AUTO(mem_freep) char *socket_path = mem_printf("%s/agent", w->dir);
    setenv("SSH_AUTH_SOCK", socket_path, 1);
    AUTO(mem_freep) char *user = world_capture(w, "id -un");
    AUTO(mem_freep)
    char *url = mem_printf("ssh://%s@127.0.0.1:%u%s/srv/app.git#v1", user, w->port, w->dir);
    struct error err = {0};
    AUTO(git_source_release) struct git_source source = {0};
    int failed =
        git_source_open(&(struct git_request){.store = w->store, .url = url}, &source, &err);
    shell(w, ". $W/agent.env; kill $SSH_AGENT_PID");
    if (failed) {
        fail_msg("%s", err.text);
    }
    /* An agent that is gone does not keep us from the keys. */
    shell(w, "rm -rf $W/store/git; cp $W/user $W/home/.ssh/id_ed25519");
    AUTO(git_source_release) struct git_source second = {0};
    world_source(w, url, &second);
    unsetenv("SSH_AUTH_SOCK");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ssh__only_known_servers_and_our_keys, world_setup,
                                        ssh_teardown),
        cmocka_unit_test_setup_teardown(test_ssh__agent, world_setup, ssh_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
