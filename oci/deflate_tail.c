/*
 * The search from behind. Nearly all places fail at the first bits, the rest at the code that codes
 * the code lengths; what passes is decoded to its end, and then held against the raw bytes: a
 * stream that only looks like a block would have to say hundreds of bytes right by chance.
 */
#include "oci/deflate_tail.h"

#include <endian.h>
#include <string.h>

enum {
    ROOT_BITS = 11, /* longer codes are decoded bit by bit: they are rare by their nature */
    ROOT_SIZE = 1 << ROOT_BITS,
    MAX_CODE_BITS = 15,
    MAX_PRECODE_BITS = 7,
    LITLEN_SYMBOLS = 288,
    DISTANCE_SYMBOLS = 32,
    PRECODE_SYMBOLS = 19,
    END_OF_BLOCK = 256,
    SEARCH_BYTES = 384 * 1024, /* libdeflate's blocks hold 300 KB at most */
    PROOF_BYTES = 1024,        /* the block has no fewer raw bytes, */
    PROOF_LITERALS = 64,       /* and so many of them are said one by one, and right */
    SUMS = 512,                /* of three code lengths of three bits each */
    HEADS_BITS = 48,           /* places that are looked at together */
};

/* A Huffman code in its canonical form (RFC 1951, 3.2.2). */
struct code {
    uint16_t count[MAX_CODE_BITS + 1];
    uint16_t sorted[LITLEN_SYMBOLS]; /* symbols by length, then number */
};

/* What the first ROOT_BITS bits of input say. */
struct step {
    uint8_t code_bits; /* 0: a longer code, or none */
    uint8_t extra_bits;
    uint16_t symbol;
};

struct search {
    const uint8_t *data;
    size_t len;
    const uint8_t *raw;
    size_t raw_len;
    uint8_t sums[SUMS]; /* how much of a complete code three lengths are, in 1/128 */
    struct code litlen;
    struct code distance;
    struct step litlen_root[ROOT_SIZE];
    struct step distance_root[ROOT_SIZE];
};

/* The 57 bits from AT on; zeros behind the end. */
static inline uint64_t peek(const struct search *s, uint64_t at)
{
    size_t byte = (size_t)(at >> 3);
    uint64_t bits = 0;
    if (byte + 8 <= s->len) {
        memcpy(&bits, s->data + byte, 8);
    } else if (byte < s->len) {
        memcpy(&bits, s->data + byte, s->len - byte);
    }
    return le64toh(bits) >> (at & 7);
}

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
    unsigned bits = 3 * ((unsigned)(peek(s, at + 13) & 15) + 4);
    uint64_t lengths = peek(s, at + 17) & (((uint64_t)1 << bits) - 1);
    unsigned sum = 0;
    for (; lengths; lengths >>= 9) {
        sum += s->sums[lengths & (SUMS - 1)];
    }
    return sum == 1U << MAX_PRECODE_BITS;
}

/* Makes CODE of COUNT symbols; false where it is not complete. */
static bool code_make(struct code *code, const uint8_t *lengths, unsigned count)
{
    unsigned offset[MAX_CODE_BITS + 2] = {0};
    unsigned left = 1;
    memset(code->count, 0, sizeof code->count);
    for (unsigned i = 0; i < count; i++) {
        code->count[lengths[i]]++;
    }
    code->count[0] = 0;
    for (unsigned bits = 1; bits <= MAX_CODE_BITS; bits++) {
        left = 2 * left;
        if (code->count[bits] > left) {
            return false;
        }
        left -= code->count[bits];
        offset[bits + 1] = offset[bits] + code->count[bits];
    }
    for (unsigned i = 0; i < count && left == 0; i++) {
        if (lengths[i]) {
            code->sorted[offset[lengths[i]]++] = (uint16_t)i;
        }
    }
    return left == 0;
}

/* Decodes one symbol from BITS; 0 where no code matches, else how many bits it takes. */
static unsigned code_symbol(const struct code *code, uint64_t bits, unsigned *symbol_out)
{
    unsigned value = 0;
    unsigned first = 0;
    unsigned index = 0;
    for (unsigned length = 1; length <= MAX_CODE_BITS; length++) {
        unsigned count = code->count[length];
        value = value << 1 | (bits & 1);
        bits >>= 1;
        if (value < first + count) {
            *symbol_out = code->sorted[index + value - first];
            return length;
        }
        index += count;
        first = (first + count) << 1;
    }
    return 0;
}

/* Reads the lengths of COUNT codes at *AT, and goes there. */
static bool read_lengths(const struct search *s, const struct code *precode, uint64_t *at,
                         uint8_t *lengths, unsigned count)
{
    for (unsigned i = 0; i < count;) {
        unsigned symbol = 0;
        uint64_t bits = peek(s, *at);
        unsigned used = code_symbol(precode, bits, &symbol);
        if (used == 0 || *at > (uint64_t)s->len * 8) {
            return false;
        }
        bits >>= used;
        *at += used;
        if (symbol < 16) {
            lengths[i++] = (uint8_t)symbol;
            continue;
        }
        unsigned extra = symbol == 16 ? 2 : symbol == 17 ? 3 : 7;
        unsigned repeat = (symbol == 18 ? 11 : 3) + (unsigned)(bits & ((1U << extra) - 1));
        if (repeat > count - i || (symbol == 16 && i == 0)) {
            return false;
        }
        memset(lengths + i, symbol == 16 ? lengths[i - 1] : 0, repeat);
        i += repeat;
        *at += extra;
    }
    return true;
}

