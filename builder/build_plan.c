/* What a build would do. */
#include "builder/build_plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "builder/mount.h"
#include "builder/planning.h"

void build_plan_release(struct build_plan *plan)
{
    for (size_t i = 0; i < plan->len; i++) {
        struct planned_stage *stage = &plan->stages[i];
        free(stage->name);
        free(stage->base);
        free(stage->digest);
        strlist_release(&stage->sources);
        planning_release(stage->steps, stage->steps_len);
    }
    free(plan->stages);
    free(plan->dockerfile_name);
    free(plan->dockerfile_text);
    *plan = (struct build_plan){0};
}

static void add_source(struct strlist *sources, const char *name)
{
    if (name && !strlist_has(sources, name)) {
        strlist_add(sources, name);
    }
}

/* What the stage's instructions name as sources, as they stand in the Dockerfile. */
static void find_sources(const struct build *build, size_t index, struct strlist *out)
{
    const struct plan_stage *plan = &build->plan.stages[index];
    for (size_t i = plan->first; i < plan->end; i++) {
        const struct instruction *in = &build->df->items[i];
        for (size_t j = 0; j < in->flags_len; j++) {
            struct run_mount mount = {0};
            struct error ignored = {0};
            if (in->type == INSTRUCTION_COPY && strcmp(in->flags[j].name, "from") == 0) {
                add_source(out, in->flags[j].value);
            } else if (in->type == INSTRUCTION_RUN && strcmp(in->flags[j].name, "mount") == 0 &&
                       mount_parse(in->flags[j].value, NULL, &mount, &ignored) == 0) {
                add_source(out, mount.from);
            }
            run_mount_release(&mount);
        }
    }
}

static void take_stage(struct build *build, size_t index, struct planned_stage *out)
{
    struct stage *stage = &build->stages[index];
    const struct plan_stage *plan = &build->plan.stages[index];
    char digest[DIGEST_TEXT_SIZE];
    out->name = plan->name ? mem_strdup(plan->name) : mem_printf("%zu", index);
    out->base = mem_strdup(plan->base);
    out->needed = stage->started;
    if (stage->started && plan->parent < 0 && !plan->scratch) {
        out->digest = mem_strdup(digest_format(&stage->stack.base.manifest.digest, digest));
    }
    find_sources(build, index, &out->sources);
    out->steps = MEM_STEAL(stage->planned);
    out->steps_len = stage->planned_len;
    stage->planned_len = 0;
}

static int plan_all(struct build *build, const char *platform, struct build_plan *out,
                    struct error *err)
{
    int r = build_open(build, platform, true, err);
    if (build->context) {
        const struct buf *text = context_dockerfile(build->context);
        out->dockerfile_name = mem_strdup(context_dockerfile_name(build->context));
        out->dockerfile_text = mem_strndup(buf_text(text), text->len);
    }
    if (r != 0 || build_run_stages(build, err) != 0) {
        return -1;
    }
    out->len = build->plan.len;
    out->target = build->plan.target;
    out->stages = mem_calloc(out->len, sizeof *out->stages);
    for (size_t i = 0; i < out->len; i++) {
        take_stage(build, i, &out->stages[i]);
    }
    return 0;
}

int build_plan_make(const struct build_request *request, struct build_plan *out, struct error *err)
{
    struct build build;
    const struct strlist *platforms = &request->platforms;
    struct build_request dry = *request;
    dry.push = false;
    build_init(&build, &dry);
    build.dry = true;
    int r = plan_all(&build, platforms->len ? platforms->items[0] : NULL, out, err);
    build_release(&build);
    return r;
}
