/* Any bytes as a deflate stream: whatever zlib inflates to its end the walk must accept with the
 * same end; and whatever libdeflate makes of the bytes must join. */
#include <libdeflate.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/memory.h"
#include "oci/deflate_tail.h"
#include "oci/deflate_walk.h"
#include "oci/gzip_blocks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void against_zlib(const uint8_t *data, size_t size)
{
    uint64_t last = 0;
    uint64_t end = 0;
    bool walked = deflate_walk(data, size, &last, &end);
    z_stream z = {0};
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK) {
        abort();
    }
    static Bytef out[1 << 16];
    z.next_in = (Bytef *)data;
    z.avail_in = (uInt)size;
    int rc = Z_OK;
    while (rc == Z_OK) {
        z.next_out = out;
        z.avail_out = sizeof out;
        rc = inflate(&z, Z_NO_FLUSH);
    }
    if (rc == Z_STREAM_END && (!walked || (end + 7) / 8 != z.total_in || last >= end)) {
        abort();
    }
    inflateEnd(&z);
}

/* The search from behind is found right or not at all. The input, repeated, is long enough for it.
 */
static void from_behind(const uint8_t *data, size_t size)
{
    enum { RAW = 40000 };
    struct libdeflate_compressor *c = libdeflate_alloc_compressor(1 + (int)(size % 12));
    static uint8_t raw[RAW];
    static uint8_t out[2 * RAW];
    for (size_t i = 0; i < RAW; i++) {
        raw[i] = (uint8_t)(data[i % size] + data[i / 7 % size] * (i / 1000));
    }
    size_t got = libdeflate_deflate_compress(c, raw, RAW, out, sizeof out);
    uint64_t last[2] = {0};
    uint64_t end[2] = {0};
    if (!deflate_walk(out, got, &last[0], &end[0]) ||
        (deflate_tail(out, got, raw, RAW, &last[1], &end[1]) &&
         (last[0] != last[1] || end[0] != end[1]))) {
        abort();
    }
    /* Bytes that libdeflate did not make. */
    deflate_tail(data, size, raw, RAW, &last[1], &end[1]);
    libdeflate_free_compressor(c);
}

static void join(const uint8_t *data, size_t size)
{
    struct error err = {0};
    struct libdeflate_compressor *c = libdeflate_alloc_compressor(1 + (int)(size % 12));
    struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
    AUTO(buf_release) struct buf gz = BUF_INIT(0);
    struct gzip_check check = {0};
    gzip_head(&gz);
    for (int i = 0; i < 2 && size > 0; i++) {
        if (gzip_block(c, data, size, &gz, &err) != 0) {
            abort();
        }
        gzip_check_add(&check, gzip_crc(data, size), size);
    }
    gzip_tail(&check, &gz);
    AUTO(mem_freep) char *out = mem_alloc(2 * size + 1);
    size_t got = 0;
    if (libdeflate_gzip_decompress(d, gz.data, gz.len, out, 2 * size + 1, &got) != 0 ||
        got != 2 * size || memcmp(out, data, size) != 0 || memcmp(out + size, data, size) != 0) {
        abort();
    }
    libdeflate_free_compressor(c);
    libdeflate_free_decompressor(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    against_zlib(data, size);
    join(data, size);
    if (size > 0) {
        from_behind(data, size);
    }
    return 0;
}
