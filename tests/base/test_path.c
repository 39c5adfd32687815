#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/memory.h"
#include "base/path.h"

static void test_path__cleaning_never_rises_above_the_root(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", ""},
        {"/", ""},
        {"a", "a"},
        {"/a/", "a"},
        {"a//b", "a/b"},
        {"a/./b", "a/b"},
        {"a/b/..", "a"},
        {"a/..", ""},
        {"..", ""},
        {"../../a", "a"},
        {"a/../../b", "b"},
        {"./a", "a"},
        {"a/b/../../..", ""},
        {"...", "..."},
        {"a/..b", "a/..b"},
        {"/..//../etc/passwd", "etc/passwd"},
        {"a/b/../c/./d/..", "a/c"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(mem_freep) char *clean = path_clean(cases[i][0]);
        AUTO(mem_freep) char *absolute = path_clean_absolute(cases[i][0]);
        assert_string_equal(clean, cases[i][1]);
        assert_true(path_is_clean(clean));
        assert_int_equal(absolute[0], '/');
        assert_string_equal(absolute + 1, clean);
    }
}

static void test_path__what_is_not_clean_is_told(void **state)
{
    (void)state;
    static const char *const bad[] = {"/",   "/a",   "a/",  "a//b", ".",     "..",
                                      "a/.", "a/..", "./a", "../a", "a/../b"};
    static const char *const good[] = {"", "a", "a/b", "...", "a/..b", ".hidden", "a b"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_false(path_is_clean(bad[i]));
    }
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_true(path_is_clean(good[i]));
    }
    AUTO(mem_freep) char *lengthy = mem_alloc(LIMIT_PATH_BYTES + 2);
    memset(lengthy, 'x', LIMIT_PATH_BYTES + 1);
    lengthy[LIMIT_PATH_BYTES + 1] = '\0';
    assert_false(path_is_clean(lengthy));
    lengthy[LIMIT_PATH_BYTES] = '\0';
    assert_true(path_is_clean(lengthy));
}

static void test_path__joining(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"a", "b", "a/b"}, {"", "b", "b"},        {"a/b", "../c", "a/c"},   {"a", "/b", "b"},
        {"a", "", "a"},    {"a", "../../..", ""}, {"a/b", "./c/", "a/b/c"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(mem_freep) char *joined = path_join(cases[i][0], cases[i][1]);
        assert_string_equal(joined, cases[i][2]);
    }
}

static void test_path__parents_and_names(void **state)
{
    (void)state;
    static const char *const cases[][3] = {{"a/b/c", "a/b", "c"}, {"a", "", "a"}, {"", "", ""}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(mem_freep) char *parent = path_parent(cases[i][0]);
        assert_string_equal(parent, cases[i][1]);
        assert_string_equal(path_name(cases[i][0]), cases[i][2]);
    }
    assert_true(path_is_below("a/b", "a"));
    assert_true(path_is_below("a", "a"));
    assert_true(path_is_below("a", ""));
    assert_false(path_is_below("ab", "a"));
    assert_false(path_is_below("a", "a/b"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_path__cleaning_never_rises_above_the_root),
        cmocka_unit_test(test_path__what_is_not_clean_is_told),
        cmocka_unit_test(test_path__joining),
        cmocka_unit_test(test_path__parents_and_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
