/*
 * JSON (jansson) as this program reads and writes it: documents of strangers within limits, our own
 * in a fixed order.
 */
#ifndef SLIPWAY_BASE_JSON_H
#define SLIPWAY_BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

/* Parses LEN bytes, which must be one JSON object or array of at most MAX bytes, nested at most 64
 * deep. NAME says in messages what it is. CODE is the error's code. The reference in *OUT is the
 * caller's. */
int json_parse(const void *data, size_t len, size_t max, const char *name, enum error_code code,
               json_t **out, struct error *err);

/* The member KEY of OBJECT as a string, borrowed; NULL if it is missing or not a string. OBJECT may
 * be NULL. */
const char *json_get_string(const json_t *object, const char *key);

/* Compact, in insertion order, without a final newline. */
void json_render(const json_t *value, struct buf *out);

/* As json_render, indented by two spaces, with a final newline: for files people read. */
void json_render_pretty(const json_t *value, struct buf *out);

/* Cleanup for AUTO(): drops the reference *VALUE. */
void json_freep(json_t **value);

#endif
