/* What `build` and `ship` share: the build itself and what is written about it. */
#ifndef SLIPWAY_CLI_BUILD_COMMAND_H
#define SLIPWAY_CLI_BUILD_COMMAND_H

#include "cli/build_options.h"
#include "cli/commands.h"

/* Where RUN needs a user namespace that this process is not in yet, runs the program again inside
 * one and waits: *DONE_OUT is then true and call->status its exit status. Before any thread exists.
 */
void build_command_enter(struct invocation *call, bool *done_out);

/* Builds as OPTIONS say, writes the outputs and the files that tell of the image. Where it fails,
 * CALL gets the Dockerfile for showing. */
int build_command_run(struct invocation *call, struct build_options *options,
                      const struct session *session, struct build_result *result,
                      struct error *err);

/* Prints the image's digest, unless standard output carries something else. */
void build_command_print(const struct build_options *options, const struct build_result *result);

#endif
