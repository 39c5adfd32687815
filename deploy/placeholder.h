/*
 * Placeholders of deployment templates, "<IMAGE1_NAME>": capitals, digits and "_" in angle
 * brackets, as CodePipeline's CodeDeployToECS action and CodeDeploy have them.
 */
#ifndef SLIPWAY_DEPLOY_PLACEHOLDER_H
#define SLIPWAY_DEPLOY_PLACEHOLDER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/strlist.h"

/* What CodeDeploy fills itself: stays as it is. */
#define PLACEHOLDER_TASK_DEFINITION "TASK_DEFINITION"

/* Whether NAME may stand between the brackets. */
bool placeholder_valid(const char *name);

/* The first placeholder in [TEXT + FROM, TEXT + LEN): its "<" is at *START_OUT, *END_OUT is behind
 * its ">". False: there is none. */
bool placeholder_find(const char *text, size_t len, size_t from, size_t *start_out,
                      size_t *end_out);

/* TEXT with each "<NAME>" that VALUES (NAME=VALUE) knows replaced. With JSON the values are escaped
 * as in a JSON string. USED (may be NULL) gets the names that were met, each once; others stay as
 * they are and are added to UNKNOWN (may be NULL). */
void placeholder_fill(const char *text, size_t len, const struct strlist *values, bool json,
                      struct buf *out, struct strlist *used, struct strlist *unknown);

#endif
