/*
 * What a step's result looks like in a registry: an ordinary OCI image of at most one layer, the
 * step's own, whose manifest says in annotations which key it stands for and what the layer
 * inflates to. Whoever wants the result reads nothing but the manifest.
 *
 * The same result under the same key gives the same bytes on any machine and at any time.
 */
#ifndef SLIPWAY_BUILDER_REMOTE_ENTRY_H
#define SLIPWAY_BUILDER_REMOTE_ENTRY_H

#include "builder/step_cache.h"

/* The config of an image of RESULT's layer (or none), made by CREATED_BY for PLATFORM. */
void remote_entry_config(const struct step_result *result, const char *created_by,
                         const struct platform *platform, struct buf *out);

/* The manifest over it, for KEY. */
void remote_entry_manifest(const struct digest *key, const struct step_result *result,
                           const char *created_by, const struct descriptor *config,
                           struct buf *out);

/* Reads a manifest that should stand for KEY. ERR_REMOTE says what is wrong with it. */
int remote_entry_parse(const void *data, size_t len, const struct digest *key,
                       struct step_result *out, struct error *err);

#endif
