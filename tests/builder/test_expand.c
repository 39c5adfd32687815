#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/limits.h"
#include "base/memory.h"
#include "builder/expand.h"

static const char *const variables[][2] = {
    {"SET", "s"},
    {"EMPTY", ""},
    {"P", "/usr/local/lib/file.tar.gz"},
    {"Q", "a-b-c-a"},
    {"PRE", "/usr"},
    {"TWO", "two words"},
    {"LINES", "one\ntwo\none"},
    {"DOLLAR", "$"},
    {"Ä", "umlaut"},
    {"ab_2", "2"},
    {"STAR", "a*b"},
};

static const char *get(void *ctx, const char *name)
{
    (void)ctx;
    for (size_t i = 0; i < ARRAY_LEN(variables); i++) {
        if (strcmp(variables[i][0], name) == 0) {
            return variables[i][1];
        }
    }
    return NULL;
}

struct word_case {
    const char *word;
    const char *expected; /* NULL: an error... */
    const char *message;  /* ...that says this... */
    unsigned column;      /* ...there */
};

static void check_words(const struct expander *x, const struct word_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct error err = {0};
        AUTO(mem_freep) char *out = NULL;
        int result = expand_word(x, cases[i].word, &out, &err);
        if (result != (cases[i].expected ? 0 : -1)) {
            fail_msg("%s: %s", cases[i].word, result == 0 ? out : err.text);
        }
        if (cases[i].expected) {
            assert_string_equal(out, cases[i].expected);
        } else {
            assert_int_equal(err.code, ERR_USAGE);
            if (!strstr(err.text, cases[i].message)) {
                fail_msg("%s: '%s' lacks '%s'", cases[i].word, err.text, cases[i].message);
            }
            assert_int_equal(err.column, cases[i].column);
        }
    }
}

static void test_expand__names_quotes_and_escapes(void **state)
{
    (void)state;
    static const struct word_case cases[] = {
        {"", "", NULL, 0},
        {"plain", "plain", NULL, 0},
        {"$SET", "s", NULL, 0},
        {"${SET}x", "sx", NULL, 0},
        {"$SET-x.$SET/", "s-x.s/", NULL, 0},
        {"$SETx", "", NULL, 0},
        {"$ab_2.", "2.", NULL, 0},
        {"$", "$", NULL, 0},
        {"a$ b", "a$ b", NULL, 0},
        {"$.", "$.", NULL, 0},
        {"a$1b$22c", "abc", NULL, 0},
        {"x$*y$@$#$?$!$$z", "xyz", NULL, 0},
        {"$Ä", "umlaut", NULL, 0},
        {"'$SET'", "$SET", NULL, 0},
        {"\"$SET\"", "s", NULL, 0},
        {"\"it's\"", "it's", NULL, 0},
        {"'a\"b'", "a\"b", NULL, 0},
        {"\\$SET", "$SET", NULL, 0},
        {"\"\\$SET\"", "$SET", NULL, 0},
        {"\"a\\nb\\\"c\\\\\"", "a\\nb\"c\\", NULL, 0},
        {"a\\nb", "anb", NULL, 0},
        {"a\\", "a", NULL, 0},
        {"'a\\'", "a\\", NULL, 0},
        {"$TWO", "two words", NULL, 0},
        {"'open", NULL, "single quote", 1},
        {"ab\"open", NULL, "double quote", 3},
        {"x${SET", NULL, "without '}'", 2},
        {"${}", NULL, "without the name", 1},
        {"${", NULL, "without '}'", 1},
        {"${:-x}", NULL, "without the name", 1},
        {"${SET!x}", NULL, "no such modifier", 1},
        {"${SET:#x}", NULL, "no such modifier", 1},
        {"${SET:", NULL, "without '}'", 1},
    };
    struct expander x = {.get = get};
    check_words(&x, cases, ARRAY_LEN(cases));
}

