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

/* A repository whose .gitattributes ask for CRLF in all ways that there are, in three folders. */
static void make_line_ends(const struct world *w)
{
    shell(
        w,
        "git init -q $W/ends; cd $W/ends; mkdir -p sub/deep; "
        "printf '%%s\\n' '*.cmd text eol=crlf' '*.only eol=crlf' '*.auto text=auto eol=crlf' "
        "'*.in text=input eol=crlf' '*.old crlf eol=crlf' '*.no -text eol=crlf' "
        "'*.b binary eol=crlf' '[attr]dos text eol=crlf' '*.mac dos' 'sub/one.x text eol=crlf' "
        "'/top.x text eol=crlf' >.gitattributes; "
        "printf '%%s\\n' '*.cmd -text' 'deep/*.y text eol=crlf' >sub/.gitattributes; "
        "for d in . sub sub/deep; do for n in a.cmd a.only a.auto a.in a.old a.no a.b a.mac one.x "
        "top.x a.y plain; do printf 'one\\n\\ntwo\\nend' >$d/$n; done; "
        "printf 'x\\0y\\n' >$d/nul.auto; printf 'x\\0y\\n' >$d/nul.cmd; "
        "printf 'a\\rb\\n' >$d/cr.auto; printf 'a\\rb\\n' >$d/cr.cmd; "
        "printf '\\001\\002\\n' >$d/odd.auto; printf 'text\\n\\032' >$d/eof.auto; "
        "printf '\\n' >$d/n.cmd; : >$d/empty.cmd; done; "
        "git add -A; git commit -qm ends; git clone -q $W/ends $W/checked; cd $W/checked; "
        "git status --porcelain >$W/dirty; test ! -s $W/dirty; "
        "grep -q \"$(printf 'one\\r')\" a.cmd; ! grep -q \"$(printf '\\r')\" sub/a.cmd");
}

/* What git checks out is what a commit's tree says; the user's own configuration changes neither.
 */
static void test_work_tree__line_ends(void **state)
{
    struct world *w = *state;
    make_line_ends(w);
    assert_same_as_commit(w, "checked", "ends");
    /* Here the files never were checked out. */
    assert_same_as_commit(w, "ends", "ends");
    assert_same_as_commit(w, "checked/sub", "ends#:sub");
    assert_same_as_commit(w, "checked/sub/deep", "ends#:sub/deep");
    shell(w, "git config --global core.autocrlf true; git clone -q $W/ends $W/windows; "
             "grep -q \"$(printf 'one\\r')\" $W/windows/plain");
    assert_same_as_commit(w, "windows", "ends");
    assert_same_as_commit(w, "windows/sub", "ends#:sub");
    shell(w, "git config --global core.autocrlf false; git config --global core.eol crlf; "
             "echo '*.y text=auto' >>$W/ends/.gitattributes; git -C $W/ends commit -qam y; "
             "git clone -q $W/ends $W/eol; grep -q \"$(printf 'one\\r')\" $W/eol/a.y");
    assert_same_as_commit(w, "eol", "ends");
    /* A real change is one, whatever its line ends. */
    shell(w, "cd $W/eol; printf 'one\\r\\n\\r\\nTWO\\r\\nend' >a.y");
    bool is_work_tree = false;
    int64_t commit_time = 0;
    AUTO(tree_unrefp) struct tree *tree = normalised(w, "eol", &is_work_tree, &commit_time);
    assert_int_equal(tree_find(tree, "a.y")->size, 15);
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
        cmocka_unit_test_setup_teardown(test_work_tree__line_ends, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_work_tree__submodules_are_folders, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(test_work_tree__other_folders_stay_as_they_are, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(test_work_tree__repository_of_another_user, world_setup,
                                        world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
