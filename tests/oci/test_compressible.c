#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "oci/compressible.h"

enum { LEN = 1024 * 1024 };

static void fill_noise(uint8_t *data, size_t len)
{
    uint64_t seed = 88172645463325252U;
    for (size_t i = 0; i < len; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        data[i] = (uint8_t)seed;
    }
}

static bool judge(const uint8_t *data, size_t len)
{
    struct libdeflate_compressor *compressor = libdeflate_alloc_compressor(1);
    bool result = is_compressible(compressor, data, len);
    libdeflate_free_compressor(compressor);
    return result;
}

static void test_compressible__noise_is_not(void **state)
{
    (void)state;
    AUTO(mem_freep) uint8_t *data = mem_alloc(LEN);
    fill_noise(data, LEN);
    assert_false(judge(data, LEN));
    assert_false(judge(data, 64 * 1024 + 1));
}

/* What was compressed before is nearly noise. */
static void test_compressible__archives_are_not(void **state)
{
    (void)state;
    AUTO(mem_freep) uint8_t *data = mem_alloc(8 * LEN);
    AUTO(mem_freep) uint8_t *packed = mem_alloc(8 * LEN);
    fill_noise(data, 8 * LEN);
    for (size_t i = 0; i + 1 < 8 * LEN; i++) {
        data[i] = (uint8_t)(data[i] & data[i + 1]); /* some bytes much more often than others */
    }
    struct libdeflate_compressor *compressor = libdeflate_alloc_compressor(6);
    size_t len = libdeflate_deflate_compress(compressor, data, 8 * LEN, packed, 8 * LEN);
    libdeflate_free_compressor(compressor);
    assert_true(len > 2 * LEN);
    assert_true(judge(data, LEN));
    assert_false(judge(packed + LEN / 2, LEN));
}

/* Every byte equally often, and yet much is to be gained. */
static void test_compressible__noise_that_repeats_itself_is(void **state)
{
    (void)state;
    AUTO(mem_freep) uint8_t *data = mem_alloc(LEN);
    fill_noise(data, LEN);
    for (size_t i = 20000; i < LEN; i++) {
        data[i] = data[i - 20000];
    }
    assert_true(judge(data, LEN));
}

static void test_compressible__text_is_wherever_a_sample_meets_it(void **state)
{
    (void)state;
    AUTO(mem_freep) uint8_t *data = mem_alloc(LEN);
    fill_noise(data, LEN);
    memset(data, 'a', 8 * 1024);
    assert_true(judge(data, LEN));
    fill_noise(data, LEN);
    memset(data + LEN - 8 * 1024, 'a', 8 * 1024);
    assert_true(judge(data, LEN));
}

static void test_compressible__what_is_small_may_be(void **state)
{
    (void)state;
    AUTO(mem_freep) uint8_t *data = mem_alloc(LEN);
    fill_noise(data, LEN);
    assert_true(judge(data, 1));
    assert_true(judge(data, 64 * 1024));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compressible__noise_is_not),
        cmocka_unit_test(test_compressible__archives_are_not),
        cmocka_unit_test(test_compressible__noise_that_repeats_itself_is),
        cmocka_unit_test(test_compressible__text_is_wherever_a_sample_meets_it),
        cmocka_unit_test(test_compressible__what_is_small_may_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
