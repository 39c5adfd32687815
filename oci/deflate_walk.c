/*
 * The walk through a deflate stream.
 *
 * Only how many bits each symbol takes matters, so a table entry is a number of bits, and one entry
 * stands for as many literals as its index holds, together with the length code (and its extra
 * bits) that follows them.
 */
#include "oci/deflate_walk.h"

#include <string.h>

#include "oci/deflate_code.h"

/* What follows the bits of an entry. */
enum next {
    NEXT_LITLEN = 0x00,   /* another literal, length or end */
    NEXT_DISTANCE = 0x40, /* it ended with a length: a distance */
    NEXT_END = 0x80,      /* it ended with the end of the block */
    NEXT_MASK = 0xc0,
    BITS_MASK = 0x3f, /* bits that the entry takes; 0: the code is longer than DEFLATE_ROOT_BITS, or
                         no code */
};

/* One Huffman code: a table over the first bits, and the canonical form for longer codes. */
struct code {
    uint8_t root[DEFLATE_ROOT_SIZE];
    uint8_t length[DEFLATE_ROOT_SIZE]; /* bits of the first code at an index, without extra bits */
    struct deflate_code all;
};

struct walk {
    struct deflate_input in;
    uint64_t at;  /* bits */
    uint64_t end; /* bits */
    struct code litlen;
    struct code distance;
};

static inline uint64_t peek(const struct walk *w)
{
    return deflate_peek(&w->in, w->at);
}

static unsigned take(struct walk *w, unsigned count)
{
    unsigned value = (unsigned)(peek(w) & ((1U << count) - 1));
    w->at += count;
    return value;
}

/* The entry of SYMBOL whose code has LENGTH bits. */
static uint8_t litlen_entry(unsigned symbol, unsigned length)
{
    if (symbol < DEFLATE_END_OF_BLOCK) {
        return (uint8_t)(length | NEXT_LITLEN);
    }
    if (symbol == DEFLATE_END_OF_BLOCK) {
        return (uint8_t)(length | NEXT_END);
    }
    return (uint8_t)((length + deflate_litlen_extra(symbol)) | NEXT_DISTANCE);
}

static uint8_t distance_entry(unsigned symbol, unsigned length)
{
    return (uint8_t)((length + deflate_distance_extra(symbol)) | NEXT_LITLEN);
}

static unsigned reverse(unsigned code, unsigned length)
{
    unsigned out = 0;
    for (unsigned i = 0; i < length; i++) {
        out |= ((code >> i) & 1) << (length - 1 - i);
    }
    return out;
}

static void fill_root(struct code *c, unsigned code, unsigned length, uint8_t entry)
{
    for (unsigned at = reverse(code, length); at < DEFLATE_ROOT_SIZE; at += 1U << length) {
        c->root[at] = entry;
        c->length[at] = (uint8_t)length;
    }
}

/* Makes the code of COUNT symbols with LENGTHS bits each, with its table. Returns false where they
 * are more than a code can have. */
static bool code_make(struct code *c, const uint8_t *lengths, unsigned count,
                      uint8_t (*entry_of)(unsigned symbol, unsigned length))
{
    bool complete = false;
    unsigned next[DEFLATE_CODE_BITS + 2] = {0};
    memset(c->root, 0, sizeof c->root);
    memset(c->length, 0, sizeof c->length);
    if (!deflate_code_make(&c->all, lengths, count, &complete)) {
        return false;
    }
    for (unsigned bits = 1; bits <= DEFLATE_CODE_BITS; bits++) {
        next[bits + 1] = (next[bits] + c->all.count[bits]) << 1;
    }
    for (unsigned i = 0; i < count; i++) {
        unsigned length = lengths[i];
        if (length > 0 && length <= DEFLATE_ROOT_BITS) {
            fill_root(c, next[length]++, length, entry_of(i, length));
        }
    }
    return true;
}

/* Lets entries that end with a literal take the codes that follow it too, as far as the index holds
 * them. Goes downwards, since followers lie at smaller indices and must still be single codes. */
static void code_chain(struct code *c)
{
    for (unsigned at = DEFLATE_ROOT_SIZE; at-- > 1;) {
        unsigned entry = c->root[at];
        unsigned used = c->length[at];
        while (used > 0 && used < DEFLATE_ROOT_BITS && (entry & NEXT_MASK) == NEXT_LITLEN) {
            unsigned follower = at >> used;
            unsigned length = c->length[follower];
            if (length == 0 || length > DEFLATE_ROOT_BITS - used) {
                break;
            }
            entry = (used + (c->root[follower] & BITS_MASK)) | (c->root[follower] & NEXT_MASK);
            used += length;
        }
        c->root[at] = (uint8_t)entry;
    }
}

/* Reads the header of a block whose first three bits are taken. */
static bool read_dynamic_codes(struct walk *w)
{
    struct deflate_lengths lengths;
    bool complete = false;
    w->at -= 3;
    return deflate_read_lengths(&w->in, &w->at, &lengths, &complete) &&
           code_make(&w->litlen, lengths.bits, lengths.litlens, litlen_entry) &&
           code_make(&w->distance, lengths.bits + lengths.litlens, lengths.distances,
                     distance_entry);
}

