/*
 * Durations in Go's syntax ("1h30m", "1.5s", "300ms"), as HEALTHCHECK has them.
 */
#ifndef SLIPWAY_BUILDER_DURATION_H
#define SLIPWAY_BUILDER_DURATION_H

#include <stdint.h>

#include "base/error.h"

/* Reads TEXT into nanoseconds (time.ParseDuration: "0", or signed numbers with the units ns, us,
 * ms, s, m, h). Anything else, or what does not fit 63 bits, is ERR_USAGE. */
int duration_parse(const char *text, int64_t *ns_out, struct error *err);

#endif
