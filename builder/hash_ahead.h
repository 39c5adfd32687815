/*
 * Hashing what a stage copies out of the context while its base is still being asked for, fetched
 * and read.
 */
#ifndef SLIPWAY_BUILDER_HASH_AHEAD_H
#define SLIPWAY_BUILDER_HASH_AHEAD_H

#include "builder/stage.h"

/* Starts to look at a folder's files, and to hash those that COPY and ADD in front of the stage's
 * first RUN take (later ones are hashed when it is their turn: a file may change while a RUN runs).
 * For stages that start from an image or scratch, before that is resolved. What fails here fails
 * again, with its words, in the step itself. */
void hash_ahead_of_base(struct stage *stage);

/* The same once the base is resolved, for any context and stage, where a WORKDIR has to read the
 * base's files first. Does nothing where it was started already. */
void hash_ahead_of_workdir(struct stage *stage);

/* Waits for it: nothing is to be hashed twice. */
void hash_ahead_wait(struct stage *stage);

#endif
