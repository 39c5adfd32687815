/*
 * Builds for another platform than this machine's: whether its programs can run here.
 */
#ifndef SLIPWAY_BUILDER_FOREIGN_H
#define SLIPWAY_BUILDER_FOREIGN_H

#include <stdbool.h>

#include "base/error.h"
#include "oci/document.h"

/* 0 where programs for PLATFORM run on this machine: its own architecture (or the 32-bit one that
 * its processor knows too), or one that binfmt_misc has an interpreter for that also works inside
 * other roots (flag F). Else ERR_ISOLATION that says what is missing. */
int foreign_check(const struct platform *platform, struct error *err);

#endif
