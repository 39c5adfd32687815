/*
 * How a step's difference becomes a layer: at once, or, where another command runs next and its
 * files stay where they are, while that one runs. Then only the diff id is found out first, on
 * which the keys of the next steps depend.
 */
#ifndef SLIPWAY_BUILDER_STEP_LAYER_H
#define SLIPWAY_BUILDER_STEP_LAYER_H

#include "builder/stage.h"

/* What is to be known of a step to remember its result. Borrowed. */
struct step_names {
    const struct digest *key;
    const struct digest *also; /* NULL: none */
    const char *created_by;
};

/* Writes DIFF now; it goes up meanwhile where it is to be pushed. */
int step_layer_write(struct stage *stage, struct tree *diff, struct layer *out, struct error *err);

/* Whether writing DIFF takes long enough to do something else meanwhile. */
bool step_layer_is_large(const struct tree *diff);

/* Whether a command runs after the instruction IN of STAGE, for which its layer may wait. */
bool step_layer_may_wait(const struct stage *stage, const struct instruction *in);

/* Starts to write DIFF, whose diff id RESULT has, as the layer that was just pushed onto the
 * stage's stack; then remembers it under NAMES and tells the display of step NUMBER. Takes over
 * LOCK (-1: none) until then. */
void step_layer_start(struct stage *stage, const struct instruction *in, uint64_t number,
                      const struct step_names *names, struct tree *diff,
                      const struct step_result *result, int lock);

/* Waits for the layer that is being written, if there is one; then the stack knows its blob. The
 * error is located. */
int step_layer_settle(struct stage *stage, struct error *err);

#endif
