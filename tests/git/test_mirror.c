#include "tests/git/world.h"

#include <signal.h>
#include <sys/wait.h>

static char *http_url(const struct world *w, const char *rest)
{
    return mem_printf("http://127.0.0.1:%u/%s", w->port, rest);
}

static void test_mirror__refs_resolve_in_order(void **state)
{
    struct world *w = *state;
    world_app(w);
    /* A tag and a branch of one name: the branch counts. */
    shell(w, "cd $W/srv/app.git; git branch v1 feature; git update-ref refs/pull/7/head feature");
    world_serve(w, NULL);
    static const char *const cases[][2] = {{"", "main"},
                                           {"#main", "main"},
                                           {"#feature", "feature"},
                                           {"#v1", "feature"},
                                           {"#refs/tags/v1", "main"},
                                           {"#HEAD", "main"},
                                           {"#refs/pull/7/head", "feature"},
                                           {"#pull/7/head", "feature"},
                                           {"#heads/feature", "feature"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(mem_freep)
        char *command =
            mem_printf("git --git-dir=srv/app.git rev-parse refs/heads/%s", cases[i][1]);
        AUTO(mem_freep) char *expected = world_capture(w, command);
        AUTO(mem_freep) char *rest = mem_printf("app.git%s", cases[i][0]);
        AUTO(mem_freep) char *url = http_url(w, rest);
        AUTO(git_source_release) struct git_source source = {0};
        world_source(w, url, &source);
        assert_string_equal(source.commit, expected);
        assert_int_equal(source.commit_time, 1700000000);
        AUTO(git_source_release) struct git_source local = {0};
        AUTO(mem_freep) char *file = mem_printf("file://%s/srv/app.git%s", w->dir, cases[i][0]);
        world_source(w, file, &local);
        assert_string_equal(local.commit, expected);
        assert_string_equal(local.tree_id, source.tree_id);
    }
}

static void test_mirror__commit_ids_whole_and_short(void **state)
{
    struct world *w = *state;
    world_app(w);
    world_serve(w, NULL);
    AUTO(mem_freep) char *id = world_capture(w, "git -C app rev-parse feature");
    AUTO(mem_freep) char *whole = mem_printf("app.git#%s", id);
    AUTO(mem_freep) char *cut = mem_printf("app.git#%.9s", id);
    const char *refs[] = {whole, cut};
    for (size_t i = 0; i < 2; i++) {
        AUTO(mem_freep) char *url = http_url(w, refs[i]);
        AUTO(git_source_release) struct git_source source = {0};
        world_source(w, url, &source);
        assert_string_equal(source.commit, id);
    }
    /* A whole id that is there asks nobody. */
    shell(w, "fixtures/git-server stop $W/server");
    AUTO(mem_freep) char *url = http_url(w, whole);
    AUTO(git_source_release) struct git_source source = {0};
    world_source(w, url, &source);
    assert_string_equal(source.commit, id);
}

static void test_mirror__commit_that_no_ref_reaches(void **state)
{
    struct world *w = *state;
    world_app(w);
    shell(w, "cd $W/app; git checkout -q --detach; echo z >z; git add z; git commit -qm three; "
             "git push -q $W/srv/app.git HEAD:refs/keep/x; git -C $W/srv/app.git update-ref -d "
             "refs/keep/x");
    world_serve(w, NULL);
    AUTO(mem_freep) char *id = world_capture(w, "git -C app rev-parse HEAD");
    AUTO(mem_freep) char *rest = mem_printf("app.git#%s", id);
    AUTO(mem_freep) char *url = http_url(w, rest);
    AUTO(git_source_release) struct git_source source = {0};
    world_source(w, url, &source);
    assert_non_null(tree_find(source.tree, "z"));
}

static void test_mirror__missing_things_name_the_nearest(void **state)
{
    struct world *w = *state;
    world_app(w);
    world_serve(w, NULL);
    AUTO(mem_freep) char *ref = http_url(w, "app.git#featur");
    world_refused(w, ref, ERR_USAGE, "did you mean 'feature'?");
    AUTO(mem_freep) char *dir = http_url(w, "app.git#main:scr");
    world_refused(w, dir, ERR_USAGE, "did you mean 'src'?");
    AUTO(mem_freep) char *deep = http_url(w, "app.git#main:src/dep");
    world_refused(w, deep, ERR_USAGE, "did you mean 'deep'?");
    AUTO(mem_freep) char *file = http_url(w, "app.git#main:README");
    world_refused(w, file, ERR_USAGE, "no folder");
    AUTO(mem_freep) char *id = http_url(w, "app.git#0123456789012345678901234567890123456789");
    world_refused(w, id, ERR_USAGE, "no branch, tag or commit");
    AUTO(mem_freep) char *none = http_url(w, "none.git");
    world_refused(w, none, ERR_REMOTE, "none.git");
    world_refused(w, "http://127.0.0.1:1/x.git", ERR_REMOTE, "127.0.0.1:1");
    world_refused(w, "file:///nowhere/x.git", ERR_USAGE, "no git repository");
}

static void test_mirror__the_second_fetch_gets_only_what_is_new(void **state)
{
    struct world *w = *state;
    world_app(w);
    world_serve(w, NULL);
    AUTO(mem_freep) char *url = http_url(w, "app.git");
    AUTO(git_source_release) struct git_source first = {0};
    world_source(w, url, &first);
    shell(w, "cd $W/app; echo new >new; git add new; git commit -qm new; git push -q "
             "$W/srv/app.git main");
    AUTO(git_source_release) struct git_source second = {0};
    world_source(w, url, &second);
    assert_non_null(tree_find(second.tree, "new"));
    assert_null(tree_find(first.tree, "new"));
    /* Two packs, of which the second holds the new commit, tree and blob alone. */
    AUTO(mem_freep)
    char *objects = world_capture(w, "for p in store/git/*/objects/pack/*.idx; do git show-index "
                                     "<$p | wc -l; done | sort -n | tr '\\n' ' '");
    assert_int_equal(strncmp(objects, "3 ", 2), 0);
    AUTO(git_source_release) struct git_source third = {0};
    struct error err = {0};
    shell(w, "fixtures/git-server stop $W/server");
    assert_int_equal(
        git_source_open(&(struct git_request){.store = w->store, .url = url, .offline = true},
                        &third, &err),
        0);
    assert_string_equal(third.commit, second.commit);
    assert_int_equal(git_source_open(&(struct git_request){.store = w->store,
                                                           .url = "http://127.0.0.1:1/y.git",
                                                           .offline = true},
                                     &third, &err),
                     -1);
    assert_non_null(strstr(err.text, "offline"));
}

static void test_mirror__rewritten_history_and_renamed_branches(void **state)
{
    struct world *w = *state;
    world_app(w);
    world_serve(w, NULL);
    AUTO(mem_freep) char *url = http_url(w, "app.git#feature");
    AUTO(git_source_release) struct git_source first = {0};
    world_source(w, url, &first);
    /* "feature" becomes a folder of branches, and main loses a commit. */
    shell(w, "cd $W/srv/app.git; git branch -m feature x; git branch feature/one x");
    AUTO(mem_freep) char *below = http_url(w, "app.git#feature/one");
    AUTO(git_source_release) struct git_source second = {0};
    world_source(w, below, &second);
    assert_string_equal(first.commit, second.commit);
    world_refused(w, url, ERR_USAGE, "no branch, tag or commit 'feature'");
    shell(w, "cd $W/app; git checkout -q --orphan fresh; git commit -qm fresh; git push -qf "
             "$W/srv/app.git fresh:main");
    AUTO(mem_freep) char *main_url = http_url(w, "app.git#main");
    AUTO(git_source_release) struct git_source third = {0};
    world_source(w, main_url, &third);
    AUTO(mem_freep) char *id = world_capture(w, "git -C app rev-parse fresh");
    assert_string_equal(third.commit, id);
}

static void test_mirror__a_broken_mirror_is_made_anew(void **state)
{
    static const char *const harms[] = {
        "rm $W/store/git/*/objects/pack/*.pack",
        "for p in $W/store/git/*/objects/pack/*.pack; do chmod 644 $p; truncate -s 40 $p; done",
        "rm $W/store/git/*/HEAD",
        "rm -r $W/store/git/*/objects",
        "for f in $W/store/git/*/refs/heads/main; do echo rubbish >$f; done",
    };
    struct world *w = *state;
    world_app(w);
    world_serve(w, NULL);
    AUTO(mem_freep) char *url = http_url(w, "app.git#main");
    for (size_t i = 0; i < ARRAY_LEN(harms); i++) {
        AUTO(git_source_release) struct git_source source = {0};
        world_source(w, url, &source);
        git_source_release(&source); /* libgit2 shares open packs in a process, by their names */
        shell(w, "%s", harms[i]);
        AUTO(git_source_release) struct git_source again = {0};
        world_source(w, url, &again);
        const struct entry *entry = tree_find(again.tree, "README");
        AUTO(buf_release) struct buf text = BUF_INIT(0);
        struct error err = {0};
        assert_int_equal(entry_read(entry, 100, &text, &err), 0);
        assert_string_equal(buf_text(&text), "hello\n");
    }
}

/* The server is not asked for a whole commit id that is there: what cannot be read is seen so. */
static void test_mirror__a_damaged_commit_is_fetched_anew(void **state)
{
    struct world *w = *state;
    world_app(w);
    world_serve(w, NULL);
    AUTO(mem_freep) char *id = world_capture(w, "git -C app rev-parse main");
    AUTO(mem_freep) char *path = mem_printf("app.git#%s", id);
    AUTO(mem_freep) char *url = http_url(w, path);
    AUTO(git_source_release) struct git_source source = {0};
    world_source(w, url, &source);
    git_source_release(&source);
    shell(w, "rm -rf $W/store/records; for p in $W/store/git/*/objects/pack/*.pack; do chmod 644 "
             "$p; dd if=/dev/zero of=$p bs=1 seek=12 count=400 conv=notrunc status=none; done");
    AUTO(git_source_release) struct git_source again = {0};
    world_source(w, url, &again);
    assert_string_equal(again.commit, id);
}

static void die_in_the_middle(struct event_sink *sink, const struct event *event)
{
    (void)sink;
    if (event->status == STATUS_RUNNING && event->current > 0) {
        kill(getpid(), SIGKILL);
    }
}

static void test_mirror__a_kill_in_the_first_fetch_leaves_nothing(void **state)
{
    struct world *w = *state;
    shell(w,
          "git init -q $W/big; cd $W/big; for i in 1 2 3 4 5 6; do head -c 8000000 /dev/urandom "
          ">f$i; done; git add -A; git commit -qm big; git clone -q --bare $W/big $W/srv/big.git");
    world_serve(w, NULL);
    AUTO(mem_freep) char *url = http_url(w, "big.git");
    pid_t pid = fork();
    if (pid == 0) {
        struct store *store = NULL;
        struct git_source source = {0};
        struct error err = {0};
        char path[96];
        snprintf(path, sizeof path, "%s/store", w->dir);
        store_open(path, &store, &err);
        struct event_sink sink = {.post = die_in_the_middle};
        _exit(git_source_open(&(struct git_request){.store = store, .url = url, .events = &sink},
                              &source, &err)
                  ? 1
                  : 0);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    bool killed = WIFSIGNALED(status);
    AUTO(mem_freep) char *begun = world_capture(w, "find store/tmp -name 'pack_git2_*' | wc -l");
    assert_string_equal(begun, "1");
    AUTO(mem_freep) char *made = world_capture(w, "ls store/git 2>/dev/null | wc -l");
    assert_string_equal(made, "0");
    assert_true(killed);
    world_open_store(w);
    AUTO(git_source_release) struct git_source source = {0};
    world_source(w, url, &source);
    assert_int_equal(tree_len(source.tree), 6);
    store_freep(&w->store);
    AUTO(mem_freep) char *left = world_capture(w, "find store/tmp -name 'pack*' | wc -l");
    assert_string_equal(left, "0");
    world_open_store(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_mirror__refs_resolve_in_order, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(test_mirror__commit_ids_whole_and_short, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(test_mirror__commit_that_no_ref_reaches, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(test_mirror__missing_things_name_the_nearest, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(test_mirror__the_second_fetch_gets_only_what_is_new,
                                        world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_mirror__rewritten_history_and_renamed_branches,
                                        world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_mirror__a_damaged_commit_is_fetched_anew, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(test_mirror__a_broken_mirror_is_made_anew, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(test_mirror__a_kill_in_the_first_fetch_leaves_nothing,
                                        world_setup, world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
