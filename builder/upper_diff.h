/*
 * What a RUN changed: the upper folder of an overlay read back as a difference (oci/tree.h).
 *
 * Whiteout devices become ENTRY_WHITEOUT, opaque folders a whiteout for everything that they hide;
 * copies that changed nothing are left out, and so are sockets; folders that stand there only for
 * what lies below them are ENTRY_PARENT with the attributes of the lower layers.
 */
#ifndef SLIPWAY_BUILDER_UPPER_DIFF_H
#define SLIPWAY_BUILDER_UPPER_DIFF_H

#include <stdbool.h>
#include <time.h>

#include "base/error.h"
#include "oci/tree.h"

struct upper_diff {
    int upper;             /* the upper folder */
    int view;              /* the lower layers merged; read-only */
    struct timespec start; /* files written since then have volatile times */
    const int64_t *stamps; /* seconds that stand for a volatile time in the lower layers */
    size_t stamps_len;
};

/* Reads it. What is no part of the difference is removed from the upper folder, and folders that
 * did not change get the lower layers' times, so that the folder can serve as the unpacked layer.
 * The tree keeps the upper folder open. Errors: ERR_STORE naming the path. */
int upper_diff(const struct upper_diff *diff, struct tree **out, struct error *err);

#endif
