#include "tests/git/world.h"

#include <time.h>

#include "base/pool.h"
#include "git/commit_tree.h"

static void world_file_source(struct world *w, const char *rest, struct git_source *out)
{
    AUTO(mem_freep) char *url = mem_printf("file://%s/%s", w->dir, rest);
    world_source(w, url, out);
}

static void test_commit_tree__entries_are_as_git_has_them(void **state)
{
    struct world *w = *state;
    world_app(w);
    shell(w, "cd $W/app; chmod 600 README");
    AUTO(git_source_release) struct git_source source = {0};
    world_file_source(w, "app", &source);
    static const struct {
        const char *path;
        enum entry_type type;
        uint32_t mode;
    } expected[] = {{"README", ENTRY_FILE, 0644},    {"link", ENTRY_SYMLINK, 0777},
                    {"run.sh", ENTRY_FILE, 0755},    {"src", ENTRY_DIR, 0755},
                    {"src/deep", ENTRY_DIR, 0755},   {"src/deep/x", ENTRY_FILE, 0644},
                    {"src/main.c", ENTRY_FILE, 0644}};
    assert_int_equal(tree_len(source.tree), ARRAY_LEN(expected));
    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        const struct entry *entry = tree_at(source.tree, i);
        assert_string_equal(entry->path, expected[i].path);
        assert_int_equal(entry->type, expected[i].type);
        assert_int_equal(entry->mode, expected[i].mode);
        assert_int_equal(entry->uid + entry->gid, 0);
        assert_true(entry->flags & ENTRY_TIME_VOLATILE);
    }
    assert_string_equal(tree_find(source.tree, "link")->link, "src/main.c");
    AUTO(git_source_release) struct git_source below = {0};
    world_file_source(w, "app#main:/src/../src/deep/", &below);
    assert_int_equal(tree_len(below.tree), 1);
    assert_string_equal(tree_at(below.tree, 0)->path, "x");
    assert_string_equal(below.subdir, "src/deep");
}

static enum folder_verdict judge(void *ctx, const char *path, bool is_dir)
{
    struct buf *seen = ctx;
    buf_printf(seen, "%s%s ", path, is_dir ? "/" : "");
    if (strcmp(path, "gone") == 0 || strcmp(path, "README") == 0) {
        return FOLDER_DROP;
    }
    bool enter = strcmp(path, "empty") == 0 || strcmp(path, "src") == 0;
    return is_dir && enter ? FOLDER_ENTER : strstr(path, "empty/") ? FOLDER_DROP : FOLDER_KEEP;
}

static void test_commit_tree__filter_prunes_folders_unseen(void **state)
{
    struct world *w = *state;
    world_app(w);
    shell(w, "cd $W/app; mkdir gone empty; echo x >gone/x; echo x >empty/x; git add -A; git commit "
             "-qm x");
    AUTO(buf_release) struct buf seen = BUF_INIT(0);
    struct folder_filter filter = {.judge = judge, .ctx = &seen};
    AUTO(mem_freep) char *url = mem_printf("file://%s/app", w->dir);
    AUTO(git_source_release) struct git_source source = {0};
    struct error err = {0};
    assert_int_equal(
        git_source_open(&(struct git_request){.store = w->store, .url = url, .filter = &filter},
                        &source, &err),
        0);
    assert_null(strstr(buf_text(&seen), "gone/x"));
    assert_non_null(strstr(buf_text(&seen), "empty/x"));
    assert_null(tree_find(source.tree, "gone"));
    assert_null(tree_find(source.tree, "empty"));
    assert_null(tree_find(source.tree, "README"));
    assert_non_null(tree_find(source.tree, "src"));
    assert_non_null(tree_find(source.tree, "src/deep/x"));
}

/* A commit whose tree holds one entry MODE NAME for an object of TYPE; the folder it lies in is
 * "top". */
