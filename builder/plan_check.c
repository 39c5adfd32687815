/* What must be right in every stage, also in those that the target does not need. */
#include <string.h>

#include "base/memory.h"
#include "builder/mount.h"
#include "builder/plan_internal.h"
#include "registry/reference.h"

static int flag_failed(const struct source_use *use, const char *from, struct error *err)
{
    dockerfile_locate_flag(err, use->plan->df->file, use->in, use->flag);
    return error_wrap(err, "%s --%s%s=%.200s", instruction_name(use->in->type), use->flag->name,
                      strcmp(use->flag->name, "from") == 0 ? "" : "=from", from);
}

static int image_must_parse(const char *name, struct error *err)
{
    struct reference ref = {0};
    int r = reference_parse(name, &ref, err);
    reference_release(&ref);
    return r;
}

/* One --from by itself. */
static int check_use(void *ctx, const struct source_use *use, const char *from, struct error *err)
{
    (void)ctx;
    const char *dollar = strchr(from, '$');
    if (dollar && dollar[1]) {
        error_set(err, ERR_USAGE, "no variables here; write FROM %.80s AS NAME and use that name",
                  from);
        return flag_failed(use, from, err);
    }
    if (!from[0] || strcmp(from, "scratch") == 0 || strlist_has(use->inputs->contexts, from) ||
        plan_source(use->plan, from) >= 0) {
        return 0;
    }
    int r = plan_is_number(from)
                ? error_set(err, ERR_USAGE, "there are %zu stages, counted from 0", use->plan->len)
                : image_must_parse(from, err);
    return r == 0 ? 0 : flag_failed(use, from, err);
}

/* Calls EACH for what FLAG of an instruction takes from elsewhere. */
static int each_flag(const struct source_use *use, source_use_fn each, void *ctx, struct error *err)
{
    struct run_mount mount = {0};
    struct error ignored = {0};
    int r = 0;
    if (use->in->type == INSTRUCTION_COPY && strcmp(use->flag->name, "from") == 0) {
        return each(ctx, use, use->flag->value, err);
    }
    if (use->in->type == INSTRUCTION_RUN && strcmp(use->flag->name, "mount") == 0 &&
        mount_parse(use->flag->value, NULL, &mount, &ignored) == 0 && mount.from &&
        !plan_is_number(mount.from)) { /* that is refused where it is needed */
        r = each(ctx, use, mount.from, err);
    }
    run_mount_release(&mount);
    return r;
}

int plan_each_source(struct source_use *use, source_use_fn each, void *ctx, struct error *err)
{
    for (size_t i = 0; i < use->in->flags_len; i++) {
        use->flag = &use->in->flags[i];
        if (each_flag(use, each, ctx, err) != 0) {
            return -1;
        }
    }
    return 0;
}

static int each_of_stage(const struct plan *plan, const struct plan_inputs *inputs, size_t stage,
                         source_use_fn each, void *ctx, struct error *err)
{
    struct source_use use = {.plan = plan, .inputs = inputs, .stage = stage};
    for (size_t i = plan->stages[stage].first; i < plan->stages[stage].end; i++) {
        use.in = &plan->df->items[i];
        if (plan_each_source(&use, each, ctx, err) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Which stages are known to need no stage that needs them. */
struct circles {
    const bool *free;
    bool waits; /* the current stage needs one that is not */
};

static int wait_for(void *ctx, const struct source_use *use, const char *from, struct error *err)
{
    (void)err;
    struct circles *c = ctx;
    bool context = strlist_has(use->inputs->contexts, from);
    int index = context ? -1 : plan_source(use->plan, from);
    c->waits = c->waits || (index >= 0 && !c->free[index]);
    return 0;
}

static int refuse_later(void *ctx, const struct source_use *use, const char *from,
                        struct error *err)
{
    const bool *is_free = ctx;
    int index = plan_source(use->plan, from);
    if (index < (int)use->stage || is_free[index] || strlist_has(use->inputs->contexts, from)) {
        return 0;
    }
    error_set(err, ERR_USAGE, "a circular reference: stage '%.80s' %s", from,
              index == (int)use->stage ? "is this one" : "needs this one");
    return flag_failed(use, from, err);
}

/* Takes stages off as long as there are some that need only such as are off already; what is left
 * stands in a circle, or waits for one. */
static int check_circles(const struct plan *plan, const struct plan_inputs *inputs,
                         struct error *err)
{
    AUTO(mem_freep) bool *is_free = mem_calloc(plan->len, sizeof *is_free);
    size_t left = plan->len;
    for (bool moved = true; moved && left > 0;) {
        moved = false;
        for (size_t i = 0; i < plan->len; i++) {
            int parent = plan->stages[i].parent;
            struct circles c = {.free = is_free, .waits = parent >= 0 && !is_free[parent]};
            if (!is_free[i] && !c.waits) {
                each_of_stage(plan, inputs, i, wait_for, &c, err);
            }
            if (!is_free[i] && !c.waits) {
                is_free[i] = moved = true;
                left--;
            }
        }
    }
    for (size_t i = 0; i < plan->len && left > 0; i++) {
        if (!is_free[i] && each_of_stage(plan, inputs, i, refuse_later, is_free, err) != 0) {
            return -1;
        }
    }
    return 0;
}

int plan_check(const struct plan *plan, const struct plan_inputs *inputs, struct error *err)
{
    for (size_t i = 0; i < plan->len; i++) {
        const struct plan_stage *stage = &plan->stages[i];
        bool image =
            stage->parent < 0 && !stage->scratch && !strlist_has(inputs->contexts, stage->base);
        if (image && image_must_parse(stage->base, err) != 0) {
            const char *written = stage->from->args.items[0];
            dockerfile_locate_word(err, plan->df->file, plan->df->text, stage->from, written);
            return error_wrap(err, "FROM %.200s", written);
        }
        if (each_of_stage(plan, inputs, i, check_use, NULL, err) != 0) {
            return -1;
        }
    }
    return check_circles(plan, inputs, err);
}
