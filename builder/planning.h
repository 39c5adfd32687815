/*
 * Stages that are only planned: what is noted of each instruction, and which cannot be judged as
 * they depend on a step that would be made. Only builder/'s own files include this.
 */
#ifndef SLIPWAY_BUILDER_PLANNING_H
#define SLIPWAY_BUILDER_PLANNING_H

#include "builder/stage.h"

/* Notes STATE of IN; REASON may be NULL. */
void planning_note(struct stage *stage, const struct instruction *in, enum planned_state state,
                   const char *reason);

/* Whether IN needs files that a step which would be made is to give: then it is noted as waiting,
 * and *SKIP_OUT is true. Waits for stages that IN copies from. */
int planning_waits(struct stage *stage, const struct instruction *in, bool *skip_out,
                   struct error *err);

/* Frees notes. */
void planning_release(struct planned_step *steps, size_t len);

#endif
