/* What the files that make a step's result share. */
#ifndef SLIPWAY_BUILDER_STEP_INTERNAL_H
#define SLIPWAY_BUILDER_STEP_INTERNAL_H

#include "builder/step_layer.h"

/* Tells the display that step NUMBER has ended; RESULT: what it came to, NULL: nothing. */
void step_post_end(struct stage *stage, uint64_t number, enum event_status status,
                   const struct step_result *result);

/* Keeps RESULT, which the store has under NAMES' key, for others too. */
int step_keep_result(struct stage *stage, const struct step_names *names,
                     const struct step_result *result, struct error *err);

#endif
