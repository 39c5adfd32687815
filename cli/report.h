/*
 * Errors as people see them: "slipway: FILE:LINE:COLUMN: TEXT", and where a file and line are
 * named, the line itself with a caret below it.
 */
#ifndef SLIPWAY_CLI_REPORT_H
#define SLIPWAY_CLI_REPORT_H

#include <stdio.h>

#include "base/error.h"

/* Writes ERR to OUT. What would steer a terminal is taken out of the text. */
void report_error(const struct error *err, FILE *out);

#endif
