/*
 * One gzip member (RFC 1952) made of blocks that are deflated apart from each other, in any order.
 *
 *     gzip_head(out);
 *     for each block, on any thread: gzip_block(compressor, raw, len, out_of_block, err);
 *     gzip_check_add(&check, crc, len) for each block in order;
 *     gzip_tail(&check, out);
 *
 * A block's bytes depend only on its raw bytes and the level, never on its place: it ends at a byte
 * with an empty stored block, so that blocks follow each other as they are. What does not become
 * smaller is stored. It must be one member since readers exist that stop after the first.
 */
#ifndef SLIPWAY_OCI_GZIP_BLOCKS_H
#define SLIPWAY_OCI_GZIP_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

struct libdeflate_compressor;

/* CRC-32 and length of all raw bytes so far. Zero-initialised. */
struct gzip_check {
    uint32_t crc;
    uint64_t len;
};

/* CRC-32 of LEN bytes, as gzip has it. */
uint32_t gzip_crc(const void *data, size_t len);

/* Counts a block of LEN raw bytes whose checksum is CRC as the next one. */
void gzip_check_add(struct gzip_check *check, uint32_t crc, size_t len);

/* Adds the member's header: no name, time 0, system unknown (255). */
void gzip_head(struct buf *out);

/* Adds LEN > 0 raw bytes as a joinable piece of a deflate stream. */
int gzip_block(struct libdeflate_compressor *compressor, const void *raw, size_t len,
               struct buf *out, struct error *err);

/* Adds the end of the deflate stream and the member's trailer. */
void gzip_tail(const struct gzip_check *check, struct buf *out);

#endif
