/*
 * What the linter found, for people and for programs.
 */
#ifndef SLIPWAY_CLI_LINT_OUTPUT_H
#define SLIPWAY_CLI_LINT_OUTPUT_H

#include <stdio.h>

#include "base/json.h"
#include "builder/check.h"

/* Writes the findings as compilers do: "FILE:LINE:COLUMN: RULE: TEXT", the line with the word
 * underlined, and what to write instead; at the end how many there are. */
void lint_print(const struct check_result *result, FILE *out);

/* The findings as `docker build --call=check,format=json` writes them: "warnings" with ruleName,
 * description, url, detail and location; "sources"; "buildError" where ERR holds an error. Each
 * warning has "line", "column" and "advice" too. The caller's. */
json_t *lint_json(const struct check_result *result, const struct error *err);

#endif
