/*
 * Hashing what a stage copies out of the context while its base is still being fetched and read.
 */
#ifndef SLIPWAY_BUILDER_HASH_AHEAD_H
#define SLIPWAY_BUILDER_HASH_AHEAD_H

#include "builder/stage.h"

/* Starts to hash the files that COPY and ADD in front of the stage's first RUN take out of the
 * context (later ones are hashed when it is their turn: a file may change while a RUN runs). Does
 * nothing where the base's files are known already, or no WORKDIR waits for them. What fails here
 * fails again, with its words, in the step itself. */
void hash_ahead_start(struct stage *stage);

/* Waits for it: nothing is to be hashed twice. */
void hash_ahead_wait(struct stage *stage);

#endif