static void make_hostile(const struct world *w, const char *mode, const char *name)
{
    shell(w,
          "rm -rf $W/evil.git; git init -q --bare $W/evil.git; cd $W/evil.git; python3 - <<'PY'\n"
          "import subprocess\n"
          "def put(kind, data):\n"
          "    return subprocess.run(['git','hash-object','-t',kind,'-w','--literally','--stdin'],"
          "input=data,stdout=subprocess.PIPE,check=True).stdout.decode().strip()\n"
          "blob = put('blob', b'content')\n"
          "inner = put('tree', b'100644 x\\0' + bytes.fromhex(blob))\n"
          "ids = {'40000': inner}\n"
          "tree = b''\n"
          "for mode, name in zip('%s'.split(), b'%s'.split(b'|')):\n"
          "    tree += mode.encode() + b' ' + name + b'\\0' + bytes.fromhex(ids.get(mode, blob))\n"
          "tree = put('tree', tree)\n"
          "top = put('tree', b'40000 top\\0' + bytes.fromhex(tree))\n"
          "commit = subprocess.run(['git','commit-tree','-m','x',top],stdout=subprocess.PIPE,"
          "check=True).stdout.decode().strip()\n"
          "subprocess.run(['git','update-ref','refs/heads/main',commit],check=True)\n"
          "PY",
          mode, name);
}

static void test_commit_tree__hostile_names_are_refused(void **state)
{
    struct world *w = *state;
    static const char *const cases[][3] = {
        {"100644", "..", "not allowed"},
        {"40000", "..", "not allowed"},
        {"100644", ".", "not allowed"},
        {"40000", ".git", "not allowed"},
        {"40000", ".GiT", "not allowed"},
        {"40000", "git~1", "not allowed"},
        {"40000", ".git. .", "not allowed"},
        {"40000", ".git::$INDEX_ALLOCATION", "not allowed"},
        {"40000", ".g\\xe2\\x80\\x8cit", "not allowed"},
        {"100644", "a/b", "not allowed"},
        {"100644", "/etc/passwd", "not allowed"},
        {"100644", "../../x", "not allowed"},
        {"100644 40000", "a|a", ""},
        {"120000 40000", "a|a", ""},
    };
    AUTO(mem_freep) char *url = mem_printf("file://%s/evil.git", w->dir);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        make_hostile(w, cases[i][0], cases[i][1]);
        struct error err = {0};
        AUTO(git_source_release) struct git_source source = {0};
        int failed =
            git_source_open(&(struct git_request){.store = w->store, .url = url}, &source, &err);
        if (!failed) {
            /* Where git's own order leaves a choice, what comes out must still be a tree. */
            assert_string_equal(cases[i][2], "");
            assert_int_equal(tree_find(source.tree, "top/a")->type, ENTRY_DIR);
            continue;
        }
        if (!strstr(err.text, cases[i][2]) || strchr(err.text, '\n')) {
            fail_msg("case %zu: %s", i, err.text);
        }
        assert_int_equal(err.code, ERR_REMOTE);
    }
    /* Harmless neighbours of those names. */
    make_hostile(w, "100644 100644 100644", ".gitx|...|git~2");
    AUTO(git_source_release) struct git_source source = {0};
    world_source(w, url, &source);
    assert_int_equal(tree_len(source.tree), 4);
}

struct heard {
    struct event_sink sink;
    unsigned warnings;
    unsigned transfers;
    char text[256];
};

static void hear(struct event_sink *sink, const struct event *event)
{
    struct heard *heard = (struct heard *)sink;
    if (event->type == EVENT_WARNING) {
        heard->warnings++;
        snprintf(heard->text, sizeof heard->text, "%s", event->text);
    }
    heard->transfers += event->type == EVENT_TRANSFER;
}

static void test_commit_tree__attributes_that_are_not_applied_are_told(void **state)
{
    static const struct {
        const char *line;
        bool told;
    } cases[] = {{"*.c ident", true},
                 {"*.none working-tree-encoding=UTF-16", true},
                 {"*.c text ident eol=lf", true},
                 {"identity text", false},
                 {"*.c identical", false},
                 {"ident text", false}};
    struct world *w = *state;
    world_app(w);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        shell(w, "cd $W/app; echo '%s' >.gitattributes; git add -A; git commit -qm x",
              cases[i].line);
        AUTO(mem_freep) char *url = mem_printf("file://%s/app", w->dir);
        struct heard heard = {.sink = {.post = hear}};
        AUTO(git_source_release) struct git_source source = {0};
        struct error err = {0};
        assert_int_equal(
            git_source_open(
                &(struct git_request){.store = w->store, .url = url, .events = &heard.sink},
                &source, &err),
            0);
        assert_int_equal(heard.warnings, cases[i].told);
    }
}

