#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "builder/pattern.h"

static void test_pattern__names_match(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        const char *name;
        bool doublestar;
        bool expected;
    } cases[] = {
        {"", "", false, true},
        {"a", "a", false, true},
        {"a", "ab", false, false},
        {"*.go", "a.go", false, true},
        {"*.go", ".go", false, true},
        {"*.go", "d/a.go", false, false},
        {"a*/b", "abc/b", false, true},
        {"a*b*c", "aXbYbZc", false, true},
        {"a?c", "a/c", false, false},
        {"a?c",
         "a\xC3\xA9"
         "c",
         false, true},
        {"[a-c]x", "bx", false, true},
        {"[^a-c]x", "bx", false, false},
        {"[^a-c]x", "dx", false, true},
        {"[\\]]", "]", false, true},
        {"[a\\-z]", "-", false, true},
        {"\\*", "*", false, true},
        {"\\*", "x", false, false},
        {"**", "a/b", false, false},
        {"**", "ab", false, true},
        {"**", "a/b", true, true},
        {"**/b", "b", true, true},
        {"**/b", "x/y/b", true, true},
        {"**/b", "xb", true, false},
        {"a/**/b", "a/b", true, true},
        {"a/**/b", "a/x/y/b", true, true},
        {"a/**/b", "a/xb", true, false},
        {"a/**", "a/x/y", true, true},
        {"a/**", "a", true, false},
        {"**/*.txt", "a/b/c.txt", true, true},
        {"**/a**b", "a/ab", true, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = {0};
        bool matched = !cases[i].expected;
        assert_int_equal(
            pattern_match(cases[i].pattern, cases[i].name, cases[i].doublestar, &matched, &err), 0);
        if (matched != cases[i].expected) {
            fail_msg("%s on %s: %d", cases[i].pattern, cases[i].name, matched);
        }
    }
}

static void test_pattern__a_bad_one_is_refused_whatever_the_name(void **state)
{
    (void)state;
    static const char *const cases[] = {"[",    "a[",  "[]",   "[]a]", "[a-]",   "[-a]",
                                        "x[^]", "a\\", "[a\\", "zz[a", "[a-b-c]"};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = {0};
        bool matched = false;
        if (pattern_match(cases[i], "b", false, &matched, &err) != -1) {
            fail_msg("'%s' was taken", cases[i]);
        }
        assert_int_equal(err.code, ERR_USAGE);
        assert_non_null(strstr(err.text, "bad pattern"));
    }
}

static void test_pattern__no_pattern_takes_long(void **state)
{
    (void)state;
    char pattern[16001];
    char name[4001];
    for (size_t i = 0; i < 16000; i += 2) {
        memcpy(pattern + i, "*a", 2);
    }
    pattern[16000] = '\0';
    pattern[15999] = 'b';
    memset(name, 'a', 4000);
    name[4000] = '\0';
    clock_t start = clock();
    struct error err = {0};
    bool matched = true;
    assert_int_equal(pattern_match(pattern, name, false, &matched, &err), 0);
    assert_false(matched);
    assert_true(clock() - start < 5 * CLOCKS_PER_SEC);
    char brackets[1 << 20];
    memset(brackets, '[', sizeof brackets - 1);
    brackets[sizeof brackets - 1] = '\0';
    assert_int_equal(pattern_match(brackets, name, true, &matched, &err), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pattern__names_match),
        cmocka_unit_test(test_pattern__a_bad_one_is_refused_whatever_the_name),
        cmocka_unit_test(test_pattern__no_pattern_takes_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
