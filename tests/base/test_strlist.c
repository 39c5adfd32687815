#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/strlist.h"

static void test_strlist__keeps_order_and_a_final_null(void **state)
{
    (void)state;
    AUTO(strlist_release) struct strlist list = {0};
    for (int i = 0; i < 100; i++) {
        strlist_addf(&list, "%d", i);
        assert_null(list.items[list.len]);
    }
    strlist_remove(&list, 0);
    strlist_remove(&list, 98);
    strlist_remove(&list, 49);
    assert_int_equal(list.len, 97);
    assert_null(list.items[97]);
    assert_string_equal(list.items[0], "1");
    assert_string_equal(list.items[49], "51");
    assert_string_equal(list.items[96], "98");
    assert_true(strlist_has(&list, "97"));
    assert_false(strlist_has(&list, "99"));
    strlist_sort(&list);
    for (size_t i = 1; i < list.len; i++) {
        assert_true(strcmp(list.items[i - 1], list.items[i]) < 0);
    }
}

static void test_strlist__an_environment(void **state)
{
    (void)state;
    AUTO(strlist_release) struct strlist env = {0};
    strlist_add(&env, "PATH=/bin");
    strlist_add(&env, "PATHS=x");
    strlist_add(&env, "NOVALUE");
    strlist_env_set(&env, "PAT", "short");
    strlist_env_set(&env, "PATH", "a=b");
    strlist_env_set(&env, "EMPTY", "");
    assert_int_equal(env.len, 5);
    assert_string_equal(env.items[0], "PATH=a=b");
    assert_string_equal(strlist_env_get(&env, "PATH"), "a=b");
    assert_string_equal(strlist_env_get(&env, "PAT"), "short");
    assert_string_equal(strlist_env_get(&env, "EMPTY"), "");
    assert_null(strlist_env_get(&env, "NOVALUE"));
    assert_null(strlist_env_get(&env, "path"));
    assert_null(env.items[env.len]);
}

static void test_strlist__the_nearest_name(void **state)
{
    (void)state;
    static const char *const names[] = {"build", "push", "pull", "inspect", "images", "verify"};
    static const char *const cases[][2] = {
        {"biuld", "build"},  {"BUILD", "build"},   {"psuh", "push"},    {"inspct", "inspect"},
        {"image", "images"}, {"verfiy", "verify"}, {"buildx", "build"}, {"zebra", NULL},
        {"xyzzyx", NULL},    {"", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *got = nearest_name(cases[i][0], names, ARRAY_LEN(names));
        if ((got == NULL) != (cases[i][1] == NULL) || (got && strcmp(got, cases[i][1]) != 0)) {
            fail_msg("'%s' gave '%s'", cases[i][0], got ? got : "nothing");
        }
    }
    /* far too long for any name: no overflow, no match */
    AUTO(mem_freep) char *lengthy = mem_alloc(10001);
    memset(lengthy, 'b', 10000);
    lengthy[10000] = '\0';
    assert_null(nearest_name(lengthy, names, ARRAY_LEN(names)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strlist__keeps_order_and_a_final_null),
        cmocka_unit_test(test_strlist__an_environment),
        cmocka_unit_test(test_strlist__the_nearest_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
