/*
 * What deflate streams (RFC 1951) are made of, for those who look into one without inflating it
 * (oci/deflate_walk.h, oci/deflate_tail.h): bits, Huffman codes, and the header of a block that
 * brings its own codes. Nothing here checks more than it says; positions are in bits.
 */
#ifndef SLIPWAY_OCI_DEFLATE_CODE_H
#define SLIPWAY_OCI_DEFLATE_CODE_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    DEFLATE_ROOT_BITS = 11, /* tables hold codes up to here; longer ones are rare by their nature */
    DEFLATE_ROOT_SIZE = 1 << DEFLATE_ROOT_BITS,
    DEFLATE_CODE_BITS = 15, /* of the longest code */
    DEFLATE_LITLENS = 288,
    DEFLATE_DISTANCES = 32,
    DEFLATE_PRECODES = 19,
    DEFLATE_END_OF_BLOCK = 256,
};

struct deflate_input {
    const uint8_t *data;
    size_t len; /* bytes */
};

/* The 57 bits from AT on, at least; zeros behind the end. */
static inline uint64_t deflate_peek(const struct deflate_input *in, uint64_t at)
{
    size_t byte = (size_t)(at >> 3);
    uint64_t bits = 0;
    if (byte + 8 <= in->len) {
        memcpy(&bits, in->data + byte, 8);
    } else if (byte < in->len) {
        memcpy(&bits, in->data + byte, in->len - byte);
    }
    return le64toh(bits) >> (at & 7);
}

/* A Huffman code in its canonical form (3.2.2). */
struct deflate_code {
    uint16_t count[DEFLATE_CODE_BITS + 1]; /* codes of each length */
    uint16_t sorted[DEFLATE_LITLENS];      /* symbols by length, then number */
};

/* Makes CODE of COUNT symbols with LENGTHS bits each, 0 for those that have none. False where they
 * are more than a code can have. *COMPLETE_OUT: whether every sequence of bits begins with a code.
 */
bool deflate_code_make(struct deflate_code *code, const uint8_t *lengths, unsigned count,
                       bool *complete_out);

/* The symbol whose code BITS begin with, bit by bit. Returns how many bits that takes; 0 where
 * there is none. */
unsigned deflate_code_symbol(const struct deflate_code *code, uint64_t bits, unsigned *symbol_out);

/* Bits that follow the code of a length or distance (3.2.5). */
unsigned deflate_litlen_extra(unsigned symbol);

/* The same for a distance's. */
unsigned deflate_distance_extra(unsigned symbol);

/* How long the codes of a block are. */
struct deflate_lengths {
    uint8_t bits[DEFLATE_LITLENS + DEFLATE_DISTANCES]; /* literals and lengths, then distances */
    unsigned litlens;
    unsigned distances;
};

/* Reads the lengths out of the header (3.2.7) of the block with codes of its own whose BFINAL bit
 * is at *AT, which then is the position of the first symbol. False where it makes no sense;
 * *COMPLETE_OUT is that of the code for the lengths. */
bool deflate_read_lengths(const struct deflate_input *in, uint64_t *at, struct deflate_lengths *out,
                          bool *complete_out);

#endif
