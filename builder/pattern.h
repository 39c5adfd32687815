/*
 * Wildcards of COPY and ADD: Go's filepath.Match.
 *
 *     *       any bytes but /
 *     ?       any one character (UTF-8) but /
 *     [a-z]   one of these characters, [^a-z] none of these
 *     \c      the character c
 *     **      where DOUBLESTAR: a whole component that stands for any number of folders, also none
 *
 * The whole name must match. Time is at most length of pattern times length of name.
 */
#ifndef SLIPWAY_BUILDER_PATTERN_H
#define SLIPWAY_BUILDER_PATTERN_H

#include <stdbool.h>

#include "base/error.h"

/* Whether NAME matches PATTERN. A pattern that is malformed anywhere is ERR_USAGE, whatever NAME
 * is. */
int pattern_match(const char *pattern, const char *name, bool doublestar, bool *matched,
                  struct error *err);

#endif
