#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"

static int parse(const char *text, size_t max, struct error *err)
{
    AUTO(json_freep) json_t *value = NULL;
    return json_parse(text, strlen(text), max, "the answer", ERR_REMOTE, &value, err);
}

static char *nested(const char *open, const char *close, size_t depth)
{
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    for (size_t i = 0; i < depth; i++) {
        buf_puts(&text, open);
    }
    buf_puts(&text, "1");
    for (size_t i = 0; i < depth; i++) {
        buf_puts(&text, close);
    }
    return buf_take(&text);
}

static void test_json__depth_is_limited(void **state)
{
    (void)state;
    static const struct {
        const char *open;
        const char *close;
        size_t depth;
        int result;
    } cases[] = {
        {"[", "]", 64, 0},       {"[", "]", 65, -1},       {"[", "]", 1000000, -1},
        {"{\"a\":", "}", 64, 0}, {"{\"a\":", "}", 65, -1}, {"{\"a\":", "}", 300000, -1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = {0};
        AUTO(mem_freep) char *text = nested(cases[i].open, cases[i].close, cases[i].depth);
        assert_int_equal(parse(text, SIZE_MAX, &err), cases[i].result);
        if (cases[i].result) {
            assert_int_equal(err.code, ERR_REMOTE);
            assert_non_null(strstr(err.text, "nested"));
        }
    }
}

static void test_json__brackets_in_strings_are_no_depth(void **state)
{
    (void)state;
    struct error err = {0};
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    buf_puts(&text, "[\"\\\"");
    for (int i = 0; i < 1000; i++) {
        buf_puts(&text, "[{\\\\");
    }
    buf_puts(&text, "\",1]");
    assert_int_equal(parse(text.data, SIZE_MAX, &err), 0);
}

static void test_json__what_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t max;
    } cases[] = {
        {"", 100},
        {"{", 100},
        {"{\"a\":1,\"a\":2}", 100},
        {"[1]", 2},
        {"{} x", 100},
        {"7", 100},
        {"\"text\"", 100},
        {"{\"a\":\"\xff\"}", 100},
        {"[1e999]", 100},
        {"[\"\\u0000\"]", 100},
        {"[\"a]", 100},
        {"nul", 100},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = {0};
        assert_int_equal(parse(cases[i].text, cases[i].max, &err), -1);
        assert_non_null(strstr(err.text, "the answer"));
    }
}

static void test_json__order_stays(void **state)
{
    (void)state;
    struct error err = {0};
    AUTO(json_freep) json_t *value = NULL;
    AUTO(buf_release) struct buf out = BUF_INIT(0);
    const char *text = "{\"b\":1,\"a\":[true,null],\"\xc3\xa4/\":\"<\\n\"}";
    assert_int_equal(json_parse(text, strlen(text), 100, "x", ERR_USAGE, &value, &err), 0);
    json_render(value, &out);
    assert_string_equal(out.data, text);
    assert_null(json_get_string(value, "b"));
    assert_null(json_get_string(NULL, "b"));
    assert_string_equal(json_get_string(value, "\xc3\xa4/"), "<\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json__depth_is_limited),
        cmocka_unit_test(test_json__brackets_in_strings_are_no_depth),
        cmocka_unit_test(test_json__what_is_refused),
        cmocka_unit_test(test_json__order_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
