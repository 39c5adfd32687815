#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "cli/text.h"

static void test_text__nothing_that_steers_a_terminal_passes(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        const char *out;
    } cases[] = {
        {"plain", "plain"},
        {"\x1b[31mred\x1b[0m", "red"},
        {"a\x1b[2J\x1b[1;1Hb", "ab"},
        {"\x1b]0;title\x07x", "x"},
        {"\x1b]52;c;cGFzc3dvcmQ=\x1b\\x", "x"},
        {"\x1bPq#0\x1b\\x", "x"},
        {"\x1b(Bx", "x"},
        {"\x1b"
         "cx",
         "x"},
        {"cut \x1b[31", "cut "},
        {"cut \x1b", "cut "},
        {"\x1b]0;never closed", ""},
        {"a\tb\rc\x08"
         "d\x7f",
         "a b?c?d?"},
        {"\xc2\x9b"
         "31m",
         "?31m"}, /* the C1 form of CSI */
        {"\x9b"
         "31m",
         "?31m"},
        {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
        {"\xff\xc0\x80\xed\xa0\x80", "??????"}, /* no UTF-8: stray, overlong, surrogate */
        {"a\xe2\x80\xae"
         "b",
         "a?b"}, /* right-to-left override */
        {"a\nb", "a?b"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(buf_release) struct buf out = BUF_INIT(0);
        text_clean(cases[i].in, strlen(cases[i].in), &out);
        assert_string_equal(buf_text(&out), cases[i].out);
    }
}

static void test_text__no_bytes_at_all_make_clean_text_that_is_not_clean(void **state)
{
    (void)state;
    unsigned seed = 1;
    for (int round = 0; round < 20000; round++) {
        static const char alphabet[] = "\x1b[]P;0m\x07\\\xc2\x9b\xe2\x80\xae\x80 a\n\r(c";
        char in[24];
        size_t len = 0;
        for (; len < sizeof in; len++) {
            seed = seed * 1103515245 + 12345;
            in[len] = alphabet[(seed >> 16) % (sizeof alphabet - 1)];
        }
        AUTO(buf_release) struct buf out = BUF_INIT(0);
        AUTO(buf_release) struct buf again = BUF_INIT(0);
        text_clean(in, len, &out);
        text_clean(buf_text(&out), out.len, &again);
        assert_null(memchr(buf_text(&out), 0x1b, out.len));
        assert_null(memchr(buf_text(&out), '\r', out.len));
        assert_string_equal(buf_text(&out), buf_text(&again));
    }
}

static void test_text__utf8_replaces_only_what_is_none(void **state)
{
    (void)state;
    AUTO(buf_release) struct buf out = BUF_INIT(0);
    text_utf8("a\x1b\xff\xe4\xbd\xa0", 6, &out);
    assert_string_equal(buf_text(&out), "a\x1b\xef\xbf\xbd\xe4\xbd\xa0");
}

static void test_text__columns_count_characters_as_terminals_do(void **state)
{
    (void)state;
    setlocale(LC_CTYPE, "C.UTF-8");
    assert_int_equal(text_columns("abc"), 3);
    assert_int_equal(text_columns("gr\xc3\xbc\xc3\x9f"), 4);
    assert_int_equal(text_columns("\xe4\xbd\xa0"), 2);
    assert_int_equal(text_fit("a\xe4\xbd\xa0"
                              "b",
                              2),
                     1);
    assert_int_equal(text_fit("a\xe4\xbd\xa0"
                              "b",
                              3),
                     4);
    assert_int_equal(text_fit("abc", 100), 3);
}

static void test_text__sizes_are_short_and_in_powers_of_ten(void **state)
{
    (void)state;
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {{0, "0 B"},         {999, "999 B"},        {1000, "1.0 kB"},
                 {1499, "1.5 kB"},   {123456, "123 kB"},    {999499, "999 kB"},
                 {999500, "1.0 MB"}, {12300000, "12.3 MB"}, {UINT64_MAX, "18.4 EB"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char out[TEXT_SIZE_SIZE];
        assert_string_equal(text_bytes(cases[i].bytes, out), cases[i].text);
    }
}

static void test_text__ago_names_the_largest_unit(void **state)
{
    (void)state;
    char out[TEXT_AGO_SIZE];
    int64_t now = time(NULL);
    assert_string_equal(text_ago(now - 3 * 86400 - 5, out), "3 days ago");
    assert_string_equal(text_ago(now - 3605, out), "1 hour ago");
    assert_string_equal(text_ago(now + 100, out), "just now");
}

static void test_text__tables_align_by_columns(void **state)
{
    (void)state;
    static const char *const cells[] = {"A", "LONG", "x\xc3\xbc", "1", "y", "2"};
    char *text = NULL;
    size_t len = 0;
    setlocale(LC_CTYPE, "C.UTF-8");
    FILE *out = open_memstream(&text, &len);
    text_table(cells, 3, 2, out);
    fclose(out);
    assert_string_equal(text, "A    LONG\nx\xc3\xbc   1\ny    2\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text__nothing_that_steers_a_terminal_passes),
        cmocka_unit_test(test_text__no_bytes_at_all_make_clean_text_that_is_not_clean),
        cmocka_unit_test(test_text__utf8_replaces_only_what_is_none),
        cmocka_unit_test(test_text__columns_count_characters_as_terminals_do),
        cmocka_unit_test(test_text__sizes_are_short_and_in_powers_of_ten),
        cmocka_unit_test(test_text__ago_names_the_largest_unit),
        cmocka_unit_test(test_text__tables_align_by_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
