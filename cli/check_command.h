/*
 * The Dockerfile's part of `check`, which `build --check` is too.
 */
#ifndef SLIPWAY_CLI_CHECK_COMMAND_H
#define SLIPWAY_CLI_CHECK_COMMAND_H

#include "cli/build_options.h"
#include "cli/commands.h"

/* Checks the Dockerfile that OPTIONS name and prints what was found, also where an error of it ends
 * the check. CALL's status becomes 1 where anything was found, as docker has it. */
int check_command_run(struct invocation *call, struct build_options *options, bool json,
                      struct error *err);

#endif
