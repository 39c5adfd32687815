#include "builder/rune.h"

#include "base/memory.h"

/* Bytes that a sequence beginning with LEAD has, and the smallest value it may have; 0: no lead. */
static size_t sequence(unsigned char lead, uint32_t *value, uint32_t *smallest)
{
    if (lead >= 0xC2 && lead <= 0xDF) {
        *value = lead & 0x1Fu;
        *smallest = 0x80;
        return 2;
    }
    if (lead >= 0xE0 && lead <= 0xEF) {
        *value = lead & 0x0Fu;
        *smallest = 0x800;
        return 3;
    }
    if (lead >= 0xF0 && lead <= 0xF4) {
        *value = lead & 0x07u;
        *smallest = 0x10000;
        return 4;
    }
    return 0;
}

size_t rune_decode(const char *text, size_t len, uint32_t *rune_out)
{
    const unsigned char *bytes = (const unsigned char *)text;
    *rune_out = bytes[0];
    if (bytes[0] < 0x80) {
        return 1;
    }
    *rune_out = RUNE_INVALID;
    uint32_t value = 0;
    uint32_t smallest = 0;
    size_t need = sequence(bytes[0], &value, &smallest);
    if (need == 0 || need > len) {
        return 1;
    }
    for (size_t i = 1; i < need; i++) {
        if ((bytes[i] & 0xC0) != 0x80) {
            return 1;
        }
        value = value << 6 | (bytes[i] & 0x3Fu);
    }
    if (value < smallest || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) {
        return 1;
    }
    *rune_out = value;
    return need;
}

bool rune_is_space(uint32_t rune)
{
    switch (rune) {
    case '\t':
    case '\n':
    case '\v':
    case '\f':
    case '\r':
    case ' ':
    case 0x85:
    case 0xA0:
    case 0x1680:
    case 0x2028:
    case 0x2029:
    case 0x202F:
    case 0x205F:
    case 0x3000:
        return true;
    default:
        return rune >= 0x2000 && rune <= 0x200A;
    }
}

static const struct {
    uint32_t first;
    uint32_t last;
} letters[] = {
    {'A', 'Z'},       {'a', 'z'},       {0xAA, 0xAA},     {0xB5, 0xB5},     {0xBA, 0xBA},
    {0xC0, 0xD6},     {0xD8, 0xF6},     {0xF8, 0x2C1},    {0x370, 0x373},   {0x376, 0x377},
    {0x37B, 0x37D},   {0x37F, 0x37F},   {0x386, 0x386},   {0x388, 0x3F5},   {0x3F7, 0x481},
    {0x48A, 0x52F},   {0x531, 0x556},   {0x561, 0x587},   {0x5D0, 0x5EA},   {0x620, 0x64A},
    {0x671, 0x6D3},   {0x904, 0x939},   {0xE01, 0xE30},   {0x10A0, 0x10FA}, {0x1E00, 0x1FBC},
    {0x3041, 0x3096}, {0x30A1, 0x30FA}, {0x3400, 0x4DBF}, {0x4E00, 0x9FFF}, {0xAC00, 0xD7A3},
};

bool rune_is_letter(uint32_t rune)
{
    for (size_t i = 0; i < ARRAY_LEN(letters) && rune >= letters[i].first; i++) {
        if (rune <= letters[i].last) {
            return true;
        }
    }
    return false;
}

size_t text_trim(const char *text, size_t len, const char **start_out)
{
    uint32_t rune = 0;
    size_t start = 0;
    while (start < len) {
        size_t width = rune_decode(text + start, len - start, &rune);
        if (!rune_is_space(rune)) {
            break;
        }
        start += width;
    }
    size_t end = len;
    while (end > start) {
        size_t at = end - 1;
        while (at > start && end - at < 4 && ((unsigned char)text[at] & 0xC0) == 0x80) {
            at--;
        }
        if (rune_decode(text + at, end - at, &rune) != end - at || !rune_is_space(rune)) {
            break;
        }
        end = at;
    }
    *start_out = text + start;
    return end - start;
}
