#include "builder/duration.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "base/memory.h"

static const struct {
    const char *name;
    uint64_t ns;
} units[] = {
    {"ns", 1},       {"us", 1000},      {"\xC2\xB5s", 1000}, {"\xCE\xBCs", 1000},
    {"ms", 1000000}, {"s", 1000000000}, {"m", 60000000000},  {"h", 3600000000000},
};

static int bad(const char *text, struct error *err)
{
    return error_set(err, ERR_USAGE,
                     "'%.80s' is not a duration, write for example 30s, 1m30s or 500ms", text);
}

/* Digits into VALUE; false where they are too many. */
static bool read_digits(const char **p, uint64_t *value)
{
    for (; isdigit((unsigned char)**p); (*p)++) {
        if (__builtin_mul_overflow(*value, 10u, value) ||
            __builtin_add_overflow(*value, (uint64_t)(**p - '0'), value)) {
            return false;
        }
    }
    return true;
}

/* The unit at P; 0: none. */
static uint64_t read_unit(const char **p)
{
    size_t len = strcspn(*p, ".0123456789");
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (strlen(units[i].name) == len && strncmp(units[i].name, *p, len) == 0) {
            *p += len;
            return units[i].ns;
        }
    }
    return 0;
}

/* One number with its unit, added to TOTAL. */
static bool read_part(const char **p, uint64_t *total)
{
    uint64_t whole = 0;
    const char *start = *p;
    if (!read_digits(p, &whole)) {
        return false;
    }
    bool any = *p > start;
    long double fraction = 0;
    if (**p == '.') {
        long double weight = 0.1L;
        for ((*p)++; isdigit((unsigned char)**p); (*p)++) {
            fraction += weight * (**p - '0');
            weight /= 10;
            any = true;
        }
    }
    uint64_t unit = any ? read_unit(p) : 0;
    uint64_t part = 0;
    return unit != 0 && !__builtin_mul_overflow(whole, unit, &part) &&
           !__builtin_add_overflow(part, (uint64_t)(fraction * (long double)unit + 1e-6L), &part) &&
           !__builtin_add_overflow(*total, part, total);
}

int duration_parse(const char *text, int64_t *ns_out, struct error *err)
{
    const char *p = text;
    bool negative = *p == '-';
    p += *p == '-' || *p == '+';
    if (strcmp(p, "0") == 0) {
        *ns_out = 0;
        return 0;
    }
    uint64_t total = 0;
    if (!*p) {
        return bad(text, err);
    }
    while (*p) {
        if (!read_part(&p, &total) || total > INT64_MAX) {
            return bad(text, err);
        }
    }
    *ns_out = negative ? -(int64_t)total : (int64_t)total;
    return 0;
}
