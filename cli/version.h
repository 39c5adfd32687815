/* The program's own version. */
#ifndef SLIPWAY_CLI_VERSION_H
#define SLIPWAY_CLI_VERSION_H

#define SLIPWAY_VERSION "0.1.0"

#endif
