/* Header blocks and pax records. */
#include "oci/tar_parse.h"

#include <string.h>

bool tar_block_is_zero(const uint8_t block[512])
{
    static const uint8_t zeros[512];
    return memcmp(block, zeros, sizeof zeros) == 0;
}

/* GNU's base 256: the first byte's high bit marks it, the next one is the sign. */
static bool base_256(const uint8_t *field, size_t size, int64_t *out)
{
    uint64_t fill = field[0] & 0x40 ? UINT64_MAX : 0;
    uint64_t value = fill;
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = i == 0 ? (uint8_t)((field[0] & 0x7f) | (fill ? 0x80 : 0)) : field[i];
        if ((value >> 55) != (fill >> 55)) {
            return false;
        }
        value = value << 8 | byte;
    }
    *out = (int64_t)value;
    return true;
}

/* Octal digits between spaces and NULs; an empty field is 0. */
static bool number(const uint8_t *field, size_t size, int64_t *out)
{
    if (field[0] & 0x80) {
        return base_256(field, size, out);
    }
    size_t i = 0;
    uint64_t value = 0;
    while (i < size && (field[i] == ' ' || field[i] == '\0')) {
        i++;
    }
    for (; i < size && field[i] >= '0' && field[i] <= '7'; i++) {
        value = value << 3 | (uint64_t)(field[i] - '0');
    }
    for (; i < size; i++) {
        if (field[i] != ' ' && field[i] != '\0') {
            return false;
        }
    }
    *out = (int64_t)value;
    return true;
}

/* Old programs summed signed bytes. */
static bool checksum_is_right(const uint8_t block[512])
{
    int64_t expected = 0;
    int64_t sum = 0;
    int64_t signed_sum = 0;
    for (size_t i = 0; i < 512; i++) {
        uint8_t byte = i >= 148 && i < 156 ? ' ' : block[i];
        sum += byte;
        signed_sum += (int8_t)byte;
    }
    return number(block + 148, 8, &expected) && (expected == sum || expected == signed_sum);
}

static size_t text(char *to, const uint8_t *field, size_t size)
{
    size_t len = strnlen((const char *)field, size);
    memcpy(to, field, len);
    to[len] = '\0';
    return len;
}

/* The prefix field's size: 155 in ustar, 131 in star's form, none in GNU's and the old one. */
static size_t prefix_size(const uint8_t block[512])
{
    if (memcmp(block + 257, "ustar\0", 6) != 0) {
        return 0;
    }
    return memcmp(block + 508, "tar\0", 4) == 0 ? 131 : 155;
}

const char *tar_header_parse(const uint8_t block[512], struct tar_header *out)
{
    if (!checksum_is_right(block)) {
        return "not a tar header (its checksum is wrong)";
    }
    size_t len = 0;
    size_t prefix = prefix_size(block);
    if (prefix > 0 && block[345]) {
        len = text(out->name, block + 345, prefix);
        out->name[len++] = '/';
    }
    text(out->name + len, block, 100);
    text(out->link, block + 157, 100);
    out->type = (char)block[156];
    bool has_devices = memcmp(block + 257, "ustar", 5) == 0;
    out->major = 0;
    out->minor = 0;
    bool is_right = number(block + 100, 8, &out->mode) && number(block + 108, 8, &out->uid) &&
                    number(block + 116, 8, &out->gid) && number(block + 124, 12, &out->size) &&
                    number(block + 136, 12, &out->mtime) &&
                    (!has_devices ||
                     (number(block + 329, 8, &out->major) && number(block + 337, 8, &out->minor)));
    return is_right ? NULL : "a tar header whose numbers are not numbers";
}

bool pax_record_next(const char **at, const char *end, struct pax_record *out)
{
    const char *p = *at;
    size_t len = 0;
    while (p < end && *p >= '0' && *p <= '9' && len < (size_t)1 << 40) {
        len = len * 10 + (size_t)(*p - '0');
        p++;
    }
    size_t digits = (size_t)(p - *at);
    if (digits == 0 || p == end || *p != ' ' || len > (size_t)(end - *at) || len < digits + 4) {
        return false;
    }
    const char *record_end = *at + len - 1;
    p++;
    const char *equals = memchr(p, '=', (size_t)(record_end - p));
    if (*record_end != '\n' || !equals || equals == p) {
        return false;
    }
    *out =
        (struct pax_record){p, (size_t)(equals - p), equals + 1, (size_t)(record_end - equals - 1)};
    *at = record_end + 1;
    return true;
}

bool pax_number(const struct pax_record *record, bool fraction, int64_t *out)
{
    const char *p = record->value;
    const char *end = p + record->value_len;
    bool negative = p < end && *p == '-';
    p += negative;
    int64_t value = 0;
    const char *digits = p;
    for (; p < end && *p >= '0' && *p <= '9'; p++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *p - '0', &value)) {
            return false;
        }
    }
    bool is_right = p > digits;
    bool rest = false;
    if (fraction && p < end && *p == '.') {
        for (p++; p < end && *p >= '0' && *p <= '9'; p++) {
            rest = rest || *p != '0';
        }
    }
    *out = negative ? -value - rest : value;
    return is_right && p == end;
}
