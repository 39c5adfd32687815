/*
 * Patterns of ${x#p}, ${x%p} and ${x/p/r}: * and ? match anything but a newline, \ takes the
 * meaning from *, ?, \, / and }. There are no [classes]. Internal to expand.c.
 */
#ifndef SLIPWAY_BUILDER_EXPAND_PATTERN_H
#define SLIPWAY_BUILDER_EXPAND_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

/* Work that one expansion may cost, in steps; going below zero is an error, so that no Dockerfile
 * keeps us busy for minutes. */
struct expand_budget {
    int64_t left;
};

/* Cuts the shortest (GREEDY: longest) match of PATTERN from VALUE's beginning (AT_END: end). The
 * result is a range of VALUE. Errors: ERR_USAGE for a bad escape or a spent budget. */
int expand_trim(const char *pattern, const char *value, bool at_end, bool greedy,
                struct expand_budget *budget, size_t *start_out, size_t *end_out,
                struct error *err);

/* What ${VALUE/PATTERN/REPLACEMENT} becomes (ALL: with //), in OUT. */
struct expand_replacement {
    const char *pattern;
    const char *text;
    bool all;
};

/* Appends to OUT what becomes of VALUE. Errors: ERR_USAGE for a bad escape or a spent budget. */
int expand_replace(const struct expand_replacement *r, const char *value,
                   struct expand_budget *budget, struct buf *out, struct error *err);

#endif