static bool make_fixed_codes(struct walk *w)
{
    uint8_t lengths[DEFLATE_LITLENS];
    memset(lengths, 8, 144);
    memset(lengths + 144, 9, 112);
    memset(lengths + 256, 7, 24);
    memset(lengths + 280, 8, 8);
    uint8_t distances[DEFLATE_DISTANCES];
    memset(distances, 5, sizeof distances);
    return code_make(&w->litlen, lengths, DEFLATE_LITLENS, litlen_entry) &&
           code_make(&w->distance, distances, DEFLATE_DISTANCES, distance_entry);
}

/* What the table does not hold: the entry of one code that is longer than DEFLATE_ROOT_BITS, whose
 * own bits are taken already. Returns false where there is no such code. */
static bool long_code(struct walk *w, const struct code *c, bool is_distance, unsigned *entry_out)
{
    unsigned symbol = 0;
    unsigned used = deflate_code_symbol(&c->all, peek(w), &symbol);
    if (used == 0) {
        return false;
    }
    w->at += used;
    *entry_out = is_distance ? distance_entry(symbol, 0) : litlen_entry(symbol, 0);
    return true;
}

/* One step with all checks: an entry of the litlen code, and the distance where it ends with a
 * length. *NEXT_OUT is NEXT_END at the end of the block. */
static bool skip_one(struct walk *w, unsigned *next_out)
{
    unsigned entry = w->litlen.root[peek(w) & (DEFLATE_ROOT_SIZE - 1)];
    if ((entry & BITS_MASK) == 0 && !long_code(w, &w->litlen, false, &entry)) {
        return false;
    }
    w->at += entry & BITS_MASK;
    *next_out = entry & NEXT_MASK;
    if (*next_out != NEXT_DISTANCE) {
        return w->at <= w->end;
    }
    entry = w->distance.root[peek(w) & (DEFLATE_ROOT_SIZE - 1)];
    if ((entry & BITS_MASK) == 0 && !long_code(w, &w->distance, true, &entry)) {
        return false;
    }
    w->at += entry & BITS_MASK;
    return w->at <= w->end;
}

/* The same many times where the input is long enough, up to what only skip_one() can do: the 57
 * bits of one load are enough for two entries of at most 11 + 5 and a distance of at most 11 + 13.
 */
static void skip_many(struct walk *w)
{
    const uint8_t *litlen = w->litlen.root;
    const uint8_t *distance = w->distance.root;
    const uint64_t end = w->end < 64 ? 0 : w->end - 64;
    uint64_t at = w->at;
    while (at < end) {
        uint64_t bits;
        memcpy(&bits, w->in.data + (at >> 3), 8);
        bits = le64toh(bits) >> (at & 7);
        unsigned entry = litlen[bits & (DEFLATE_ROOT_SIZE - 1)];
        unsigned used = 0;
        if ((entry & ~(unsigned)BITS_MASK) == NEXT_LITLEN) {
            used = entry;
            bits >>= used;
            entry = litlen[bits & (DEFLATE_ROOT_SIZE - 1)];
        }
        unsigned count = entry & BITS_MASK;
        if (count == 0 || (entry & NEXT_MASK) == NEXT_END) {
            w->at = at;
            return;
        }
        used += count;
        if ((entry & NEXT_MASK) == NEXT_DISTANCE) {
            unsigned second = distance[(bits >> count) & (DEFLATE_ROOT_SIZE - 1)];
            if (second == 0) {
                w->at = at;
                return;
            }
            used += second;
        }
        at += used;
    }
    w->at = at;
}

/* Walks over the symbols of a compressed block. */
static bool skip_symbols(struct walk *w)
{
    code_chain(&w->litlen);
    while (w->at < w->end) {
        unsigned next = NEXT_LITLEN;
        skip_many(w);
        if (!skip_one(w, &next)) {
            return false;
        }
        if (next == NEXT_END) {
            return true;
        }
    }
    return false;
}

static bool skip_stored(struct walk *w)
{
    w->at = (w->at + 7) & ~(uint64_t)7;
    unsigned len = take(w, 16);
    unsigned complement = take(w, 16);
    w->at += (uint64_t)len * 8;
    return len == (complement ^ 0xffff) && w->at <= w->end;
}

static bool skip_block(struct walk *w, bool *final_out)
{
    *final_out = take(w, 1);
    switch (take(w, 2)) {
    case 0:
        return skip_stored(w);
    case 1:
        return make_fixed_codes(w) && skip_symbols(w);
    case 2:
        return read_dynamic_codes(w) && skip_symbols(w);
    default:
        return false;
    }
}

bool deflate_walk(const uint8_t *data, size_t len, uint64_t *last_out, uint64_t *end_out)
{
    struct walk w = {.in = {data, len}, .end = (uint64_t)len * 8};
    bool final = false;
    uint64_t last = 0;
    while (!final) {
        last = w.at;
        if (w.at >= w.end || !skip_block(&w, &final)) {
            return false;
        }
    }
    *last_out = last;
    *end_out = w.at;
    return true;
}
