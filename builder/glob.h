/*
 * Wildcards, compiled: what pattern.h and ignore.h share. Internal to these two.
 *
 * Matching walks the name once with the set of all places in the pattern that may be next, so that
 * no pattern makes it slow: time is length of name times length of pattern at worst.
 */
#ifndef SLIPWAY_BUILDER_GLOB_H
#define SLIPWAY_BUILDER_GLOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum { GLOB_BYTES_MAX = 16 * 1024 };

/* ** in patterns. */
enum glob_style {
    GLOB_PLAIN,  /* as * (Go's filepath.Match) */
    GLOB_FOLDERS /* any folders, as in moby's patternmatcher */
};

struct glob;

/* Compiles LEN bytes; the error of a malformed pattern (ERR_USAGE) says what is wrong. */
int glob_compile(const char *pattern, size_t len, enum glob_style style, struct glob **out,
                 struct error *err);

/* Whether the whole of the LEN bytes at NAME matches. */
bool glob_match(const struct glob *glob, const char *name, size_t len);

/* What every match begins with, without any wildcard; borrowed, LEN_OUT bytes. */
const char *glob_prefix(const struct glob *glob, size_t *len_out);

/* Whether there is no wildcard at all: the prefix is all that matches. */
bool glob_is_literal(const struct glob *glob);

/* Cleanup for AUTO(): frees *GLOB. */
void glob_freep(struct glob **glob);

#endif
