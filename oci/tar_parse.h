/* The bytes of tar headers and pax records, as numbers and strings. Nothing here reads or judges
 * names. */
#ifndef SLIPWAY_OCI_TAR_PARSE_H
#define SLIPWAY_OCI_TAR_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* One header block. Texts are terminated. */
struct tar_header {
    char name[100 + 155 + 2]; /* prefix and name */
    char link[101];
    char type;
    int64_t mode;
    int64_t uid;
    int64_t gid;
    int64_t size;
    int64_t mtime;
    int64_t major;
    int64_t minor;
};

/* Whether BLOCK holds nothing but zeros. */
bool tar_block_is_zero(const uint8_t block[512]);

/* Reads a header block: ustar, GNU, star or the old form. Returns NULL, or in words what is wrong.
 */
const char *tar_header_parse(const uint8_t block[512], struct tar_header *out);

/* One pax record; strings lie in the caller's bytes and are not terminated. */
struct pax_record {
    const char *key;
    size_t key_len;
    const char *value;
    size_t value_len;
};

/* Takes the first record from the bytes [*AT, END), moving *AT. Returns whether there was a valid
 * one. */
bool pax_record_next(const char **at, const char *end, struct pax_record *out);

/* A decimal number, with a fraction that is cut off downwards where FRACTION allows one. */
bool pax_number(const struct pax_record *record, bool fraction, int64_t *out);

#endif
