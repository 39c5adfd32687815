#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/memory.h"
#include "oci/deflate_tail.h"
#include "oci/deflate_walk.h"
#include "oci/gzip_blocks.h"

static uint64_t seed = 88172645463325252U;

static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* Kinds of content that lead libdeflate to stored, fixed and dynamic blocks, and long codes. */
static void fill(char *data, size_t len, int kind)
{
    for (size_t i = 0; i < len; i++) {
        switch (kind) {
        case 0:
            data[i] = (char)rnd();
            break;
        case 1:
            data[i] = 0;
            break;
        case 2: /* words */
            data[i] = "the quick brown fox jumps\n"[(rnd() % 7 + i) % 26];
            break;
        case 3: /* very uneven frequencies: codes up to 15 bits */
            data[i] = (char)__builtin_ctzll(rnd() | 1ULL << 40);
            break;
        case 4: /* runs of different sorts, so that there are many blocks */
            data[i] =
                (i / 7000) % 3 == 0 ? (char)rnd() : (char)("abcdef"[rnd() % 6] + (char)(i / 20000));
            break;
        default: /* copies from a distance */
            data[i] = i > 5000 && rnd() % 50 ? data[i - 4999] : (char)rnd();
        }
    }
}

/* Inflates a whole member with zlib and compares. */
static void assert_inflates(const struct buf *gz, const void *raw, size_t len)
{
    z_stream z = {0};
    assert_int_equal(inflateInit2(&z, 16 + MAX_WBITS), Z_OK);
    AUTO(mem_freep) char *out = mem_alloc(len + 1);
    z.next_in = (Bytef *)gz->data;
    z.avail_in = (uInt)gz->len;
    z.next_out = (Bytef *)out;
    z.avail_out = (uInt)len + 1;
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    assert_int_equal(z.total_out, len);
    assert_int_equal(z.avail_in, 0);
    assert_memory_equal(out, raw, len);
    inflateEnd(&z);
}

static void assert_libdeflate_inflates(const struct buf *gz, const void *raw, size_t len)
{
    struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
    AUTO(mem_freep) char *out = mem_alloc(len + 1);
    size_t got = 0;
    size_t used = 0;
    assert_int_equal(libdeflate_gzip_decompress_ex(d, gz->data, gz->len, out, len + 1, &used, &got),
                     LIBDEFLATE_SUCCESS);
    assert_int_equal(got, len);
    assert_int_equal(used, gz->len);
    assert_memory_equal(out, raw, len);
    libdeflate_free_decompressor(d);
}

static void join(int level, const char *raw, const size_t *lens, size_t count, struct buf *out)
{
    struct error err = {0};
    struct libdeflate_compressor *c = libdeflate_alloc_compressor(level);
    struct gzip_check check = {0};
    gzip_head(out);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(gzip_block(c, raw, lens[i], out, &err), 0);
        gzip_check_add(&check, gzip_crc(raw, lens[i]), lens[i]);
        raw += lens[i];
    }
    gzip_tail(&check, out);
    libdeflate_free_compressor(c);
}

static void test_gzip_blocks__joined_blocks_inflate_to_their_bytes(void **state)
{
    (void)state;
    static const size_t sizes[][4] = {
        {1, 1, 1, 1}, {512, 3, 100000, 7}, {300000, 4096, 65535, 65536}, {1, 700000, 2, 15000}};
    for (int kind = 0; kind < 6; kind++) {
        for (int level = 1; level <= 12; level += kind == 4 ? 1 : 5) {
            for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
                size_t len = sizes[s][0] + sizes[s][1] + sizes[s][2] + sizes[s][3];
                AUTO(mem_freep) char *raw = mem_alloc(len);
                fill(raw, len, kind);
                AUTO(buf_release) struct buf out = BUF_INIT(0);
                join(level, raw, sizes[s], 4, &out);
                assert_inflates(&out, raw, len);
                assert_libdeflate_inflates(&out, raw, len);
            }
        }
    }
}

static void test_gzip_blocks__every_small_length_joins(void **state)
{
    (void)state;
    /* Ends of blocks fall on every bit of a byte. */
    unsigned ends = 0;
    for (size_t len = 1; len < 600; len++) {
        AUTO(mem_freep) char *raw = mem_alloc(2 * len);
        fill(raw, 2 * len, (int)(len % 6));
        AUTO(buf_release) struct buf out = BUF_INIT(0);
        size_t lens[] = {len, len};
        join(6, raw, lens, 2, &out);
        assert_inflates(&out, raw, 2 * len);

        struct libdeflate_compressor *c = libdeflate_alloc_compressor(6);
        uint8_t piece[2048];
        size_t got = libdeflate_deflate_compress(c, raw, len, piece, sizeof piece);
        uint64_t last = 0;
        uint64_t end = 0;
        assert_true(deflate_walk(piece, got, &last, &end));
        ends |= 1U << (end % 8);
        libdeflate_free_compressor(c);
    }
    assert_int_equal(ends, 0xff);
}

