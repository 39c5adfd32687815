/* plan: what a build would do, and what the cache knows of it. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "builder/build_plan.h"
#include "cli/build_command.h"

struct plan_options {
    struct build_options build; /* first: build_group's offsets */
    bool json;
    bool all;
};

#define FLAG(MEMBER) .kind = OPTION_FLAG, .offset = offsetof(struct plan_options, MEMBER)
static const struct option_spec specs[] = {
    {.name = "all", .letter = 'a', .help = "also what only changes the config", FLAG(all)},
    {.name = "json", .help = "one JSON document", FLAG(json)},
};
static const struct option_group plan_group = {"Output", specs, ARRAY_LEN(specs)};

static const struct option_table table = {
    .command = "plan",
    .usage = "[OPTIONS] CONTEXT",
    .summary = "Shows the stages of a build, what is cached, and for the first step that is not, "
               "which input\ndiffers from the last time. Nothing is run.",
    .groups = {&plan_group, &build_group, &session_group},
    .explained_by = "build",
    .max_arguments = 1,
};

static const char *const words[] = {[PLANNED_CACHED] = "cached",
                                    [PLANNED_RUN] = "run",
                                    [PLANNED_WAITS] = "waits",
                                    [PLANNED_CONFIG] = "config"};

static void print_step(const struct planned_step *step)
{
    const char *text = step->text;
    int len = (int)strcspn(text, "\n");
    printf("  %-6s  line %-4u %.*s\n", words[step->state], step->line, len > 100 ? 100 : len, text);
    if (step->reason) {
        printf("          %s%s\n", step->state == PLANNED_RUN ? "because: " : "", step->reason);
    }
}

static void print_stage(const struct planned_stage *stage, bool target, bool all)
{
    printf("%s%s  <-  %s", stage->name, target ? " (target)" : "", stage->base);
    if (stage->digest) {
        printf("@%.19s", stage->digest);
    }
    for (size_t i = 0; i < stage->sources.len; i++) {
        printf("%s%s", i ? ", " : "  +  ", stage->sources.items[i]);
    }
    printf("%s\n", stage->needed ? "" : "  (not needed)");
    for (size_t i = 0; i < stage->steps_len; i++) {
        if (all || stage->steps[i].state != PLANNED_CONFIG) {
            print_step(&stage->steps[i]);
        }
    }
}

static void print_summary(const struct build_plan *plan)
{
    size_t counts[ARRAY_LEN(words)] = {0};
    for (size_t i = 0; i < plan->len; i++) {
        for (size_t j = 0; j < plan->stages[i].steps_len; j++) {
            counts[plan->stages[i].steps[j].state]++;
        }
    }
    printf("%zu cached, %zu to run, %zu that wait for them\n", counts[PLANNED_CACHED],
           counts[PLANNED_RUN], counts[PLANNED_WAITS]);
}

static json_t *stage_json(const struct planned_stage *stage, bool target)
{
    json_t *sources = json_array();
    json_t *steps = json_array();
    for (size_t i = 0; i < stage->sources.len; i++) {
        json_array_append_new(sources, json_string(stage->sources.items[i]));
    }
    for (size_t i = 0; i < stage->steps_len; i++) {
        const struct planned_step *step = &stage->steps[i];
        json_t *object = json_pack("{s:s, s:i}", "state", words[step->state], "line", step->line);
        json_t *text = json_string(step->text);
        json_object_set_new(object, "text", text ? text : json_null());
        if (step->reason) {
            json_object_set_new(object, "reason", json_string(step->reason));
        }
        json_array_append_new(steps, object);
    }
    json_t *object =
        json_pack("{s:s, s:s, s:b, s:b, s:o, s:o}", "name", stage->name, "base", stage->base,
                  "needed", stage->needed, "target", target, "sources", sources, "steps", steps);
    if (stage->digest) {
        json_object_set_new(object, "digest", json_string(stage->digest));
    }
    return object;
}

static void print_json(const struct build_plan *plan)
{
    AUTO(json_freep) json_t *root = json_object();
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    json_t *stages = json_array();
    for (size_t i = 0; i < plan->len; i++) {
        json_array_append_new(stages, stage_json(&plan->stages[i], i == plan->target));
    }
    json_object_set_new(root, "stages", stages);
    json_render_pretty(root, &text);
    fputs(buf_text(&text), stdout);
}

static void print_text(const struct build_plan *plan, bool all)
{
    for (size_t i = 0; i < plan->len; i++) {
        print_stage(&plan->stages[i], i == plan->target, all);
    }
    print_summary(plan);
}

/* Frees what the options hold; for AUTO(). */
static void release(struct plan_options *options)
{
    build_options_release(&options->build);
}

int cmd_plan(struct invocation *call, struct error *err)
{
    AUTO(release) struct plan_options options = {0};
    AUTO(strlist_release) struct strlist arguments = {0};
    AUTO(build_plan_release) struct build_plan plan = {0};
    bool done = false;
    if (options_read(&table, call->args, &options, &arguments, &done, err) != 0) {
        return -1;
    }
    if (done) {
        return 0;
    }
    if (build_options_complete(&options.build, &arguments, NULL, err) != 0) {
        return error_wrap(err, "plan");
    }
    AUTO(session_close) struct session session = {0};
    if (session_open(&options.build.session, &session, err) != 0) {
        return -1;
    }
    struct build_request *request = &options.build.request;
    request->store = session.store;
    request->registry = session.registry;
    request->events = session.events;
    if (build_plan_make(request, &plan, err) != 0) {
        call->source_name = MEM_STEAL(plan.dockerfile_name);
        call->source_text = MEM_STEAL(plan.dockerfile_text);
        return -1;
    }
    session_end_display(&session);
    if (options.json) {
        print_json(&plan);
    } else {
        print_text(&plan, options.all);
    }
    return 0;
}
