#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/memory.h"
#include "base/stream.h"

static void test_buf__grows_and_stays_terminated(void **state)
{
    (void)state;
    AUTO(buf_release) struct buf b = BUF_INIT(0);
    assert_string_equal(buf_text(&b), "");
    for (int i = 0; i < 10000; i++) {
        buf_putc(&b, (char)('a' + i % 26));
        assert_int_equal(b.data[b.len], '\0');
    }
    assert_int_equal(b.len, 10000);
    assert_int_equal(b.data[9999], 'a' + 9999 % 26);
    buf_clear(&b);
    assert_string_equal(buf_text(&b), "");
    buf_printf(&b, "%s-%d", "x", 7);
    buf_append(&b, "\0y", 2);
    assert_int_equal(b.len, 5);
    AUTO(mem_freep) char *taken = buf_take(&b);
    assert_memory_equal(taken, "x-7\0y", 6);
    assert_int_equal(b.len, 0);
    AUTO(mem_freep) char *empty = buf_take(&b);
    assert_string_equal(empty, "");
}

static void test_buf__the_maximum_holds_for_strangers(void **state)
{
    (void)state;
    AUTO(buf_release) struct buf b = BUF_INIT(10);
    assert_true(buf_try_append(&b, "12345", 5));
    assert_false(buf_try_append(&b, "123456", 6));
    assert_false(buf_try_append(&b, "1", SIZE_MAX));
    assert_string_equal(b.data, "12345");
    assert_true(buf_try_append(&b, "67890", 5));
    assert_true(buf_try_append(&b, "", 0));
    assert_false(buf_try_append(&b, "x", 1));
    assert_int_equal(b.len, 10);
}

static void test_buf__a_reader_of_too_much_is_an_error(void **state)
{
    (void)state;
    enum { LEN = 400000 };
    AUTO(mem_freep) char *data = mem_calloc(LEN, 1);
    static const size_t limits[] = {LEN, LEN - 1, 0, 1};
    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        struct error err = {0};
        AUTO(buf_release) struct buf out = BUF_INIT(0);
        AUTO(reader_freep) struct reader *r = reader_memory(data, LEN, false);
        int result = reader_read_all(r, "the input", limits[i], &out, &err);
        assert_int_equal(result, limits[i] == LEN ? 0 : -1);
        if (result != 0) {
            assert_non_null(strstr(err.text, "the input"));
        }
        AUTO(buf_release) struct buf small = BUF_INIT(limits[i]);
        AUTO(writer_freep) struct writer *w = writer_buf(&small);
        assert_int_equal(writer_write(w, data, LEN, &err), limits[i] >= LEN ? 0
                                                           : limits[i]      ? -1
                                                                            : 0);
    }
}

static void test_buf__skipping_past_the_end_is_an_error(void **state)
{
    (void)state;
    struct error err = {0};
    char data[] = "0123456789";
    char rest[20];
    size_t got = 0;
    AUTO(reader_freep) struct reader *r = reader_memory(data, 10, false);
    assert_int_equal(reader_skip(r, 4, &err), 0);
    assert_int_equal(reader_read_full(r, rest, 2, &got, &err), 0);
    assert_memory_equal(rest, "45", 2);
    assert_int_equal(reader_skip(r, 5, &err), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buf__grows_and_stays_terminated),
        cmocka_unit_test(test_buf__the_maximum_holds_for_strangers),
        cmocka_unit_test(test_buf__a_reader_of_too_much_is_an_error),
        cmocka_unit_test(test_buf__skipping_past_the_end_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
