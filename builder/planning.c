/* Notes of stages that are only planned. */
#include "builder/planning.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "builder/mount.h"

void planning_release(struct planned_step *steps, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        free(steps[i].text);
        free(steps[i].reason);
    }
    free(steps);
}

void planning_note(struct stage *stage, const struct instruction *in, enum planned_state state,
                   const char *reason)
{
    stage->planned = mem_realloc(stage->planned, stage->planned_len + 1, sizeof *stage->planned);
    stage->planned[stage->planned_len] = (struct planned_step){.text = mem_strdup(in->original),
                                                               .line = in->line,
                                                               .state = state,
                                                               .reason = mem_strdup(reason)};
    stage->planned_len++;
}

/* Whether --from=FROM in STAGE is a stage with something to make. */
static int is_stale(struct stage *stage, const char *from, bool *stale_out, struct error *err)
{
    struct build *build = stage->build;
    struct stage *other = NULL;
    int index = -1;
    *stale_out = false;
    for (size_t i = 0; i < build->request->contexts_len; i++) {
        if (strcmp(build->request->contexts[i].name, from) == 0) {
            return 0;
        }
    }
    if (plan_find_stage(&build->plan, from, stage->index, &index, err) != 0) {
        return -1;
    }
    if (index < 0) {
        return 0;
    }
    if (build_need_stage(build, (size_t)index, &other, err) != 0) {
        return -1;
    }
    *stale_out = other->stale;
    return 0;
}

static int flag_is_stale(struct stage *stage, const struct flag *flag, char **name_out,
                         struct error *err)
{
    bool stale = false;
    if (strcmp(flag->name, "from") == 0) {
        if (is_stale(stage, flag->value, &stale, err) != 0) {
            return -1;
        }
        *name_out = stale ? mem_strdup(flag->value) : NULL;
    } else if (strcmp(flag->name, "mount") == 0) {
        struct expander x = stage_expander(stage);
        struct run_mount mount = {0};
        if (mount_parse(flag->value, &x, &mount, err) != 0) {
            return -1;
        }
        int r = mount.from ? is_stale(stage, mount.from, &stale, err) : 0;
        *name_out = stale ? mem_strdup(mount.from) : NULL;
        run_mount_release(&mount);
        return r;
    }
    return 0;
}

int planning_waits(struct stage *stage, const struct instruction *in, bool *skip_out,
                   struct error *err)
{
    *skip_out = false;
    if (in->type != INSTRUCTION_RUN && in->type != INSTRUCTION_COPY &&
        in->type != INSTRUCTION_ADD) {
        if (in->type != INSTRUCTION_WORKDIR) {
            planning_note(stage, in, PLANNED_CONFIG, NULL);
        }
        return 0;
    }
    AUTO(mem_freep) char *from = NULL;
    for (size_t i = 0; i < in->flags_len && !from; i++) {
        if (flag_is_stale(stage, &in->flags[i], &from, err) != 0) {
            return -1;
        }
    }
    if (!stage->stale && !from) {
        return 0;
    }
    AUTO(mem_freep) char *why = from ? mem_printf("on stage '%s'", from) : NULL;
    planning_note(stage, in, PLANNED_WAITS, why);
    stage->stale = true;
    stage->step++;
    *skip_out = true;
    return 0;
}
