#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/memory.h"
#include "oci/tree.h"

/* "f:a/b" file, "d:a", "l:a=target", "h:a=file", "w:a" whiteout, "o:a" opaque folder, "m:a" opaque
 * marker of unknown metadata. */
static struct tree *make(const char *const *specs)
{
    struct tree_builder *b = tree_builder_new();
    for (size_t i = 0; specs[i]; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s", specs[i] + 2);
        char *equals = strchr(path, '=');
        struct entry entry = {.path = path, .mode = 0644, .uid = (uint32_t)i};
        if (equals) {
            *equals = '\0';
            entry.link = equals + 1;
        }
        switch (specs[i][0]) {
        case 'd':
            entry.type = ENTRY_DIR;
            break;
        case 'l':
            entry.type = ENTRY_SYMLINK;
            break;
        case 'h':
            entry.type = ENTRY_HARDLINK;
            break;
        case 'w':
            entry.type = ENTRY_WHITEOUT;
            break;
        case 'o':
            entry.type = ENTRY_DIR;
            entry.flags = ENTRY_OPAQUE;
            break;
        case 'm':
            entry.type = ENTRY_DIR;
            entry.flags = ENTRY_OPAQUE;
            entry.mode = UINT32_MAX;
            break;
        default:
            entry.type = ENTRY_FILE;
        }
        tree_builder_add(b, &entry);
    }
    return tree_builder_finish(b);
}

static void assert_paths(const struct tree *tree, const char *expected)
{
    struct buf got = BUF_INIT(4096);
    for (size_t i = 0; i < tree_len(tree); i++) {
        buf_printf(&got, "%s%s", i ? " " : "", tree_at(tree, i)->path);
    }
    assert_string_equal(buf_text(&got), expected);
    buf_release(&got);
}

static void test_tree__entries_are_sorted_and_the_last_of_equal_paths_counts(void **state)
{
    (void)state;
    AUTO(tree_unrefp)
    struct tree *t = make((const char *[]){"f:b", "d:a", "f:a/x", "f:a-b", "f:b", NULL});
    assert_paths(t, "a a-b a/x b");
    assert_int_equal(tree_find(t, "b")->uid, 4);
    assert_null(tree_find(t, "c"));
}

static void test_tree__below_is_one_range(void **state)
{
    (void)state;
    AUTO(tree_unrefp)
    struct tree *t =
        make((const char *[]){"d:a", "f:a-b", "f:a/x", "f:a/y/z", "f:a0", "f:b", NULL});
    size_t first = 0;
    size_t end = 0;
    tree_below(t, "a", &first, &end);
    assert_int_equal(end - first, 2);
    assert_string_equal(tree_at(t, first)->path, "a/x");
    tree_below(t, "", &first, &end);
    assert_int_equal(end - first, 6);
}

static void test_tree__hard_links_are_tied_to_the_file(void **state)
{
    (void)state;
    AUTO(tree_unrefp)
    struct tree *t = make((const char *[]){"h:a=b", "h:b=c", "f:c", "h:x=gone", NULL});
    assert_int_equal(tree_find(t, "a")->type, ENTRY_FILE);
    assert_string_equal(entry_inode(tree_find(t, "b"))->path, "a");
    assert_string_equal(entry_inode(tree_find(t, "c"))->path, "a");
    assert_null(tree_find(t, "x")->target);
}

