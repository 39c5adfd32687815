/*
 * The search from behind. Nearly all places fail at the first bits, the rest at the code that codes
 * the code lengths; what passes is decoded to its end, and then held against the raw bytes: a
 * stream that only looks like a block would have to say hundreds of bytes right by chance.
 */
#include "oci/deflate_tail.h"

#include <string.h>

#include "oci/deflate_code.h"

enum {
    MAX_PRECODE_BITS = 7,
    SEARCH_BYTES = 384 * 1024, /* libdeflate's blocks hold 300 KB at most */
    PROOF_BYTES = 1024,        /* the block has no fewer raw bytes, */
    PROOF_LITERALS = 64,       /* and so many of them are said one by one, and right */
    SUMS = 512,                /* of three code lengths of three bits each */
    HEADS_BITS = 48,           /* places that are looked at together */
};

/* What the first DEFLATE_ROOT_BITS bits of input say. */
struct step {
    uint8_t code_bits; /* 0: a longer code, or none */
    uint8_t extra_bits;
    uint16_t symbol;
};

struct search {
    struct deflate_input in;
    const uint8_t *raw;
    size_t raw_len;
    uint8_t sums[SUMS]; /* how much of a complete code three lengths are, in 1/128 */
    struct deflate_code litlen;
    struct deflate_code distance;
    struct step litlen_root[DEFLATE_ROOT_SIZE];
    struct step distance_root[DEFLATE_ROOT_SIZE];
};

static void make_sums(struct search *s)
{
    static const uint8_t parts[8] = {0, 64, 32, 16, 8, 4, 2, 1};
    for (unsigned i = 0; i < SUMS; i++) {
        unsigned sum = (unsigned)parts[i & 7] + parts[i >> 3 & 7] + parts[i >> 6];
        s->sums[i] = (uint8_t)sum; /* 192 at most */
    }
}

/* At which of the first HEADS_BITS bits of BITS a header may begin: the last block (1), with codes
 * of its own (10), at most 286 literals and lengths, at most 30 distances. */
static inline uint64_t find_heads(uint64_t bits)
{
    uint64_t kind = bits & ~(bits >> 1) & bits >> 2;
    uint64_t litlens = bits >> 4 & bits >> 5 & bits >> 6 & bits >> 7;
    uint64_t distances = bits >> 9 & bits >> 10 & bits >> 11 & bits >> 12;
    return kind & ~litlens & ~distances & (((uint64_t)1 << HEADS_BITS) - 1);
}

/* Whether the header at AT has a complete code for the lengths of its codes. */
static inline bool is_plausible(const struct search *s, uint64_t at)
{
    unsigned bits = 3 * ((unsigned)(deflate_peek(&s->in, at + 13) & 15) + 4);
    uint64_t lengths = deflate_peek(&s->in, at + 17) & (((uint64_t)1 << bits) - 1);
    unsigned sum = 0;
    for (; lengths; lengths >>= 9) {
        sum += s->sums[lengths & (SUMS - 1)];
    }
    return sum == 1U << MAX_PRECODE_BITS;
}

/* Reads the header at *AT, and goes to the block's first symbol. False also where a code is not
 * complete, or nothing ends the block. */
static bool read_header(struct search *s, uint64_t *at)
{
    struct deflate_lengths lengths;
    bool complete[3] = {false};
    return deflate_read_lengths(&s->in, at, &lengths, &complete[0]) &&
           lengths.bits[DEFLATE_END_OF_BLOCK] &&
           deflate_code_make(&s->litlen, lengths.bits, lengths.litlens, &complete[1]) &&
           deflate_code_make(&s->distance, lengths.bits + lengths.litlens, lengths.distances,
                             &complete[2]) &&
           complete[0] && complete[1] && complete[2];
}

/* The length that SYMBOL stands for with EXTRA added. */
static unsigned match_length(unsigned symbol, unsigned extra)
{
    if (symbol < 265 || symbol >= 285) {
        return symbol < 265 ? symbol - 254 : 258;
    }
    unsigned bits = deflate_litlen_extra(symbol);
    return 3 + ((4 + (symbol - 265) % 4) << bits) + extra;
}

static size_t match_distance(unsigned symbol, unsigned extra)
{
    unsigned bits = deflate_distance_extra(symbol);
    return symbol < 4 ? symbol + 1 : ((size_t)(2 + (symbol & 1)) << bits) + 1 + extra;
}

static void make_root(const struct deflate_code *code, bool is_distance, struct step *root)
{
    for (unsigned i = 0; i < DEFLATE_ROOT_SIZE; i++) {
        unsigned symbol = 0;
        unsigned bits = deflate_code_symbol(code, i, &symbol);
        bool fits = bits > 0 && bits <= DEFLATE_ROOT_BITS;
        unsigned extra =
            is_distance ? deflate_distance_extra(symbol) : deflate_litlen_extra(symbol);
        root[i] = (struct step){fits ? (uint8_t)bits : 0, (uint8_t)extra, (uint16_t)symbol};
    }
}

