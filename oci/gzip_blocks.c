/* Blocks of libdeflate joined into one member. */
#include "oci/gzip_blocks.h"

#include <assert.h>
#include <libdeflate.h>
#include <string.h>
#include <zlib.h>

#include "oci/compressible.h"
#include "oci/deflate_tail.h"
#include "oci/deflate_walk.h"

enum { STORED_MAX = 65535, STORED_HEAD = 5 };

uint32_t gzip_crc(const void *data, size_t len)
{
    return libdeflate_crc32(0, data, len);
}

void gzip_check_add(struct gzip_check *check, uint32_t crc, size_t len)
{
    check->crc = (uint32_t)crc32_combine64(check->crc, crc, (z_off64_t)len);
    check->len += len;
}

void gzip_head(struct buf *out)
{
    static const uint8_t head[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255};
    buf_append(out, head, sizeof head);
}

/* Clears the last block's BFINAL at bit LAST and appends an empty stored block at bit END: three
 * zero bits, zeros up to the next byte, and the length 0 with its complement. */
static void make_joinable(struct buf *out, size_t start, uint64_t last, uint64_t end)
{
    uint8_t *bytes = (uint8_t *)out->data + start;
    bytes[last / 8] = (uint8_t)(bytes[last / 8] & ~(1U << (last % 8)));
    unsigned used = end % 8;
    if (used > 0) {
        bytes[end / 8] = (uint8_t)(bytes[end / 8] & ((1U << used) - 1));
    }
    out->len = start + (size_t)((end + 7) / 8);
    static const uint8_t empty[5] = {0, 0, 0, 0xff, 0xff};
    bool header_fits = used > 0 && used <= 5;
    buf_append(out, empty + header_fits, sizeof empty - header_fits);
}

/* RFC 1951, 3.2.4. The pieces begin at a byte. */
static void store(const uint8_t *raw, size_t len, struct buf *out)
{
    buf_reserve(out, len + (len / STORED_MAX + 1) * STORED_HEAD);
    while (len > 0) {
        uint16_t part = (uint16_t)(len < STORED_MAX ? len : STORED_MAX);
        uint8_t head[STORED_HEAD] = {0, (uint8_t)part, (uint8_t)(part >> 8), (uint8_t)~part,
                                     (uint8_t)(~part >> 8)};
        buf_append(out, head, sizeof head);
        buf_append(out, raw, part);
        raw += part;
        len -= part;
    }
}

int gzip_block(struct libdeflate_compressor *compressor, const void *raw, size_t len,
               struct buf *out, struct error *err)
{
    assert(len > 0);
    if (!is_compressible(compressor, raw, len)) {
        store(raw, len, out);
        return 0;
    }
    size_t bound = libdeflate_deflate_compress_bound(compressor, len);
    size_t start = out->len;
    char *to = buf_reserve(out, bound + 5);
    size_t got = libdeflate_deflate_compress(compressor, raw, len, to, bound);
    uint64_t last = 0;
    uint64_t end = 0;
    bool found = got > 0 && (deflate_tail((const uint8_t *)to, got, raw, len, &last, &end) ||
                             deflate_walk((const uint8_t *)to, got, &last, &end));
    if (!found || (end + 7) / 8 != got) {
        return error_set(err, ERR_STORE, "libdeflate made a stream that cannot be joined");
    }
    out->len = start + got;
    make_joinable(out, start, last, end);
    return 0;
}

static void put_le32(struct buf *out, uint32_t value)
{
    for (int shift = 0; shift < 32; shift += 8) {
        buf_putc(out, (char)(value >> shift));
    }
}

void gzip_tail(const struct gzip_check *check, struct buf *out)
{
    /* An empty block with fixed codes and BFINAL. */
    buf_append(out, "\x03\x00", 2);
    put_le32(out, check->crc);
    put_le32(out, (uint32_t)check->len);
}
