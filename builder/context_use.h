/*
 * Who still needs the context's tree. A folder of 200,000 files has one of 40 MB; once the last
 * step that may look at it has taken what it wants, that is given back, before the step's layer is
 * written.
 */
#ifndef SLIPWAY_BUILDER_CONTEXT_USE_H
#define SLIPWAY_BUILDER_CONTEXT_USE_H

#include "builder/build_internal.h"
#include "builder/dockerfile.h"

/* Counts the instructions of the stages marked in NEEDED that may look at the context, and each of
 * the stages for its base's triggers, which nobody knows yet. Before any stage runs. */
void context_use_count(struct build *build, const bool *needed);

/* Whether IN is one of those that context_use_count() counts. */
bool context_use_is_one(const struct instruction *in);

/* One more user of the context's tree. Any thread. */
void context_use_begin(struct build *build);

/* One less: with the last the tree may go. Any thread. */
void context_use_end(struct build *build);

#endif
