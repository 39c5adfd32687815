/*
 * What the linter has to say while a build runs. Only builder/'s own files include this.
 */
#ifndef SLIPWAY_BUILDER_LINT_BUILD_H
#define SLIPWAY_BUILDER_LINT_BUILD_H

#include "builder/build_internal.h"

/* Before the first step: where the Dockerfile says error=true, findings are warnings, and then an
 * error (ERR_USAGE at the first). */
int lint_before_build(struct build *build, struct error *err);

/* After the last step: posts findings as warnings, a few in full. */
void lint_after_build(struct build *build);

#endif