static void test_commit_tree__lfs_pointers_are_told_once(void **state)
{
    struct world *w = *state;
    world_app(w);
    shell(w,
          "cd $W/app; echo '*.bin filter=lfs diff=lfs merge=lfs -text' >.gitattributes; for i in 1 "
          "2; do "
          "printf 'version https://git-lfs.github.com/spec/v1\\noid sha256:%%064d\\nsize 12\\n' $i "
          ">$i.bin; done; git -c filter.lfs.clean=cat add -A; git commit -qm lfs");
    struct heard heard = {.sink = {.post = hear}};
    AUTO(mem_freep) char *url = mem_printf("file://%s/app", w->dir);
    AUTO(git_source_release) struct git_source source = {0};
    struct error err = {0};
    assert_int_equal(
        git_source_open(&(struct git_request){.store = w->store, .url = url, .events = &heard.sink},
                        &source, &err),
        0);
    assert_int_equal(heard.warnings, 1);
    assert_non_null(strstr(heard.text, "1.bin"));
    assert_int_equal(tree_find(source.tree, "2.bin")->size, 127);
}

static void test_commit_tree__submodules_are_folders(void **state)
{
    struct world *w = *state;
    world_app(w);
    world_serve(w, NULL);
    shell(w, "git init -q $W/mid; cd $W/mid; git submodule -q add $W/srv/app.git deep; "
             "sed -i 's|url = .*|url = ../app.git|' .gitmodules; git add -A; git commit -qm mid; "
             "git clone -q --bare $W/mid $W/srv/mid.git; "
             "git init -q $W/outer; cd $W/outer; git submodule -q add $W/srv/mid.git 'libs/a b'; "
             "sed -i 's|url = .*|url = \"./../mid.git\" ; why not|' .gitmodules; git add -A; "
             "git commit -qm outer; git clone -q --bare $W/outer $W/srv/outer.git");
    AUTO(mem_freep) char *url = mem_printf("http://127.0.0.1:%u/outer.git", w->port);
    AUTO(git_source_release) struct git_source source = {0};
    world_source(w, url, &source);
    assert_non_null(tree_find(source.tree, "libs/a b/deep/src/main.c"));
    assert_int_equal(tree_find(source.tree, "libs/a b")->type, ENTRY_DIR);
    AUTO(mem_freep) char *below = mem_printf("%s#:libs", url);
    AUTO(git_source_release) struct git_source sub = {0};
    world_source(w, below, &sub);
    assert_non_null(tree_find(sub.tree, "a b/deep/run.sh"));
    AUTO(mem_freep) char *inside = mem_printf("%s#:libs/a b", url);
    world_refused(w, inside, ERR_USAGE, "submodule");
}

