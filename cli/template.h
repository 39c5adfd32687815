/*
 * --format: the part of Go's templates that scripts use with docker, over JSON.
 *
 *     {{.Config.User}}   {{json .Config}}   {{index .RepoDigests 0}}   {{index .Config.Labels
 * "a.b"}}   {{.}}
 */
#ifndef SLIPWAY_CLI_TEMPLATE_H
#define SLIPWAY_CLI_TEMPLATE_H

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"

/* Adds TEXT with its {{...}} replaced by what they name in VALUE. ERR_USAGE for any other action.
 */
int template_expand(const char *text, const json_t *value, struct buf *out, struct error *err);

/* Prints each object of the array ROWS as docker's listings do: FORMAT is "json" (an object a
 * line), a template, or "table TEMPLATE", whose columns are parted by tabs; HEADS has their titles.
 */
int template_print(const char *format, const json_t *rows, const json_t *heads, struct error *err);

#endif
