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
#include "builder/ignore.h"

struct ignore_case {
    const char *text;
    const char *path;
    unsigned line; /* that decides, 0: none */
    bool excluded;
    bool pruned;
};

static void test_ignore__the_last_match_decides(void **state)
{
    (void)state;
    static const struct ignore_case cases[] = {
        {"", "a", 0, false, false},
        {"a", "a", 1, true, true},
        {"a", "a/b", 1, true, true},
        {"a", "b/a", 0, false, false},
        {"a", "ab", 0, false, false},
        {"a/b", "a", 0, false, false},
        {"# a\n\n  \n a \n", "a", 4, true, true},
        {" # a", "# a", 1, true, true},
        {"\xEF\xBB\xBF"
         "a\r\nb\r\n",
         "b", 2, true, true},
        {"\xEF\xBB\xBF# x\na", "a", 2, true, true},
        {"/a", "a", 1, true, true},
        {"a/", "a", 1, true, true},
        {"./s//a/../b/", "s/b", 1, true, true},
        {"../a", "a", 0, false, false},
        {".\n/\n./", "a", 0, false, false},
        {"*", "a/b", 1, true, true},
        {"*.o", "a/b.o", 0, false, false},
        {"**/*.o", "a/b.o", 1, true, true},
        {"**/*.o", "b.o", 1, true, true},
        {"**/x", "a/x/y", 1, true, true},
        {"**", "a/b", 1, true, true},
        {"**foo", "a/xfoo", 1, true, true},
        {"**foo*", "a/xfoo", 0, false, false},
        {"foo**", "foobar/x", 1, true, true},
        {"a/**/z", "a/z", 1, true, true},
        {"a/**/z", "a/b/c/z", 1, true, true},
        {"\\*", "*", 1, true, true},
        {"\\*", "x", 0, false, false},
        {"[ab]", "b", 1, true, true},
        {"a?c", "a/c", 0, false, false},
        {"\\!x", "!x", 1, true, true},
        {"a\na", "a", 1, true, true},
        {"*\n!keep", "keep", 2, false, false},
        {"*\n!keep", "keep/x", 2, false, false},
        {"*\n!keep", "other", 1, true, true},
        {"*\n!a/b", "a", 1, true, false},
        {"*\n!a/b", "a/b/c", 2, false, false},
        {"*\n!a/b", "a/c", 1, true, true},
        {"*\n!a/b\na/b/c", "a/b/c", 3, true, false},
        {"*\n!**/*.md", "docs", 1, true, false},
        {"*\n!**/*.md", "docs/x.md", 2, false, false},
        {"!keep\n*", "keep", 2, true, false},
        {"*\n! keep", "keep", 2, false, false},
        /* A rule that had nothing to take back for the folder is not asked about it again. */
        {"foo/*\n!foo", "foo/bar", 1, true, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct ignore_case *c = &cases[i];
        struct error err = {0};
        AUTO(ignore_freep) struct ignore *ig = NULL;
        if (ignore_parse(c->text, strlen(c->text), ".dockerignore", &ig, &err) != 0) {
            fail_msg("%s: %s", c->text, err.text);
        }
        unsigned line = 99;
        bool excluded = ignore_excludes(ig, c->path, false, &line);
        bool pruned = ignore_prunes(ig, c->path);
        if (excluded != c->excluded || line != c->line || pruned != c->pruned) {
            fail_msg("case %zu '%s' on '%s': excluded %d, line %u, pruned %d", i, c->text, c->path,
                     excluded, line, pruned);
        }
    }
}

static void test_ignore__bad_patterns_have_a_place(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned line;
    } cases[] = {{"a\n[b\n", 2}, {"!\n", 1}, {"x\n\ny\\", 3}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = {0};
        struct ignore *ig = NULL;
        assert_int_equal(
            ignore_parse(cases[i].text, strlen(cases[i].text), "x.dockerignore", &ig, &err), -1);
        assert_null(ig);
        assert_int_equal(err.code, ERR_USAGE);
        assert_string_equal(err.file, "x.dockerignore");
        assert_int_equal(err.line, cases[i].line);
    }
}

static void test_ignore__exclude_flags_have_no_comments_and_no_root(void **state)
{
    (void)state;
    static const char *const patterns[] = {"#x", "/rooted", "*.md"};
    struct error err = {0};
    AUTO(ignore_freep) struct ignore *ig = NULL;
    assert_int_equal(ignore_parse_patterns(patterns, 3, &ig, &err), 0);
    assert_int_equal(ignore_count(ig), 3);
    unsigned line = 0;
    assert_true(ignore_excludes(ig, "#x", false, &line));
    assert_int_equal(line, 1);
    assert_false(ignore_excludes(ig, "rooted", false, &line));
    assert_true(ignore_excludes(ig, "a.md", false, &line));
    assert_int_equal(line, 3);
    assert_string_equal(ignore_pattern_at(ig, 3), "*.md");
    assert_null(ignore_pattern_at(ig, 4));
    assert_false(ignore_excludes(NULL, "a", false, &line));
    assert_false(ignore_excludes(ig, "", true, &line));
}

static void test_ignore__pruned_folders_hold_nothing_that_is_kept(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "b", "ab", "a/b", "a/b/c", "b/a", "b/a/b", "c/a/b/c"};
    static const char *const lines[] = {"*",     "a",  "!a",   "a/b",  "!a/b",  "**/b",
                                        "!**/c", "a*", "!*/a", "b/**", "!b/a/b"};
    for (size_t mix = 0; mix < ARRAY_LEN(lines) * ARRAY_LEN(lines) * ARRAY_LEN(lines); mix++) {
        size_t n = ARRAY_LEN(lines);
        char text[64];
        snprintf(text, sizeof text, "%s\n%s\n%s", lines[mix % n], lines[mix / n % n],
                 lines[mix / n / n]);
        struct error err = {0};
        AUTO(ignore_freep) struct ignore *ig = NULL;
        assert_int_equal(ignore_parse(text, strlen(text), "f", &ig, &err), 0);
        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
            for (size_t j = 0; j < ARRAY_LEN(names); j++) {
                size_t len = strlen(names[i]);
                bool below = strncmp(names[i], names[j], len) == 0 && names[j][len] == '/';
                if (below && ignore_prunes(ig, names[i]) &&
                    !ignore_excludes(ig, names[j], false, NULL)) {
                    fail_msg("'%s' prunes %s but keeps %s", text, names[i], names[j]);
                }
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ignore__the_last_match_decides),
        cmocka_unit_test(test_ignore__bad_patterns_have_a_place),
        cmocka_unit_test(test_ignore__exclude_flags_have_no_comments_and_no_root),
        cmocka_unit_test(test_ignore__pruned_folders_hold_nothing_that_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
