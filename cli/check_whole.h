/*
 * `slipway check` as a whole: the rules for Dockerfiles, for each Dockerfile that is built, and
 * what contradicts what in the files of the deployment.
 */
#ifndef SLIPWAY_CLI_CHECK_WHOLE_H
#define SLIPWAY_CLI_CHECK_WHOLE_H

#include "cli/build_options.h"
#include "cli/commands.h"

/* Checks the context that OPTIONS name and prints what was found. CALL's status becomes 1 where
 * anything but notes was found. */
int check_whole_run(struct invocation *call, struct build_options *options, bool json,
                    struct error *err);

#endif
