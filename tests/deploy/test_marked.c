#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#include "deploy/marked.h"

static int parse(const char *text, enum marked_format format, struct marked_file **out,
                 struct error *err)
{
    return marked_parse(text, strlen(text), "file", format, out, err);
}

static void test_marked__knows_where_json_values_stand(void **state)
{
    (void)state;
    static const char text[] = "{\n\t\"a\": {\"ü\": \"x\", \"b\":\t12},\n  \"c\": [true, "
                               "\"\\ud83d\\ude00 \\/\"]\r\n}\n";
    struct error err = {0};
    AUTO(marked_freep) struct marked_file *file = NULL;
    assert_int_equal(parse(text, MARKED_JSON, &file, &err), 0);
    const struct marked *root = marked_root(file);
    const struct marked *b = marked_get(marked_get(root, "a"), "b");
    assert_int_equal(b->line, 2);
    assert_int_equal(b->column, 23);
    assert_false(b->quoted);
    assert_memory_equal(text + b->start, "12", 2);
    assert_int_equal(b->end - b->start, 2);
    const struct marked *list = marked_get(root, "c");
    assert_int_equal(list->len, 2);
    assert_int_equal(list->items[1]->line, 3);
    assert_true(list->items[1]->quoted);
    assert_int_equal(text[list->items[1]->start], '"');
    assert_int_equal(text[list->items[1]->end], ']');
}

static void test_marked__json_must_be_json(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *says;
        unsigned line;
    } cases[] = {
        {"{\"a\": 1,\n}", "not JSON", 2},
        {"{a: 1}", "not JSON", 1},
        {"# no\n{}", "not JSON", 1},
        {"\xEF\xBB\xBF{}", "byte order mark", 1},
        {"{\"a\": 1,\n \"a\": 2}", "duplicate", 2},
        {"{\"a\": \"\xFF\"}", "decode byte", 1},
        {"{\"a\": \"\\u0000\"}", "not JSON", 1},
        {"", "not JSON", 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = {0};
        AUTO(marked_freep) struct marked_file *file = NULL;
        assert_int_equal(parse(cases[i].text, MARKED_JSON, &file, &err), -1);
        assert_int_equal(err.code, ERR_USAGE);
        assert_string_equal(err.file, "file");
        assert_int_equal(err.line, cases[i].line);
        if (!strstr(err.text, cases[i].says)) {
            fail_msg("'%s' does not say '%s'", err.text, cases[i].says);
        }
    }
}

static void test_marked__yaml_has_places_anchors_and_the_last_of_two(void **state)
{
    (void)state;
    static const char text[] = "a: &x\n  - one\nb: *x\nc: 1\nc: '2'\n";
    struct error err = {0};
    AUTO(marked_freep) struct marked_file *file = NULL;
    assert_int_equal(parse(text, MARKED_YAML, &file, &err), 0);
    const struct marked *root = marked_root(file);
    assert_ptr_equal(marked_get(root, "a"), marked_get(root, "b"));
    assert_string_equal(marked_get_text(root, "c"), "2");
    assert_int_equal(marked_get(root, "c")->line, 5);
    assert_int_equal(marked_member(root, "c")->key->column, 1);
    unsigned long number = 0;
    assert_true(marked_number(marked_get(root, "c"), 2, &number));
    assert_int_equal(number, 2);
    assert_false(marked_number(marked_get(root, "c"), 1, &number));
    assert_null(marked_get(marked_get(root, "a"), "a"));
}

static void test_marked__empty_yaml_is_an_empty_map(void **state)
{
    (void)state;
    struct error err = {0};
    AUTO(marked_freep) struct marked_file *file = NULL;
    assert_int_equal(parse("# nothing\n", MARKED_YAML, &file, &err), 0);
    assert_int_equal(marked_root(file)->kind, MARKED_MAP);
    assert_null(marked_get(marked_root(file), "a"));
}

static void test_marked__what_is_no_yaml_has_a_place(void **state)
{
    (void)state;
    struct error err = {0};
    AUTO(marked_freep) struct marked_file *file = NULL;
    assert_int_equal(parse("a: 1\nb: [\n", MARKED_YAML, &file, &err), -1);
    assert_int_equal(err.code, ERR_USAGE);
    assert_true(err.line >= 2);
    error_clear(&err);
    assert_int_equal(parse("a: \"\\0\"\n", MARKED_YAML, &file, &err), -1);
    assert_non_null(strstr(err.text, "zero byte"));
    error_clear(&err);
    assert_int_equal(parse("a: \xFF\n", MARKED_YAML, &file, &err), -1);
    error_clear(&err);
    AUTO(mem_freep) char *large = mem_calloc(LIMIT_MARKED_BYTES + 2, 1);
    memset(large, ' ', LIMIT_MARKED_BYTES + 1);
    assert_int_equal(parse(large, MARKED_YAML, &file, &err), -1);
    assert_non_null(strstr(err.text, "larger"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_marked__knows_where_json_values_stand),
        cmocka_unit_test(test_marked__json_must_be_json),
        cmocka_unit_test(test_marked__yaml_has_places_anchors_and_the_last_of_two),
        cmocka_unit_test(test_marked__empty_yaml_is_an_empty_map),
        cmocka_unit_test(test_marked__what_is_no_yaml_has_a_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
