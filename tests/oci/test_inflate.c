#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/memory.h"
#include "oci/layer.h"

enum { RAW = 700000 };
static char raw[RAW];

static int setup(void **state)
{
    (void)state;
    uint32_t x = 1;
    for (size_t i = 0; i < RAW; i++) {
        x = x * 1664525 + 1013904223;
        raw[i] = i % 3 ? "abcdefgh"[x >> 29] : (char)(x >> 24);
    }
    return 0;
}

static void add_gzip(struct buf *out, size_t from, size_t len)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, 0), Z_OK);
    size_t bound = deflateBound(&z, len) + 100;
    z.next_in = (Bytef *)raw + from;
    z.avail_in = (uInt)len;
    z.next_out = (Bytef *)buf_reserve(out, bound);
    z.avail_out = (uInt)bound;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    out->len += z.total_out;
    deflateEnd(&z);
}

static void add_zstd(struct buf *out, size_t from, size_t len)
{
    size_t bound = ZSTD_compressBound(len);
    out->len += ZSTD_compress(buf_reserve(out, bound), bound, raw + from, len, 3);
}

/* Reads LEN bytes at DATA, STEP at a time. Returns what the reader says; OUT gets the bytes. */
static int inflate_all(const char *data, size_t len, size_t step, struct buf *out,
                       struct error *err)
{
    AUTO(reader_freep) struct reader *r = NULL;
    if (inflate_reader_stream(reader_memory(mem_dup(data, len), len, true), &r, err) != 0) {
        return -1;
    }
    size_t got = 1;
    while (got > 0) {
        if (reader_read(r, buf_reserve(out, step), step, &got, err) != 0) {
            return -1;
        }
        out->len += got;
    }
    return 0;
}

static void assert_gives_raw(const struct buf *packed, size_t step)
{
    struct error err = {0};
    AUTO(buf_release) struct buf out = BUF_INIT(0);
    assert_int_equal(inflate_all(packed->data, packed->len, step, &out, &err), 0);
    assert_int_equal(out.len, RAW);
    assert_memory_equal(out.data, raw, RAW);
}

static void test_inflate__several_members_and_frames_are_one_stream(void **state)
{
    (void)state;
    static const size_t cuts[] = {0, 1, 1, 300000, 650000, RAW};
    AUTO(buf_release) struct buf gzip = BUF_INIT(0);
    AUTO(buf_release) struct buf zstd = BUF_INIT(0);
    for (size_t i = 0; i + 1 < ARRAY_LEN(cuts); i++) {
        add_gzip(&gzip, cuts[i], cuts[i + 1] - cuts[i]);
        add_zstd(&zstd, cuts[i], cuts[i + 1] - cuts[i]);
        buf_append(&zstd, "\x53\x2a\x4d\x18\x03\0\0\0abc", 11); /* a skippable frame */
    }
    static const size_t steps[] = {1000, 65536, 10000000};
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        assert_gives_raw(&gzip, steps[i]);
        assert_gives_raw(&zstd, steps[i]);
    }
}

static void test_inflate__what_is_not_compressed_passes(void **state)
{
    (void)state;
    AUTO(buf_release) struct buf plain = BUF_INIT(0);
    buf_append(&plain, raw, RAW);
    assert_gives_raw(&plain, 4096);
    struct error err = {0};
    AUTO(buf_release) struct buf out = BUF_INIT(0);
    assert_int_equal(inflate_all("", 0, 10, &out, &err), 0);
    assert_int_equal(out.len, 0);
}

static void assert_refused(const char *data, size_t len)
{
    struct error err = {0};
    AUTO(buf_release) struct buf out = BUF_INIT(0);
    assert_int_equal(inflate_all(data, len, 65536, &out, &err), -1);
    assert_int_equal(err.code, ERR_REMOTE);
    assert_non_null(strstr(err.text, "corrupt"));
}

static void test_inflate__truncated_or_followed_by_garbage_is_refused(void **state)
{
    (void)state;
    for (int zstd = 0; zstd < 2; zstd++) {
        AUTO(buf_release) struct buf packed = BUF_INIT(0);
        (zstd ? add_zstd : add_gzip)(&packed, 0, RAW);
        for (size_t len = packed.len - 1; len > 100; len -= len / 7 + 1) {
            assert_refused(packed.data, len);
        }
        assert_refused(packed.data, 5);
        buf_puts(&packed, "garbage and more");
        assert_refused(packed.data, packed.len);
    }
}

static void test_inflate__flipped_bits_are_found_by_gzip(void **state)
{
    (void)state;
    AUTO(buf_release) struct buf packed = BUF_INIT(0);
    add_gzip(&packed, 0, 20000);
    for (size_t at = 10; at < packed.len; at += 13) {
        packed.data[at] ^= 4;
        struct error err = {0};
        AUTO(buf_release) struct buf out = BUF_INIT(0);
        assert_int_equal(inflate_all(packed.data, packed.len, 65536, &out, &err), -1);
        packed.data[at] ^= 4;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inflate__several_members_and_frames_are_one_stream),
        cmocka_unit_test(test_inflate__what_is_not_compressed_passes),
        cmocka_unit_test(test_inflate__truncated_or_followed_by_garbage_is_refused),
        cmocka_unit_test(test_inflate__flipped_bits_are_found_by_gzip),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
