#include "oci/deflate_code.h"

bool deflate_code_make(struct deflate_code *code, const uint8_t *lengths, unsigned count,
                       bool *complete_out)
{
    unsigned offset[DEFLATE_CODE_BITS + 2] = {0};
    unsigned left = 1;
    memset(code->count, 0, sizeof code->count);
    for (unsigned i = 0; i < count; i++) {
        code->count[lengths[i]]++;
    }
    code->count[0] = 0;
    for (unsigned bits = 1; bits <= DEFLATE_CODE_BITS; bits++) {
        left *= 2;
        if (code->count[bits] > left) {
            return false;
        }
        left -= code->count[bits];
        offset[bits + 1] = offset[bits] + code->count[bits];
    }
    for (unsigned i = 0; i < count; i++) {
        if (lengths[i]) {
            code->sorted[offset[lengths[i]]++] = (uint16_t)i;
        }
    }
    *complete_out = left == 0;
    return true;
}

unsigned deflate_code_symbol(const struct deflate_code *code, uint64_t bits, unsigned *symbol_out)
{
    unsigned value = 0;
    unsigned first = 0;
    unsigned index = 0;
    for (unsigned length = 1; length <= DEFLATE_CODE_BITS; length++) {
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

unsigned deflate_litlen_extra(unsigned symbol)
{
    return symbol < 265 || symbol >= 285 ? 0 : (symbol - 261) / 4;
}

unsigned deflate_distance_extra(unsigned symbol)
{
    return symbol < 4 ? 0 : (symbol - 2) / 2;
}

static bool read_coded(const struct deflate_input *in, const struct deflate_code *precode,
                       uint64_t *at, uint8_t *lengths, unsigned count)
{
    for (unsigned i = 0; i < count;) {
        unsigned symbol = 0;
        uint64_t bits = deflate_peek(in, *at);
        unsigned used = deflate_code_symbol(precode, bits, &symbol);
        if (used == 0 || *at > (uint64_t)in->len * 8) {
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

bool deflate_read_lengths(const struct deflate_input *in, uint64_t *at, struct deflate_lengths *out,
                          bool *complete_out)
{
    static const uint8_t order[DEFLATE_PRECODES] = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                                    11, 4,  12, 3, 13, 2, 14, 1, 15};
    uint64_t head = deflate_peek(in, *at);
    uint64_t bits = deflate_peek(in, *at + 17);
    unsigned precodes = (unsigned)(head >> 13 & 15) + 4;
    uint8_t precode_lengths[DEFLATE_PRECODES] = {0};
    struct deflate_code precode;
    *out = (struct deflate_lengths){.litlens = (unsigned)(head >> 3 & 31) + 257,
                                    .distances = (unsigned)(head >> 8 & 31) + 1};
    for (unsigned i = 0; i < precodes; i++) {
        precode_lengths[order[i]] = bits >> (3 * i) & 7;
    }
    *at += 17 + 3 * precodes;
    return out->litlens <= 286 &&
           deflate_code_make(&precode, precode_lengths, DEFLATE_PRECODES, complete_out) &&
           read_coded(in, &precode, at, out->bits, out->litlens + out->distances);
}
