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

#endif
