#include "builder/context_use.h"

#include "builder/context.h"

bool context_use_is_one(const struct instruction *in)
{
    switch (in->type) {
    case INSTRUCTION_COPY:
    case INSTRUCTION_ADD:
        return !instruction_find_flag(in, "from");
    case INSTRUCTION_RUN:
        return instruction_find_flag(in, "mount") != NULL;
    default:
        return false;
    }
}

void context_use_count(struct build *build, const bool *needed)
{
    for (size_t i = 0; i < build->plan.len; i++) {
        const struct plan_stage *plan = &build->plan.stages[i];
        build->context_users += needed[i];
        for (size_t k = plan->first; needed[i] && k < plan->end; k++) {
            build->context_users += context_use_is_one(&build->df->items[k]);
        }
    }
}

void context_use_begin(struct build *build)
{
    pthread_mutex_lock(&build->lock);
    build->context_users++;
    pthread_mutex_unlock(&build->lock);
}

void context_use_end(struct build *build)
{
    pthread_mutex_lock(&build->lock);
    bool last = --build->context_users == 0;
    pthread_mutex_unlock(&build->lock);
    if (last) {
        context_drop_tree(build->context);
    }
}
