#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/ahead.h"
#include "base/memory.h"

/* Gives LEN bytes that count up, at most DROP at a time, and fails behind them if it is to. */
struct counting {
    struct reader base;
    size_t len;
    size_t at;
    size_t drop;
    bool fails;
    int *freed;
};

static char byte_at(size_t at)
{
    return (char)(at * 7 + (at >> 8) * 13 + (at >> 16));
}

static int counting_read(struct reader *r, void *data, size_t cap, size_t *got_out,
                         struct error *err)
{
    struct counting *c = (struct counting *)r;
    size_t left = c->len - c->at;
    size_t got = left < cap ? left : cap;
    got = got < c->drop ? got : c->drop;
    if (left == 0 && c->fails) {
        return error_set(err, ERR_REMOTE, "broken at %zu", c->at);
    }
    for (size_t i = 0; i < got; i++) {
        ((char *)data)[i] = byte_at(c->at + i);
    }
    c->at += got;
    *got_out = got;
    return 0;
}

static void counting_free(struct reader *r)
{
    ++*((struct counting *)r)->freed;
    free(r);
}

static struct reader *counting(size_t len, size_t drop, bool fails, int *freed)
{
    static const struct reader_ops ops = {counting_read, counting_free};
    struct counting *c = mem_calloc(1, sizeof *c);
    *c = (struct counting){{&ops}, len, 0, drop, fails, freed};
    return &c->base;
}

static const size_t lens[] = {0, 1, 262143, 262144, 262145, 1048576, 5000001};

static void test_ahead__gives_every_byte_once(void **state)
{
    (void)state;
    static const size_t caps[] = {999, 100000, 3000000};
    for (size_t i = 0; i < ARRAY_LEN(lens) * ARRAY_LEN(caps); i++) {
        size_t len = lens[i / ARRAY_LEN(caps)];
        size_t cap = caps[i % ARRAY_LEN(caps)];
        int freed = 0;
        AUTO(reader_freep) struct reader *r = reader_ahead(counting(len, 70000, false, &freed));
        AUTO(mem_freep) char *data = mem_alloc(cap);
        size_t total = 0;
        size_t got = 1;
        while (got > 0) {
            struct error err = {0};
            assert_int_equal(reader_read(r, data, cap, &got, &err), 0);
            for (size_t k = 0; k < got; k++) {
                if (data[k] != byte_at(total + k)) {
                    fail_msg("byte %zu of %zu is wrong", total + k, len);
                }
            }
            total += got;
        }
        assert_int_equal(total, len);
        reader_freep(&r);
        assert_int_equal(freed, 1);
    }
}

static void test_ahead__an_error_comes_after_the_bytes_before_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
        int freed = 0;
        AUTO(reader_freep) struct reader *r = reader_ahead(counting(lens[i], 70000, true, &freed));
        static char data[50000];
        size_t total = 0;
        size_t got = 1;
        struct error err = {0};
        while (reader_read(r, data, sizeof data, &got, &err) == 0) {
            assert_true(got > 0);
            total += got;
        }
        /* What was read together with the failure is lost with it, never more than a block. */
        assert_true(total <= lens[i] && lens[i] - total < 262144);
        assert_int_equal(err.code, ERR_REMOTE);
        assert_non_null(strstr(err.text, "broken at"));
        struct error again = {0};
        assert_int_equal(reader_read(r, data, sizeof data, &got, &again), -1);
    }
}

static void test_ahead__can_be_given_up_at_any_point(void **state)
{
    (void)state;
    for (size_t reads = 0; reads < 12; reads++) {
        int freed = 0;
        struct reader *r = reader_ahead(counting(5000001, 70000, false, &freed));
        static char data[100000];
        for (size_t i = 0; i < reads; i++) {
            size_t got = 0;
            struct error err = {0};
            assert_int_equal(reader_read(r, data, sizeof data, &got, &err), 0);
        }
        reader_freep(&r);
        assert_int_equal(freed, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ahead__gives_every_byte_once),
        cmocka_unit_test(test_ahead__an_error_comes_after_the_bytes_before_it),
        cmocka_unit_test(test_ahead__can_be_given_up_at_any_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
