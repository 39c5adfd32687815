/*
 * Editing an image's config (image-spec 1.1, config.md; with Docker's Healthcheck, OnBuild and
 * Shell).
 *
 *     json_t *config = config_new(&platform);            // FROM scratch
 *     json_t *config = config_inherit(base->config_json) // FROM an image
 *     config_set_text(config, "WorkingDir", "/srv");
 *     config_add_history(config, epoch, "WORKDIR /srv", true);
 *     config_render(config, epoch, layers, len, &out);
 *
 * The same edits give the same bytes: members are written in one fixed order and maps sorted.
 */
#ifndef SLIPWAY_OCI_CONFIG_H
#define SLIPWAY_OCI_CONFIG_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/strlist.h"
#include "oci/document.h"

/* The config of an empty image for PLATFORM. The reference is the caller's. */
json_t *config_new(const struct platform *platform);

/* A copy of BASE to edit; what only tells of the base's own building (container, docker_version,
 * ...) is left out. The reference is the caller's. */
json_t *config_inherit(const json_t *base);

/* The platform that CONFIG is for; OUT is the caller's (platform_release). */
void config_platform(const json_t *config, struct platform *out);

/* Lists: Env, Entrypoint, Cmd, OnBuild, Shell. Missing ones are empty; an empty or NULL LIST
 * removes the member. */
void config_get_list(const json_t *config, const char *key, struct strlist *out);

/* Sets the list KEY; an empty or NULL LIST removes it. */
void config_set_list(json_t *config, const char *key, const struct strlist *list);

/* Whether "config" has the member KEY, and not null. */
bool config_has(const json_t *config, const char *key);

/* Texts: User, WorkingDir, StopSignal. Missing is "", borrowed; NULL removes. */
const char *config_get_text(const json_t *config, const char *key);

/* Sets the text KEY; NULL removes it. */
void config_set_text(json_t *config, const char *key, const char *text);

/* Maps: Labels (VALUE a text), ExposedPorts and Volumes (VALUE NULL: an empty object). */
void config_set_in_map(json_t *config, const char *key, const char *name, const char *value);

/* Sets the member KEY of "config" to VALUE, whose reference is taken over; NULL removes. */
void config_set_json(json_t *config, const char *key, json_t *value);

/* Adds a line of history. CREATED in seconds; EMPTY: the step made no layer. */
void config_add_history(json_t *config, int64_t created, const char *created_by, bool empty);

/* Writes the document for LAYERS_LEN layers, created at CREATED (seconds since 1970). */
void config_render(const json_t *config, int64_t created, const struct layer *layers,
                   size_t layers_len, struct buf *out);

/* SECONDS as RFC 3339 in UTC ("2000-01-01T00:00:00Z"). Returns OUT. */
char *config_time(int64_t seconds, char out[32]);

#endif