static void test_commit_tree__hostile_submodules_are_refused(void **state)
{
    struct world *w = *state;
    static const char *const cases[][2] = {
        {"[submodule \"x\"]\\n path = ../x\\n url = ./y\\n", "not allowed"},
        {"[submodule \"x\"]\\n path = sub\\n url = -u./y\\n", "not allowed"},
        {"[submodule \"x\"]\\n path = .git/x\\n url = ./y\\n", "not allowed"},
        {"[submodule \"x\"]\\n path = sub\\n url = file:///etc\\n", "local folder"},
        {"[submodule \"x\"]\\n path = sub\\n url = /etc\\n", "local folder"},
        {"[submodule \"x\"]\\n path = sub\\n url = ../../../../../../x\\n", "leads out"},
        {"[submodule \"x\"]\\n path = sub\\n url = ext::sh -c id\\n", "not a git URL"},
        {"[submodule \"x\"]\\n path = sub\\n url = \\\"http://a\\\\nhost=b/x.git\\\"\\n",
         "control"},
        {"[submodule \"x\"]\\n path = sub\\n url = .\\n", "not a git URL"},
        {"[other]\\n path = sub\\n url = ./y\\n", "names no URL"},
        {"", "names no URL"},
    };
    world_app(w);
    world_serve(w, NULL);
    AUTO(mem_freep) char *url = mem_printf("http://127.0.0.1:%u/evil.git", w->port);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        shell(w,
              "rm -rf $W/evil $W/srv/evil.git; git init -q $W/evil; cd $W/evil; "
              "printf '%s' >.gitmodules; git add -A; git update-index --add --cacheinfo "
              "160000,$(git -C $W/app rev-parse HEAD),sub; git commit -qm evil; "
              "git clone -q --bare . $W/srv/evil.git",
              cases[i][0]);
        world_refused(w, url, ERR_REMOTE, cases[i][1]);
    }
    /* A repository that holds itself ends. */
    shell(w, "rm -rf $W/evil $W/srv/evil.git; git init -q $W/evil; cd $W/evil; "
             "printf '[submodule \"x\"]\\n path = sub\\n url = ./\\n' >.gitmodules; git add -A; "
             "git commit -qm a; for i in 1 2 3 4 5 6 7 8 9 10 11 12; do git update-index --add "
             "--cacheinfo 160000,$(git rev-parse HEAD),sub; git commit -qm $i; done; "
             "git clone -q --bare . $W/srv/evil.git");
    world_refused(w, url, ERR_REMOTE, "more than 10 deep");
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* 20,000 files and 200 commits. */
static void test_commit_tree__large_repository_opens_at_once(void **state)
{
    struct world *w = *state;
    shell(w,
          "git init -q --bare $W/srv/large.git; python3 - <<'PY' | git -C $W/srv/large.git "
          "fast-import --quiet\n"
          "def commit(n):\n"
          "    print('commit refs/heads/main\\ncommitter A <a@b> %%d +0000\\ndata 1\\nx' %% (1e9 "
          "+ n))\n"
          "def file(name, text):\n"
          "    print('M 100644 inline %%s\\ndata %%d\\n%%s' %% (name, len(text), text))\n"
          "commit(0)\n"
          "for d in range(200):\n"
          "    for f in range(100):\n"
          "        file('d%%d/e/f%%d' %% (d, f), 'file %%d %%d\\n' %% (d, f) * 40)\n"
          "for n in range(1, 201):\n"
          "    commit(n)\n"
          "    file('d%%d/e/f1' %% (n %% 50), '%%d\\n' %% n)\n"
          "PY\n"
          "git -C $W/srv/large.git symbolic-ref HEAD refs/heads/main; "
          "git -C $W/srv/large.git gc -q");
    world_serve(w, NULL);
    AUTO(mem_freep) char *url = mem_printf("http://127.0.0.1:%u/large.git", w->port);
    struct error err = {0};
    AUTO(pool_freep) struct pool *pool = pool_new(0);
    for (int i = 0; i < 3; i++) {
        AUTO(git_source_release) struct git_source source = {0};
        double begin = seconds();
        world_source(w, url, &source);
        double opened = seconds() - begin;
        assert_int_equal(tree_len(source.tree), 20400);
        size_t known = 0;
        for (size_t k = 0; k < tree_len(source.tree); k++) {
            known += (tree_at(source.tree, k)->flags & ENTRY_HAS_DIGEST) != 0;
        }
        assert_int_equal(known, i == 0 ? 0 : 20000);
        begin = seconds();
        assert_int_equal(
            tree_hash_files(source.tree, 0, tree_len(source.tree), w->store, pool, &err), 0);
        double hashed = seconds() - begin;
        begin = seconds();
        git_source_save_digests(&source, source.tree, w->store);
        print_message(
            "# 20,000 files, build %d: open %.3f s (with the fetch), hash %.3f s, save %.3f s\n",
            i + 1, opened, hashed, seconds() - begin);
        if (i == 2) {
            /* A digest from the cache is the content's. */
            const struct entry *entry = tree_find(source.tree, "d7/e/f9");
            AUTO(buf_release) struct buf text = BUF_INIT(0);
            struct digest digest;
            assert_int_equal(entry_read(entry, MIB, &text, &err), 0);
            digest_of(text.data, text.len, &digest);
            assert_true(digest_equal(&digest, &entry->digest));
        }
    }
}

static void assert_text(const struct tree *tree, const char *path, const char *text)
{
    struct error err = {0};
    AUTO(buf_release) struct buf got = BUF_INIT(0);
    assert_non_null(tree_find(tree, path));
    assert_int_equal(entry_read(tree_find(tree, path), MIB, &got, &err), 0);
    assert_string_equal(buf_text(&got), text);
}

/* Opens the source, hashes all its files but README, and saves what is known then; what the store
 * knew before is returned. */
