/*
 * Errors as people see them: "slipway: FILE:LINE:COLUMN: TEXT", and where a file and line are
 * named, the line itself with a caret below it.
 */
#ifndef SLIPWAY_CLI_REPORT_H
#define SLIPWAY_CLI_REPORT_H

#include <stdio.h>

#include "base/error.h"

/* A text whose lines errors can name. Borrowed parts; NULL: not known. */
struct report_source {
    const char *name; /* as in error.file */
    const char *text;
};

/* Writes ERR to OUT, and the line of SOURCE that it names. What would steer a terminal is taken
 * out. */
void report_error(const struct error *err, const struct report_source *source, FILE *out);

/* Writes the line of TEXT that PLACE names, with a caret below its column; nothing where TEXT is
 * shorter. */
void report_line(const struct error *place, const char *text, FILE *out);

#endif
