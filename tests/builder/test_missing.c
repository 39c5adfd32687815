#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/memory.h"
#include "builder/dockerfile.h"
#include "builder/missing.h"

static struct tree *tree_of(const char *const *paths, size_t count)
{
    struct tree_builder *b = tree_builder_new();
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(paths[i]);
        bool dir = paths[i][len - 1] == '/';
        AUTO(mem_freep) char *path = mem_strndup(paths[i], dir ? len - 1 : len);
        struct entry entry = {.path = path, .type = dir ? ENTRY_DIR : ENTRY_FILE, .mode = 0755};
        tree_builder_add(b, &entry);
    }
    return tree_builder_finish(b);
}

static void test_missing__the_nearest_name_of_the_same_folder(void **state)
{
    (void)state;
    static const char *const paths[] = {"package.json",   "src/",     "src-old/",
                                        "src-old/main.c", "src/app/", "src/app/main.c",
                                        "docs/a/b.md"};
    static const struct {
        const char *path;
        const char *near;
    } cases[] = {
        {"packages.json", "package.json"},
        {"Package.json", "package.json"},
        {"scr", "src"},
        {"src/ap/main.c", "src/app"},
        {"src/app/mian.c", "src/app/main.c"},
        {"main.c", NULL}, /* of another folder */
        {"src/app/zzz", NULL},
        {"docs/a/b.mx", "docs/a/b.md"}, /* folders without entries of their own */
        {"doc", "docs"},
    };
    AUTO(tree_unrefp) struct tree *tree = tree_of(paths, ARRAY_LEN(paths));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(mem_freep) char *near = missing_nearest(tree, cases[i].path);
        if (cases[i].near) {
            assert_non_null(near);
            assert_string_equal(near, cases[i].near);
        } else {
            assert_null(near);
        }
    }
}

/* The place where a word of the last instruction is found. */
static void test_locate__finds_words_not_parts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *word;
        unsigned line, column, width;
    } cases[] = {
        {"FROM a\nCOPY app/a a /x\n", "a", 2, 12, 1},
        {"FROM a\nCOPY \\\n  one \\\n# two\n  two /x\n", "two", 5, 3, 3},
        {"FROM a\nENV A=$B\n", "$B", 2, 7, 2},
        {"FROM a\nVOLUME [\"/v\",\"/w\"]\n", "/w", 2, 15, 2},
        {"FROM a\nUSER USER\n", "USER", 2, 6, 4},
        {"FROM a\nUSER xUSERx\n", "USER", 2, 7, 4},  /* a part where there is no whole */
        {"FROM a\nUSER root\n", "nothere", 2, 1, 4}, /* the keyword */
        {"FROM a\nUSER root\n", "", 2, 1, 4},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = {0};
        AUTO(dockerfile_freep) struct dockerfile *df = NULL;
        assert_int_equal(dockerfile_parse(cases[i].text, strlen(cases[i].text), "D", &df, &err), 0);
        const struct instruction *in = &df->items[df->len - 1];
        error_set(&err, ERR_USAGE, "x");
        dockerfile_locate_word(&err, "D", df->text, in, cases[i].word);
        assert_int_equal(err.line, cases[i].line);
        assert_int_equal(err.column, cases[i].column);
        assert_int_equal(err.width, cases[i].width);
    }
}

static void test_locate__an_expansion_is_shown_from_where_it_failed(void **state)
{
    (void)state;
    static const char text[] = "FROM a\nENV A=x B=ab${C\n";
    struct error err = {0};
    AUTO(dockerfile_freep) struct dockerfile *df = NULL;
    assert_int_equal(dockerfile_parse(text, strlen(text), "D", &df, &err), 0);
    error_set(&err, ERR_USAGE, "x");
    err.column = 3;
    dockerfile_locate_expansion(&err, "D", df->text, &df->items[1], "ab${C");
    assert_int_equal(err.line, 2);
    assert_int_equal(err.column, 13);
    assert_int_equal(err.width, 3);
}

static void test_locate__a_trigger_stands_in_no_file(void **state)
{
    (void)state;
    struct error err = {0};
    AUTO(dockerfile_freep) struct dockerfile *df = NULL;
    assert_int_equal(dockerfile_parse_trigger("COPY a /b", "D", 1, &df, &err), 0);
    error_set(&err, ERR_USAGE, "x");
    dockerfile_locate_word(&err, "D", "FROM a\n", &df->items[0], "a");
    assert_int_equal(err.line, 1);
    assert_int_equal(err.column, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_missing__the_nearest_name_of_the_same_folder),
        cmocka_unit_test(test_locate__finds_words_not_parts),
        cmocka_unit_test(test_locate__an_expansion_is_shown_from_where_it_failed),
        cmocka_unit_test(test_locate__a_trigger_stands_in_no_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