static void test_expand__modifiers(void **state)
{
    (void)state;
    static const struct word_case cases[] = {
        {"${SET:-d}${EMPTY:-d}${UNSET:-d}", "sdd", NULL, 0},
        {"${SET-d}${EMPTY-d}${UNSET-d}", "sd", NULL, 0},
        {"${SET:+d}${EMPTY:+e}${UNSET:+f}", "d", NULL, 0},
        {"${SET+d}${EMPTY+e}${UNSET+f}", "de", NULL, 0},
        {"${UNSET:-$SET}", "s", NULL, 0},
        {"${UNSET:-${EMPTY:-${SET}}}", "s", NULL, 0},
        {"${UNSET:-\"a}b\"}", "a}b", NULL, 0},
        {"${UNSET:-a\\}b}", "a}b", NULL, 0},
        {"${SET:?no}${SET?}", "ss", NULL, 0},
        {"${EMPTY?no}", "", NULL, 0},
        {"${UNSET?must be given}", NULL, "UNSET: must be given", 1},
        {"${UNSET?}", NULL, "UNSET: is not allowed to be unset", 1},
        {"a${EMPTY:?}", NULL, "EMPTY: is not allowed to be empty", 2},
        {"${P#*/}", "usr/local/lib/file.tar.gz", NULL, 0},
        {"${P##*/}", "file.tar.gz", NULL, 0},
        {"${P#/usr}", "/local/lib/file.tar.gz", NULL, 0},
        {"${P#$PRE}", "/local/lib/file.tar.gz", NULL, 0},
        {"${P#nomatch}", "/usr/local/lib/file.tar.gz", NULL, 0},
        {"${P##*.}", "gz", NULL, 0},
        {"${P#?}", "usr/local/lib/file.tar.gz", NULL, 0},
        {"${P%.*}", "/usr/local/lib/file.tar", NULL, 0},
        {"${P%%.*}", "/usr/local/lib/file", NULL, 0},
        {"${P%%/*}", "", NULL, 0},
        {"${P%?}", "/usr/local/lib/file.tar.g", NULL, 0},
        {"${P%.gz}", "/usr/local/lib/file.tar", NULL, 0},
        {"${STAR#a\\*}", "b", NULL, 0},
        {"${Q#\\a}", NULL, "may stand only before", 1},
        {"${Q/-/+}", "a+b-c-a", NULL, 0},
        {"${Q//-/+}", "a+b+c+a", NULL, 0},
        {"${Q//a/}", "-b-c-", NULL, 0},
        {"${Q/b/x\\/y}", "a-x\\/y-c-a", NULL, 0},
        {"${Q//?-/_}", "___a", NULL, 0},
        {"${Q/nomatch/z}", "a-b-c-a", NULL, 0},
        {"${Q//-*/}", "a", NULL, 0},
        {"${Q///.}", ".a.-.b.-.c.-.a.", NULL, 0},
        {"${Q//b/[${DOLLAR}0]}", "a-[b]-c-a", NULL, 0},
        {"${P/\\/usr/}", "/local/lib/file.tar.gz", NULL, 0},
        {"${LINES#*o}", "ne\ntwo\none", NULL, 0},
        {"${LINES##*two}", "one\ntwo\none", NULL, 0},
        {"${LINES//one/1}", "1\ntwo\n1", NULL, 0},
        {"${UNSET/a/b}${UNSET#a}", "", NULL, 0},
        {"${SET/a}", NULL, "before the replacement", 1},
        {"${SET/a/b", NULL, "without '}'", 1},
    };
    struct expander x = {.get = get};
    check_words(&x, cases, ARRAY_LEN(cases));
}

static void test_expand__other_ways(void **state)
{
    (void)state;
    static const struct word_case backtick[] = {{"c:\\dir\\$SET", "c:\\dir\\s", NULL, 0},
                                                {"`$SET", "$SET", NULL, 0}};
    struct expander x = {.get = get, .escape = '`'};
    check_words(&x, backtick, ARRAY_LEN(backtick));
    static const struct word_case kept[] = {{"'a' \"$SET\" \\x", "'a' \"s\" \\x", NULL, 0}};
    x = (struct expander){.get = get, .keep_quotes = true, .keep_escapes = true};
    check_words(&x, kept, ARRAY_LEN(kept));
    static const struct word_case unset[] = {
        {"$N ${N} ${N:-x} ${N/a/b} $SET", "$N ${N} ${N:-x} ${N/a/b} s", NULL, 0}};
    x = (struct expander){.get = get, .keep_unset = true};
    check_words(&x, unset, ARRAY_LEN(unset));
    struct error err = {0};
    AUTO(mem_freep) char *out = NULL;
    x = (struct expander){.get = get, .escape = '`'};
    assert_int_equal(expand_heredoc(&x, "it's \"$SET\" \\$SET `x\n", &out, &err), 0);
    assert_string_equal(out, "it's \"s\" $SET `x\n");
}

