/*
 * Finds where the last block of a deflate stream (RFC 1951) begins, from behind.
 *
 * For whoever knows what the stream inflates to: the header of a block with codes of its own is
 * looked for backwards from the end, and the first place that decodes to the end of the stream and
 * to the end of the raw bytes is the one. That takes a fraction of a walk over all blocks
 * (oci/deflate_walk.h), which remains the way where the last block is stored, short or of an
 * unusual form.
 */
#ifndef SLIPWAY_OCI_DEFLATE_TAIL_H
#define SLIPWAY_OCI_DEFLATE_TAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The stream of LEN bytes at DATA, which must be one that inflates to the RAW_LEN bytes at RAW and
 * fills its last byte's free bits with zeros. *LAST_OUT and *END_OUT as deflate_walk() has them.
 * False, and nothing is written, where the last block is not found in this way. */
bool deflate_tail(const uint8_t *data, size_t len, const uint8_t *raw, size_t raw_len,
                  uint64_t *last_out, uint64_t *end_out);

#endif
