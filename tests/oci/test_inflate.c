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
#include "oci/layer_internal.h"

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

typedef int (*open_fn)(struct reader *in, struct reader **out, struct error *err);

/* Gives a stranger's bytes a few at a time, as a network does. */
struct dripping_reader {
    struct reader base;
    struct reader *in;
    size_t drop;
};

static int dripping_read(struct reader *r, void *data, size_t cap, size_t *got_out,
                         struct error *err)
{
    struct dripping_reader *d = (struct dripping_reader *)r;
    return reader_read(d->in, data, cap < d->drop ? cap : d->drop, got_out, err);
}

static void dripping_free(struct reader *r)
{
    reader_freep(&((struct dripping_reader *)r)->in);
    free(r);
}

static struct reader *dripping_reader(const char *data, size_t len, size_t drop)
{
    static const struct reader_ops ops = {dripping_read, dripping_free};
    struct dripping_reader *d = mem_calloc(1, sizeof *d);
    *d = (struct dripping_reader){{&ops}, reader_memory(mem_dup(data, len), len, true), drop};
    return &d->base;
}

static int inflate_with(open_fn open, struct reader *in, size_t step, struct buf *out)
{
    struct error err = {0};
    AUTO(reader_freep) struct reader *r = NULL;
    size_t got = 1;
    if (open(in, &r, &err) != 0) {
        return -1;
    }
    while (got > 0) {
        if (reader_read(r, buf_reserve(out, step), step, &got, &err) != 0) {
            return -1;
        }
        out->len += got;
    }
    return 0;
}

/* Whatever inflates gzip here does as zlib does. */
static void assert_as_zlib(const char *data, size_t len, size_t drop, size_t step)
{
    AUTO(buf_release) struct buf ours = BUF_INIT(0);
    AUTO(buf_release) struct buf zlibs = BUF_INIT(0);
    int rc = inflate_with(inflate_reader_stream, dripping_reader(data, len, drop), step, &ours);
    int expected = inflate_with(inflate_reader_zlib, reader_memory(mem_dup(data, len), len, true),
                                step, &zlibs);
    assert_int_equal(rc, expected);
    if (rc == 0) {
        assert_int_equal(ours.len, zlibs.len);
        assert_true(ours.len == 0 || memcmp(ours.data, zlibs.data, ours.len) == 0);
    }
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

/* A member of LEN bytes at FROM, with a header of all FLAGS (RFC 1952). */
static void add_member(struct buf *out, size_t from, size_t len, unsigned flags)
{
    AUTO(buf_release) struct buf plain = BUF_INIT(0);
    size_t start = out->len;
    add_gzip(&plain, from, len);
    buf_append(out, plain.data, 10);
    out->data[start + 3] = (char)flags;
    if (flags & 4) {
        buf_append(out, "\x05\0extra", 7);
    }
    if (flags & 8) {
        buf_append(out, "name", 5);
    }
    if (flags & 16) {
        buf_append(out, "comment", 8);
    }
    if (flags & 2) {
        uLong crc = crc32(0, (const Bytef *)out->data + start, (uInt)(out->len - start));
        buf_append(out, &(uint16_t){(uint16_t)crc}, 2);
    }
    buf_append(out, plain.data + 10, plain.len - 10);
}

static void test_inflate__is_what_zlib_makes_of_it(void **state)
{
    (void)state;
    static const size_t drops[] = {1, 7, 300, 1 << 20};
    AUTO(buf_release) struct buf all = BUF_INIT(0);
    for (unsigned flags = 0; flags < 32; flags++) {
        AUTO(buf_release) struct buf one = BUF_INIT(0);
        add_member(&one, flags * 1000, flags % 5 * 600, flags & ~1U);
        buf_append(&all, one.data, one.len);
        for (size_t i = 0; i < ARRAY_LEN(drops); i++) {
            assert_as_zlib(one.data, one.len, drops[i], 4096);
        }
        for (size_t len = 0; len < one.len && len < 60; len++) {
            assert_as_zlib(one.data, len, 1 << 20, 4096);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(drops); i++) {
        assert_as_zlib(all.data, all.len, drops[i], 65536);
        assert_as_zlib(all.data, all.len, drops[i], 100);
    }
    for (size_t len = 0; len < all.len; len += 397) {
        assert_as_zlib(all.data, len, 1 << 20, 65536);
    }
    for (size_t at = 0; at < all.len; at += at < 200 ? 1 : 211) {
        for (unsigned bit = 0; bit < 8; bit++) {
            all.data[at] = (char)(all.data[at] ^ 1 << bit);
            assert_as_zlib(all.data, all.len, 1 << 20, 65536);
            all.data[at] = (char)(all.data[at] ^ 1 << bit);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inflate__several_members_and_frames_are_one_stream),
        cmocka_unit_test(test_inflate__what_is_not_compressed_passes),
        cmocka_unit_test(test_inflate__truncated_or_followed_by_garbage_is_refused),
        cmocka_unit_test(test_inflate__flipped_bits_are_found_by_gzip),
        cmocka_unit_test(test_inflate__is_what_zlib_makes_of_it),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
