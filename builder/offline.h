/*
 * A build that may open no connection: what it lacks is told as a whole before anything is done.
 */
#ifndef SLIPWAY_BUILDER_OFFLINE_H
#define SLIPWAY_BUILDER_OFFLINE_H

#include "builder/build_internal.h"

/* Looks in the store for the images, repositories and downloads that the stages in NEEDED (one
 * place for each) name. Where two or more are missing: ERR_REMOTE with all of them, each with its
 * line, at the place of the first. A single one is left to the step that wants it, which knows
 * more; so is what only a variable or a trigger tells. */
int offline_check(struct build *build, const bool *needed, struct error *err);

#endif
