/*
 * Yes and no as Go's strconv.ParseBool reads them: what docker's options and flags take.
 */
#ifndef SLIPWAY_BASE_TRUTH_H
#define SLIPWAY_BASE_TRUTH_H

#include <stdbool.h>

/* 1, t, T, true, TRUE, True; 0, f, F, false, FALSE, False. Whether TEXT is one of them; *OUT stays
 * where it is none. */
bool truth_parse(const char *text, bool *out);

#endif