/* The search from behind says what the walk says, or nothing; and of what compresses it says it. */
static void test_gzip_blocks__the_last_block_is_found_from_behind(void **state)
{
    (void)state;
    static const size_t lens[] = {1, 900, 5000, 70000, 400000, 1 << 20};
    size_t found = 0;
    size_t tried = 0;
    for (int kind = 0; kind < 6; kind++) {
        for (int level = 1; level <= 12; level++) {
            struct libdeflate_compressor *c = libdeflate_alloc_compressor(level);
            for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
                AUTO(mem_freep) char *raw = mem_alloc(lens[i]);
                fill(raw, lens[i], kind);
                size_t bound = libdeflate_deflate_compress_bound(c, lens[i]);
                AUTO(mem_freep) uint8_t *out = mem_alloc(bound);
                size_t got = libdeflate_deflate_compress(c, raw, lens[i], out, bound);
                uint64_t last[2] = {0};
                uint64_t end[2] = {0};
                assert_true(deflate_walk(out, got, &last[0], &end[0]));
                tried += kind > 1 && lens[i] >= 70000;
                if (deflate_tail(out, got, (uint8_t *)raw, lens[i], &last[1], &end[1])) {
                    assert_true(last[0] == last[1] && end[0] == end[1]);
                    found += kind > 1 && lens[i] >= 70000;
                }
                /* Other bytes were not what was compressed. */
                for (size_t k = 0; k < lens[i]; k++) {
                    raw[k] = (char)(raw[k] ^ 0x55);
                }
                assert_false(deflate_tail(out, got, (uint8_t *)raw, lens[i], &last[1], &end[1]));
            }
            libdeflate_free_compressor(c);
        }
    }
    assert_true(found * 10 >= tried * 9);
}

static void test_gzip_blocks__nothing_is_a_valid_member(void **state)
{
    (void)state;
    AUTO(buf_release) struct buf out = BUF_INIT(0);
    join(6, "", NULL, 0, &out);
    assert_inflates(&out, "", 0);
    assert_int_equal(out.len, 20);
    static const uint8_t head[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255};
    assert_memory_equal(out.data, head, sizeof head);
}

/* Where zlib's own walk sees the last block begin. */
static uint64_t zlib_last_block(const uint8_t *data, size_t len)
{
    z_stream z = {0};
    assert_int_equal(inflateInit2(&z, -MAX_WBITS), Z_OK);
    uint64_t last = 0;
    z.next_in = (Bytef *)data;
    z.avail_in = (uInt)len;
    static Bytef sink[1 << 16];
    int rc = Z_OK;
    while (rc == Z_OK) {
        z.next_out = sink;
        z.avail_out = sizeof sink;
        rc = inflate(&z, Z_BLOCK);
        assert_true(rc == Z_OK || rc == Z_STREAM_END);
        bool at_block_end = (z.data_type & 128) && !(z.data_type & 64);
        if (at_block_end && rc == Z_OK) {
            last = (uint64_t)(z.next_in - data) * 8 - (unsigned)(z.data_type & 63);
        }
    }
    inflateEnd(&z);
    return last;
}

static void test_gzip_blocks__walk_finds_what_zlib_finds(void **state)
{
    (void)state;
    for (int kind = 0; kind < 6; kind++) {
        for (int level = 1; level <= 9; level += 2) {
            size_t len = 400000;
            AUTO(mem_freep) char *raw = mem_alloc(len);
            fill(raw, len, kind);
            AUTO(mem_freep) uint8_t *out = mem_alloc(len * 2);
            uLongf got = 0;
            z_stream z = {0};
            assert_int_equal(deflateInit2(&z, level, Z_DEFLATED, -15, 8,
                                          kind == 2 && level == 5 ? Z_FIXED : Z_DEFAULT_STRATEGY),
                             Z_OK);
            z.next_in = (Bytef *)raw;
            z.avail_in = (uInt)len;
            z.next_out = out;
            z.avail_out = (uInt)len * 2;
            assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
            got = z.total_out;
            deflateEnd(&z);
            uint64_t last = 0;
            uint64_t end = 0;
            assert_true(deflate_walk(out, got, &last, &end));
            assert_int_equal((end + 7) / 8, got);
            assert_int_equal(last, zlib_last_block(out, got));
            for (size_t cut = 1; cut < 20; cut++) {
                assert_false(deflate_walk(out, got - cut, &last, &end));
            }
        }
    }
}

static void test_gzip_blocks__walk_refuses_what_is_no_deflate(void **state)
{
    (void)state;
    uint64_t last = 0;
    uint64_t end = 0;
    static const uint8_t reserved[] = {0x07, 0, 0, 0, 0, 0, 0, 0, 0};
    static const uint8_t bad_stored[] = {0x01, 5, 0, 5, 0, 'h', 'e', 'l', 'l', 'o'};
    static const uint8_t good_stored[] = {0x01, 5, 0, 0xfa, 0xff, 'h', 'e', 'l', 'l', 'o'};
    static const uint8_t ones[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    assert_false(deflate_walk(reserved, sizeof reserved, &last, &end));
    assert_false(deflate_walk(bad_stored, sizeof bad_stored, &last, &end));
    assert_false(deflate_walk(ones, sizeof ones, &last, &end));
    assert_false(deflate_walk(NULL, 0, &last, &end));
    assert_true(deflate_walk(good_stored, sizeof good_stored, &last, &end));
    assert_int_equal(end, 80);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gzip_blocks__joined_blocks_inflate_to_their_bytes),
        cmocka_unit_test(test_gzip_blocks__every_small_length_joins),
        cmocka_unit_test(test_gzip_blocks__the_last_block_is_found_from_behind),
        cmocka_unit_test(test_gzip_blocks__nothing_is_a_valid_member),
        cmocka_unit_test(test_gzip_blocks__walk_finds_what_zlib_finds),
        cmocka_unit_test(test_gzip_blocks__walk_refuses_what_is_no_deflate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