/* Reads the header at *AT, and goes to the block's first symbol. */
static bool read_header(struct search *s, uint64_t *at)
{
    static const uint8_t order[PRECODE_SYMBOLS] = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                                   11, 4,  12, 3, 13, 2, 14, 1, 15};
    uint64_t head = peek(s, *at);
    unsigned litlens = (unsigned)(head >> 3 & 31) + 257;
    unsigned distances = (unsigned)(head >> 8 & 31) + 1;
    unsigned precodes = (unsigned)(head >> 13 & 15) + 4;
    uint8_t lengths[LITLEN_SYMBOLS + DISTANCE_SYMBOLS] = {0};
    uint8_t precode_lengths[PRECODE_SYMBOLS] = {0};
    uint64_t bits = peek(s, *at + 17);
    struct code precode;
    for (unsigned i = 0; i < precodes; i++) {
        precode_lengths[order[i]] = bits >> (3 * i) & 7;
    }
    *at += 17 + 3 * precodes;
    return code_make(&precode, precode_lengths, PRECODE_SYMBOLS) &&
           read_lengths(s, &precode, at, lengths, litlens + distances) && lengths[END_OF_BLOCK] &&
           code_make(&s->litlen, lengths, litlens) &&
           code_make(&s->distance, lengths + litlens, distances);
}

static unsigned litlen_extra(unsigned symbol)
{
    return symbol < 265 || symbol >= 285 ? 0 : (symbol - 261) / 4;
}

static unsigned distance_extra(unsigned symbol)
{
    return symbol < 4 ? 0 : (symbol - 2) / 2;
}

/* The length that SYMBOL stands for with EXTRA added. */
static unsigned match_length(unsigned symbol, unsigned extra)
{
    if (symbol < 265 || symbol >= 285) {
        return symbol < 265 ? symbol - 254 : 258;
    }
    unsigned bits = litlen_extra(symbol);
    return 3 + ((4 + (symbol - 265) % 4) << bits) + extra;
}

static size_t match_distance(unsigned symbol, unsigned extra)
{
    unsigned bits = distance_extra(symbol);
    return symbol < 4 ? symbol + 1 : ((size_t)(2 + (symbol & 1)) << bits) + 1 + extra;
}

static void make_root(const struct code *code, bool is_distance, struct step *root)
{
    for (unsigned i = 0; i < ROOT_SIZE; i++) {
        unsigned symbol = 0;
        unsigned bits = code_symbol(code, i, &symbol);
        bool fits = bits > 0 && bits <= ROOT_BITS;
        unsigned extra = is_distance ? distance_extra(symbol) : litlen_extra(symbol);
        root[i] = (struct step){fits ? (uint8_t)bits : 0, (uint8_t)extra, (uint16_t)symbol};
    }
}

/* The symbol at BITS: by the table, else bit by bit. False where there is none. */
static inline bool next_step(const struct code *code, const struct step *root, bool is_distance,
                             uint64_t bits, struct step *out)
{
    *out = root[bits & (ROOT_SIZE - 1)];
    if (out->code_bits == 0) {
        unsigned symbol = 0;
        unsigned used = code_symbol(code, bits, &symbol);
        unsigned extra = is_distance ? distance_extra(symbol) : litlen_extra(symbol);
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
    const uint64_t end = (uint64_t)s->len * 8;
    size_t raw = 0;
    while (at < end && raw <= s->raw_len) {
        struct step step;
        uint64_t bits = peek(s, at);
        if (!next_step(&s->litlen, s->litlen_root, false, bits, &step)) {
            return false;
        }
        if (step.symbol < END_OF_BLOCK) {
            raw++;
            at += step.code_bits;
            continue;
        }
        if (step.symbol == END_OF_BLOCK) {
            *end_out = at + step.code_bits;
            *raw_out = raw;
            return *end_out <= end;
        }
        raw += match_length(step.symbol, extra_of(&step, bits));
        at += step.code_bits + step.extra_bits;
        if (!next_step(&s->distance, s->distance_root, true, peek(s, at), &step)) {
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
        uint64_t bits = peek(s, at);
        next_step(&s->litlen, s->litlen_root, false, bits, &step);
        at += step.code_bits + step.extra_bits;
        if (step.symbol < END_OF_BLOCK) {
            if (s->raw[from++] != step.symbol) {
                return false;
            }
            literals++;
            continue;
        }
        size_t length = match_length(step.symbol, extra_of(&step, bits));
        bits = peek(s, at);
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
    if (!measure(s, at, &end, &raw) || (end + 7) / 8 != s->len || peek(s, end) != 0 ||
        raw > s->raw_len || raw < PROOF_BYTES || !agrees(s, at, s->raw_len - raw)) {
        return false;
    }
    *end_out = end;
    return true;
}

bool deflate_tail(const uint8_t *data, size_t len, const uint8_t *raw, size_t raw_len,
                  uint64_t *last_out, uint64_t *end_out)
{
    struct search s = {.data = data, .len = len, .raw = raw, .raw_len = raw_len};
    const size_t first = len > SEARCH_BYTES ? len - SEARCH_BYTES : 0;
    if (len >= raw_len || raw_len < PROOF_BYTES) {
        return false; /* stored, most likely */
    }
    make_sums(&s);
    size_t byte = len;
    while (byte > first) {
        byte = byte > HEADS_BITS / 8 ? byte - HEADS_BITS / 8 : 0;
        uint64_t heads = find_heads(peek(&s, (uint64_t)byte * 8));
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
