#include "tests/git/world.h"

#include "oci/folder.h"

/* One line for each entry: what a layer would say of it. */
static char *render(const struct tree *tree)
{
    AUTO(buf_release) struct buf out = BUF_INIT(0);
    for (size_t i = 0; i < tree_len(tree); i++) {
        const struct entry *e = tree_at(tree, i);
        struct error err = {0};
        AUTO(buf_release) struct buf text = BUF_INIT(0);
        if (e->type == ENTRY_FILE && e->size > 0) {
            assert_int_equal(entry_read(e, 4096, &text, &err), 0);
        }
        buf_printf(&out, "%d %o %u:%u %lu %d %u %s %s %s\n", e->type, e->mode, e->uid, e->gid,
                   (unsigned long)e->size, e->flags & ~ENTRY_HAS_DIGEST, e->xattrs_len, e->path,
                   e->link ? e->link : "-", buf_text(&text));
    }
    return buf_take(&out);
}

static struct tree *normalised(const struct world *w, const char *folder, bool *is_work_tree,
                               int64_t *commit_time)
{
    AUTO(mem_freep) char *path = mem_printf("%s/%s", w->dir, folder);
    AUTO(tree_unrefp) struct tree *raw = NULL;
    struct tree *tree = NULL;
    struct error err = {0};
    if (folder_tree(path, NULL, &raw, &err) ||
        git_normalise_folder(path, raw, is_work_tree, commit_time, &tree, &err)) {
        fail_msg("%s", err.text);
    }
    return tree;
}

static void assert_same_as_commit(struct world *w, const char *folder, const char *url)
{
    bool is_work_tree = false;
    int64_t commit_time = 0;
    AUTO(tree_unrefp) struct tree *tree = normalised(w, folder, &is_work_tree, &commit_time);
    assert_true(is_work_tree);
    AUTO(mem_freep) char *whole = mem_printf("file://%s/%s", w->dir, url);
    AUTO(git_source_release) struct git_source source = {0};
    world_source(w, whole, &source);
    AUTO(mem_freep) char *ours = render(tree);
    AUTO(mem_freep) char *theirs = render(source.tree);
    assert_string_equal(ours, theirs);
    assert_int_equal(commit_time, source.commit_time);
}

static void test_work_tree__clean_folder_is_its_commit(void **state)
{
    struct world *w = *state;
    world_app(w);
    /* Modes as another umask makes them, a hard link, folders that hold nothing. */
    shell(w, "cd $W/app; echo twin >src/a; cp src/a src/b; git add -A; git commit -qm twins; "
             "ln -f src/a src/b; chmod 600 README; chmod 711 run.sh; chmod 700 src; "
             "mkdir -p empty/er; setfattr -n user.x -v y README || true");
    assert_same_as_commit(w, "app", "app");
    assert_same_as_commit(w, "app/src", "app#:src");
}

static void test_work_tree__changes_and_ignored_files_are_seen(void **state)
{
    struct world *w = *state;
    world_app(w);
    shell(w, "cd $W/app; echo '*.o' >.gitignore; echo o >x.o; chmod 755 README; chmod 644 run.sh; "
             "mkdir made; echo m >made/m; chmod 600 made/m");
    bool is_work_tree = false;
    int64_t commit_time = 0;
    AUTO(tree_unrefp) struct tree *tree = normalised(w, "app", &is_work_tree, &commit_time);
    assert_true(is_work_tree);
    assert_non_null(tree_find(tree, "x.o"));
    assert_int_equal(tree_find(tree, "README")->mode, 0755);
    assert_int_equal(tree_find(tree, "run.sh")->mode, 0644);
    assert_int_equal(tree_find(tree, "made/m")->mode, 0644);
    assert_null(tree_find(tree, ".git"));
    assert_null(tree_find(tree, ".git/HEAD"));
    shell(w, "cd $W/app; git config core.fileMode false");
    AUTO(tree_unrefp) struct tree *by_index = normalised(w, "app", &is_work_tree, &commit_time);
    assert_int_equal(tree_find(by_index, "README")->mode, 0644);
    assert_int_equal(tree_find(by_index, "run.sh")->mode, 0755);
}

static void test_work_tree__submodules_are_folders(void **state)
{
    struct world *w = *state;
    world_app(w);
    shell(w, "git init -q $W/outer; cd $W/outer; git submodule -q add ../srv/app.git sub/app; "
             "echo o >o; git add -A; git commit -qm outer");
    /* The URL is relative to the repository's own place. */
    assert_same_as_commit(w, "outer", "outer");
}

static void test_work_tree__other_folders_stay_as_they_are(void **state)
{
    struct world *w = *state;
    world_app(w);
    shell(w, "mkdir -p $W/plain $W/app/out; echo p >$W/plain/p; echo q >$W/app/out/q; "
             "chmod 600 $W/plain/p $W/app/out/q; echo out >>$W/app/.git/info/exclude");
    bool is_work_tree = true;
    int64_t commit_time = 1;
    AUTO(tree_unrefp) struct tree *plain = normalised(w, "plain", &is_work_tree, &commit_time);
    assert_false(is_work_tree);
    assert_int_equal(commit_time, 0);
    assert_int_equal(tree_find(plain, "p")->mode, 0600);
    /* Only happens to lie in a repository. */
    is_work_tree = true;
    AUTO(tree_unrefp) struct tree *out = normalised(w, "app/out", &is_work_tree, &commit_time);
    assert_false(is_work_tree);
    assert_int_equal(tree_find(out, "q")->mode, 0600);
    is_work_tree = true;
    AUTO(tree_unrefp) struct tree *bare = normalised(w, "srv/app.git", &is_work_tree, &commit_time);
    assert_false(is_work_tree);
}

static void test_work_tree__repository_of_another_user(void **state)
{
    struct world *w = *state;
    world_app(w);
    if (geteuid() != 0) {
        skip();
    }
    shell(w, "git config --global --unset-all safe.directory; chown -R 12345:12345 $W/app $W/srv");
    bool is_work_tree = false;
    int64_t commit_time = 0;
    AUTO(tree_unrefp) struct tree *tree = normalised(w, "app", &is_work_tree, &commit_time);
    assert_true(is_work_tree);
    assert_int_equal(tree_find(tree, "README")->uid, 0);
    AUTO(mem_freep) char *url = mem_printf("file://%s/srv/app.git", w->dir);
    world_refused(w, url, ERR_USAGE, "git config --global --add safe.directory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_work_tree__clean_folder_is_its_commit, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(test_work_tree__changes_and_ignored_files_are_seen,
                                        world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_work_tree__submodules_are_folders, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(test_work_tree__other_folders_stay_as_they_are, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(test_work_tree__repository_of_another_user, world_setup,
                                        world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