static size_t open_and_save(struct world *w, const char *rest, struct git_source *out)
{
    struct error err = {0};
    world_file_source(w, rest, out);
    AUTO(tree_builder_freep) struct tree_builder *builder = tree_builder_new();
    for (size_t i = 0; i < tree_len(out->tree); i++) {
        if (strcmp(tree_at(out->tree, i)->path, "README") != 0) {
            tree_builder_add(builder, tree_at(out->tree, i));
        }
    }
    AUTO(tree_unrefp) struct tree *used = tree_builder_finish(MEM_STEAL(builder));
    assert_int_equal(tree_hash_files(used, 0, tree_len(used), w->store, NULL, &err), 0);
    git_source_save_digests(out, used, w->store);
    return out->digests;
}

static void test_commit_tree__the_same_tree_is_not_walked_again(void **state)
{
    struct world *w = *state;
    world_app(w);
    AUTO(git_source_release) struct git_source first = {0};
    AUTO(git_source_release) struct git_source second = {0};
    AUTO(git_source_release) struct git_source below = {0};
    AUTO(git_source_release) struct git_source edited = {0};
    AUTO(git_source_release) struct git_source damaged = {0};
    assert_int_equal(open_and_save(w, "app", &first), 0);
    /* Another commit of the same tree. */
    shell(w, "cd $W/app; git commit -q --allow-empty -m again");
    assert_int_equal(open_and_save(w, "app", &second), 3);
    assert_string_not_equal(first.commit, second.commit);
    assert_int_equal(tree_len(second.tree), tree_len(first.tree));
    for (size_t i = 0; i < tree_len(first.tree); i++) {
        const struct entry *a = tree_at(first.tree, i);
        const struct entry *b = tree_at(second.tree, i);
        assert_string_equal(a->path, b->path);
        assert_int_equal(a->mode, b->mode);
        assert_int_equal(a->size, b->size);
        assert_int_equal(b->flags & ENTRY_HAS_DIGEST,
                         b->type == ENTRY_FILE && strcmp(b->path, "README") != 0 ? ENTRY_HAS_DIGEST
                                                                                 : 0);
    }
    assert_text(second.tree, "README", "hello\n");
    /* Another folder, and another tree, are not taken for it. */
    assert_int_equal(open_and_save(w, "app#:src", &below), 0);
    assert_non_null(tree_find(below.tree, "main.c"));
    shell(w, "cd $W/app; echo new >src/main.c; git commit -qam edit");
    assert_int_equal(open_and_save(w, "app", &edited), 0);
    assert_text(edited.tree, "src/main.c", "new\n");
    shell(w, "for f in $W/store/records/git-trees/*; do printf x | dd of=$f bs=1 seek=300 "
             "conv=notrunc status=none; done");
    assert_int_equal(open_and_save(w, "app", &damaged), 0);
    assert_text(damaged.tree, "src/main.c", "new\n");
}

static void test_commit_tree__names(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      ".",
                                      "..",
                                      ".git",
                                      ".GIT",
                                      ".git ",
                                      ".git.",
                                      "git~1",
                                      "GIT~1",
                                      "a/b",
                                      ".git:stream",
                                      ".git\\x",
                                      ".\xe2\x80\x8dgit",
                                      "\xef\xbb\xbf.git",
                                      ".git\xe2\x81\xaa"};
    static const char *const good[] = {"a",   ".gitignore", ".gitmodules",     ".g",  "git",
                                       "...", "a b",        "\xe2\x80\x8dgit", ".gi", "\xff\xfe"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (git_name_is_safe(bad[i])) {
            fail_msg("'%s'", bad[i]);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        if (!git_name_is_safe(good[i])) {
            fail_msg("'%s'", good[i]);
        }
    }
}

int main(void)
{
#define IN_WORLD(TEST) cmocka_unit_test_setup_teardown(TEST, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commit_tree__names),
        IN_WORLD(test_commit_tree__entries_are_as_git_has_them),
        IN_WORLD(test_commit_tree__filter_prunes_folders_unseen),
        IN_WORLD(test_commit_tree__hostile_names_are_refused),
        IN_WORLD(test_commit_tree__attributes_that_are_not_applied_are_told),
        IN_WORLD(test_commit_tree__lfs_pointers_are_told_once),
        IN_WORLD(test_commit_tree__submodules_are_folders),
        IN_WORLD(test_commit_tree__hostile_submodules_are_refused),
        IN_WORLD(test_commit_tree__the_same_tree_is_not_walked_again),
        IN_WORLD(test_commit_tree__large_repository_opens_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
