/*
 * Characters in UTF-8 text, as Go sees them: bytes that are no UTF-8 count as one character each.
 */
#ifndef SLIPWAY_BUILDER_RUNE_H
#define SLIPWAY_BUILDER_RUNE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What stands for a byte that is no UTF-8. */
#define RUNE_INVALID 0xFFFDu

/* The character at the start of the LEN > 0 bytes at TEXT; returns how many bytes it takes. */
size_t rune_decode(const char *text, size_t len, uint32_t *rune_out);

/* unicode.IsSpace. */
bool rune_is_space(uint32_t rune);

/* Letters of the scripts in common use (for names of variables). */
bool rune_is_letter(uint32_t rune);

/* TEXT without white space at its ends, as a range inside it; returns its length. */
size_t text_trim(const char *text, size_t len, const char **start_out);

#endif