static void test_tree__merge_replaces_and_deletes(void **state)
{
    (void)state;
    static const struct {
        const char *base[12];
        const char *diff[8];
        const char *expected;
    } cases[] = {
        {{"f:a", "f:b"}, {"w:a", "f:c"}, "b c"},
        {{"d:a", "f:a-b", "f:a/x", "f:a/y"}, {"w:a"}, "a-b"},
        {{"d:a", "f:a-b", "f:a/x", "f:a/y"}, {"o:a", "f:a-c", "f:a/z"}, "a a-b a-c a/z"},
        {{"d:a", "f:a/x", "d:a/y", "f:a/y/z"}, {"f:a"}, "a"},
        {{"d:a", "f:a/x"}, {"d:a", "f:a/y"}, "a a/x a/y"},
        {{"d:a", "f:a/x"}, {"m:a", "f:a/y"}, "a a/y"},
        {{"d:a", "f:a/x", "f:b"}, {"w:a/x", "w:nothing"}, "a b"},
        {{"d:a", "d:a/b", "f:a/b/c"}, {"o:a", "d:a/b", "f:a/b/d"}, "a a/b a/b/d"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(tree_unrefp) struct tree *base = make((const char *const *)cases[i].base);
        AUTO(tree_unrefp) struct tree *diff = make((const char *const *)cases[i].diff);
        AUTO(tree_unrefp) struct tree *merged = tree_merge(base, diff);
        assert_paths(merged, cases[i].expected);
    }
}

static void test_tree__hard_links_keep_their_content_when_a_name_goes(void **state)
{
    (void)state;
    AUTO(tree_unrefp)
    struct tree *base =
        make((const char *[]){"f:a", "h:b=a", "h:c=a", "f:d", "h:e=d", "f:f", "h:g=f", NULL});
    AUTO(tree_unrefp) struct tree *diff = make((const char *[]){"f:a", "w:d", NULL});
    AUTO(tree_unrefp) struct tree *merged = tree_merge(base, diff);
    assert_paths(merged, "a b c e f g");
    assert_int_equal(tree_find(merged, "b")->type, ENTRY_FILE);
    assert_int_equal(tree_find(merged, "b")->uid, tree_find(base, "a")->uid);
    assert_int_equal(tree_find(merged, "c")->type, ENTRY_HARDLINK);
    assert_ptr_equal(entry_inode(tree_find(merged, "c")), tree_find(merged, "b"));
    assert_int_equal(tree_find(merged, "e")->type, ENTRY_FILE);
    assert_ptr_equal(tree_find(merged, "g"), tree_find(base, "g"));
}

static void test_tree__links_are_followed_inside_the_root(void **state)
{
    (void)state;
    AUTO(tree_unrefp)
    struct tree *t = make((const char *[]){"d:usr", "d:usr/bin", "l:bin=usr/bin", "l:abs=/usr",
                                           "l:up=../../../usr/bin", "l:loop=loop", "f:file",
                                           "l:usr/self=bin", NULL});
    static const struct {
        const char *path;
        bool follow;
        const char *expected; /* NULL: an error */
    } cases[] = {
        {"bin/sh", false, "usr/bin/sh"},
        {"/abs/bin", true, "usr/bin"},
        {"up", true, "usr/bin"},
        {"bin", false, "bin"},
        {"bin", true, "usr/bin"},
        {"loop/x", false, NULL},
        {"file/x", false, NULL},
        {"new/../x/y", false, "x/y"},
        {"usr/self/../..", true, ""},
        {"../../etc", false, "etc"},
        {"usr/self/deep/er", false, "usr/bin/deep/er"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = {0};
        AUTO(mem_freep) char *out = NULL;
        int result = tree_resolve(t, cases[i].path, cases[i].follow, &out, &err);
        assert_int_equal(result, cases[i].expected ? 0 : -1);
        if (cases[i].expected) {
            assert_string_equal(out, cases[i].expected);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tree__entries_are_sorted_and_the_last_of_equal_paths_counts),
        cmocka_unit_test(test_tree__below_is_one_range),
        cmocka_unit_test(test_tree__hard_links_are_tied_to_the_file),
        cmocka_unit_test(test_tree__merge_replaces_and_deletes),
        cmocka_unit_test(test_tree__hard_links_keep_their_content_when_a_name_goes),
        cmocka_unit_test(test_tree__links_are_followed_inside_the_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
