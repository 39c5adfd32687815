/*
 * Walks through a deflate stream (RFC 1951) without inflating it, to find where its last block
 * begins.
 *
 * For joining streams: the last block's header carries the BFINAL bit, which must be cleared before
 * another stream may follow. Nothing is written, distances and contents are not checked.
 */
#ifndef SLIPWAY_OCI_DEFLATE_WALK_H
#define SLIPWAY_OCI_DEFLATE_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Walks the stream at DATA to the end of its last block. *LAST_OUT gets the position in bits of
 * that block's header (its BFINAL bit), *END_OUT the position after its last bit. Bit N is bit N %
 * 8 of byte N / 8. Returns whether it is a stream that ends within LEN bytes; outputs are written
 * only then. */
bool deflate_walk(const uint8_t *data, size_t len, uint64_t *last_out, uint64_t *end_out);

#endif