static void test_expand__words_split_also_inside_values(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *joined;
    } cases[] = {
        {"a b  c", "a|b|c|"},
        {"$TWO x", "two|words|x|"},
        {"\"$TWO\" x", "two words|x|"},
        {"a\\ b c", "a b|c|"},
        {"  ", ""},
        {"'' x", "x|"},
        {"${UNSET:-a b}", "a|b|"},
        {"a'b c'd", "ab cd|"},
        {"cat <<  E F < x", "cat|<<  E|F|<|x|"},
        /* What stands in front of a word for an unset variable is lost, but for its own quotes. */
        {"a 8${SET}${UNSET:-9}0", "a|90|"},
        {"8${SET:+9}\"1${UNSET-2}${UNSET-3}\"4", "1234|"},
        {"8${Q/a/b}", "b-b-c-a|"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = {0};
        struct expander x = {.get = get};
        AUTO(strlist_release) struct strlist words = {0};
        assert_int_equal(expand_words(&x, cases[i].text, &words, &err), 0);
        char joined[128] = "";
        for (size_t w = 0; w < words.len; w++) {
            size_t len = strlen(joined);
            snprintf(joined + len, sizeof joined - len, "%s|", words.items[w]);
        }
        assert_string_equal(joined, cases[i].joined);
    }
}

static void note_missing(void *ctx, const char *name, bool set)
{
    if (!set) {
        strlist_add(ctx, name);
    }
}

static const char *get_none(void *ctx, const char *name)
{
    (void)ctx;
    (void)name;
    return NULL;
}

static void test_expand__missing_variables_are_told(void **state)
{
    (void)state;
    AUTO(strlist_release) struct strlist missing = {0};
    struct expander x = {.get = get_none, .ctx = &missing, .used = note_missing};
    struct error err = {0};
    AUTO(mem_freep) char *out = NULL;
    assert_int_equal(expand_word(&x, "$A '$B' ${C:-d} \"$D\"", &out, &err), 0);
    assert_int_equal(missing.len, 3);
    assert_string_equal(missing.items[0], "A");
    assert_string_equal(missing.items[1], "C");
    assert_string_equal(missing.items[2], "D");
}

static char *repeat(const char *part, size_t count)
{
    size_t len = strlen(part);
    char *out = mem_alloc(len * count + 1);
    for (size_t i = 0; i < count; i++) {
        memcpy(out + i * len, part, len);
    }
    out[len * count] = '\0';
    return out;
}

static const char *get_long(void *ctx, const char *name)
{
    (void)name;
    return ctx;
}

/* Whatever comes back, it must come soon. */
static void test_expand__hostile_input_is_bounded(void **state)
{
    (void)state;
    AUTO(mem_freep) char *value = repeat("a", LIMIT_WORD_BYTES);
    AUTO(mem_freep) char *stars = repeat("*a", 100000);
    AUTO(mem_freep) char *deep = repeat("${x:-", 300000);
    AUTO(mem_freep) char *slashes = repeat("\\", LIMIT_WORD_BYTES);
    AUTO(mem_freep) char *lookups = repeat("${x:+}", 100000);
    char *words[] = {
        deep, slashes, lookups, mem_printf("${x##%sb}", stars), mem_printf("${x//%sb/}", stars),
    };
    time_t start = time(NULL);
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        struct expander x = {.get = get_long, .ctx = value};
        struct error err = {0};
        char *out = NULL;
        int result = expand_word(&x, words[i], &out, &err);
        assert_true(result == 0 || err.code == ERR_USAGE);
        free(out);
    }
    assert_true(time(NULL) - start < 20);
    free(words[3]);
    free(words[4]);
    struct expander x = {.get = get_long, .ctx = value};
    struct error err = {0};
    char *out = NULL;
    assert_int_equal(expand_word(&x, "$x$x", &out, &err), -1);
    assert_non_null(strstr(err.text, "longer than"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expand__names_quotes_and_escapes),
        cmocka_unit_test(test_expand__modifiers),
        cmocka_unit_test(test_expand__other_ways),
        cmocka_unit_test(test_expand__words_split_also_inside_values),
        cmocka_unit_test(test_expand__missing_variables_are_told),
        cmocka_unit_test(test_expand__hostile_input_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