/* The symbol at BITS: by the table, else bit by bit. False where there is none. */
static inline bool next_step(const struct deflate_code *code, const struct step *root,
                             bool is_distance, uint64_t bits, struct step *out)
{
    *out = root[bits & (DEFLATE_ROOT_SIZE - 1)];
    if (out->code_bits == 0) {
        unsigned symbol = 0;
        unsigned used = deflate_code_symbol(code, bits, &symbol);
        unsigned extra =
            is_distance ? deflate_distance_extra(symbol) : deflate_litlen_extra(symbol);
        *out = (struct step){(uint8_t)used, (uint8_t)extra, (uint16_t)symbol};
    }
    return out->code_bits != 0;
}

static inline unsigned extra_of(const struct step *step, uint64_t bits)
{
    return (unsigned)(bits >> step->code_bits) & ((1U << step->extra_bits) - 1);
}

/* Decodes from AT, a block's first symbol, to the end of the block: *END_OUT, and how many raw
 * bytes that is. */
static bool measure(const struct search *s, uint64_t at, uint64_t *end_out, size_t *raw_out)
{
    const uint64_t end = (uint64_t)s->in.len * 8;
    size_t raw = 0;
    while (at < end && raw <= s->raw_len) {
        struct step step;
        uint64_t bits = deflate_peek(&s->in, at);
        if (!next_step(&s->litlen, s->litlen_root, false, bits, &step)) {
            return false;
        }
        if (step.symbol < DEFLATE_END_OF_BLOCK) {
            raw++;
            at += step.code_bits;
            continue;
        }
        if (step.symbol == DEFLATE_END_OF_BLOCK) {
            *end_out = at + step.code_bits;
            *raw_out = raw;
            return *end_out <= end;
        }
        raw += match_length(step.symbol, extra_of(&step, bits));
        at += step.code_bits + step.extra_bits;
        if (!next_step(&s->distance, s->distance_root, true, deflate_peek(&s->in, at), &step)) {
            return false;
        }
        at += step.code_bits + step.extra_bits;
    }
    return false;
}

/* Whether the block whose first symbol is at AT says the raw bytes from FROM on, as far as the
 * proof goes. The block was measured: its codes are good. */
static bool agrees(const struct search *s, uint64_t at, size_t from)
{
    unsigned literals = 0;
    while (literals < PROOF_LITERALS && from < s->raw_len) {
        struct step step;
        uint64_t bits = deflate_peek(&s->in, at);
        next_step(&s->litlen, s->litlen_root, false, bits, &step);
        at += step.code_bits + step.extra_bits;
        if (step.symbol < DEFLATE_END_OF_BLOCK) {
            if (s->raw[from++] != step.symbol) {
                return false;
            }
            literals++;
            continue;
        }
        size_t length = match_length(step.symbol, extra_of(&step, bits));
        bits = deflate_peek(&s->in, at);
        next_step(&s->distance, s->distance_root, true, bits, &step);
        at += step.code_bits + step.extra_bits;
        size_t distance = match_distance(step.symbol, extra_of(&step, bits));
        if (distance > from || length > s->raw_len - from) {
            return false;
        }
        for (size_t i = 0; i < length; i++, from++) {
            if (s->raw[from] != s->raw[from - distance]) {
                return false;
            }
        }
    }
    return literals == PROOF_LITERALS;
}

/* Whether the last block's header is at AT. */
static bool is_last_block(struct search *s, uint64_t at, uint64_t *end_out)
{
    uint64_t end = 0;
    size_t raw = 0;
    if (!read_header(s, &at)) {
        return false;
    }
    make_root(&s->litlen, false, s->litlen_root);
    make_root(&s->distance, true, s->distance_root);
    if (!measure(s, at, &end, &raw) || (end + 7) / 8 != s->in.len ||
        deflate_peek(&s->in, end) != 0 || raw > s->raw_len || raw < PROOF_BYTES ||
        !agrees(s, at, s->raw_len - raw)) {
        return false;
    }
    *end_out = end;
    return true;
}

bool deflate_tail(const uint8_t *data, size_t len, const uint8_t *raw, size_t raw_len,
                  uint64_t *last_out, uint64_t *end_out)
{
    struct search s = {.in = {data, len}, .raw = raw, .raw_len = raw_len};
    const size_t first = len > SEARCH_BYTES ? len - SEARCH_BYTES : 0;
    if (len >= raw_len || raw_len < PROOF_BYTES) {
        return false; /* stored, most likely */
    }
    make_sums(&s);
    size_t byte = len;
    while (byte > first) {
        byte = byte > HEADS_BITS / 8 ? byte - HEADS_BITS / 8 : 0;
        uint64_t heads = find_heads(deflate_peek(&s.in, (uint64_t)byte * 8));
        while (heads) {
            unsigned highest = 63 - (unsigned)__builtin_clzll(heads);
            uint64_t at = (uint64_t)byte * 8 + highest;
            if (is_plausible(&s, at) && is_last_block(&s, at, end_out)) {
                *last_out = at;
                return true;
            }
            heads &= ~((uint64_t)1 << highest);
        }
    }
    return false;
}
