/* The program's own version, and its libraries'. */
#ifndef SLIPWAY_CLI_VERSION_H
#define SLIPWAY_CLI_VERSION_H

#include <stdbool.h>

#define SLIPWAY_VERSION "0.1.0"

/* Prints both to standard output, a line each. Of the libraries that are loaded only when they are
 * needed: what they say themselves with LOAD, else what slipway was built with. */
void version_print(bool load);

#endif
