#include "cli/check_whole.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "builder/check.h"
#include "builder/context.h"
#include "cli/lint_output.h"
#include "cli/text.h"
#include "deploy/check.h"
#include "deploy/pipeline.h"

struct whole {
    struct build_request *request;
    struct context *context;
    const char *folder; /* of this machine, in front of names; NULL: none */
    struct pipeline pipeline;
    struct check_findings findings;
    struct check_result *results; /* one for each Dockerfile */
    size_t len;
};

static void whole_release(struct whole *whole)
{
    for (size_t i = 0; i < whole->len; i++) {
        check_result_release(&whole->results[i]);
    }
    free(whole->results);
    check_findings_release(&whole->findings);
    pipeline_release(&whole->pipeline);
    context_freep(&whole->context);
}

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* -f counts from this folder, the check from the context. */
static const char *inside(const struct whole *whole, const char *dockerfile)
{
    size_t len = whole->folder ? strlen(whole->folder) : 0;
    bool below = dockerfile && len > 0 && strncmp(dockerfile, whole->folder, len) == 0;
    return below ? dockerfile + len + strspn(dockerfile + len, "/") : dockerfile;
}

static int compare_files(struct whole *whole, struct error *err)
{
    AUTO(mem_freep) char *taskdef = NULL;
    AUTO(mem_freep) char *file = NULL;
    if (variable("TASKDEF_FILE")) {
        pipeline_template(variable("TASKDEF_FILE"), &taskdef, &file);
    }
    struct check_inputs inputs = {.read = check_read_context,
                                  .ctx = whole->context,
                                  .dockerfile = inside(whole, whole->request->dockerfile),
                                  .target = whole->request->target,
                                  .build_args = &whole->request->build_args,
                                  .taskdef = taskdef,
                                  .container = variable("CONTAINER_NAME")};
    return deploy_check(&inputs, &whole->findings, err);
}

/* The images of slipway.json, where the options name no Dockerfile. What is wrong with it was found
 * already. */
static void read_pipeline(struct whole *whole)
{
    AUTO(buf_release) struct buf text = BUF_INIT(LIMIT_MARKED_BYTES);
    struct error ignored = {0};
    bool found = false;
    if (whole->request->dockerfile || whole->request->target ||
        context_read(whole->context, PIPELINE_FILE, LIMIT_MARKED_BYTES, &text, &found, &ignored) !=
            0 ||
        !found) {
        return;
    }
    pipeline_parse(buf_text(&text), text.len, PIPELINE_FILE, &whole->pipeline, &ignored);
}

static bool same_text(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

/* Whether an image before INDEX has the same Dockerfile: it is judged once. */
static bool judged_before(const struct pipeline *p, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (same_text(p->images[i].context, p->images[index].context) &&
            same_text(p->images[i].dockerfile, p->images[index].dockerfile)) {
            return true;
        }
    }
    return false;
}

static int judge(struct whole *whole, const struct build_request *request, struct error *err)
{
    whole->results = mem_realloc(whole->results, whole->len + 1, sizeof *whole->results);
    whole->results[whole->len] = (struct check_result){0};
    return check_run(request, &whole->results[whole->len++], err);
}

static int judge_image(struct whole *whole, const struct pipeline_image *image, struct error *err)
{
    struct build_request request = *whole->request;
    AUTO(mem_freep) char *name = NULL;
    if (image->dockerfile && whole->folder) {
        name = mem_printf("%s/%s%s%s", whole->folder, image->context ? image->context : "",
                          image->context ? "/" : "", image->dockerfile);
    } else {
        name = mem_strdup(image->dockerfile);
    }
    request.part = image->context;
    request.dockerfile = name;
    return judge(whole, &request, err);
}

static int judge_all(struct whole *whole, struct error *err)
{
    if (whole->pipeline.len == 0) {
        return judge(whole, whole->request, err);
    }
    for (size_t i = 0; i < whole->pipeline.len; i++) {
        if (!judged_before(&whole->pipeline, i) &&
            judge_image(whole, &whole->pipeline.images[i], err) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Names as in the Dockerfile's findings: with the folder in front. */
static void name_folder(struct whole *whole)
{
    if (!whole->folder || strcmp(whole->folder, ".") == 0) {
        return;
    }
    for (size_t i = 0; i < whole->findings.len; i++) {
        for (size_t j = 0; j < whole->findings.items[i].places_len; j++) {
            struct check_place *place = &whole->findings.items[i].places[j];
            if (strncmp(place->file, "environment ", 12) != 0) {
                char *name = mem_printf("%s/%s", whole->folder, place->file);
                free(place->file);
                place->file = name;
            }
        }
    }
}

/* Whether there is more than Dockerfiles. */
static bool has_deployment(const struct whole *whole)
{
    const struct strlist *files = &whole->findings.files;
    for (size_t i = 0; i < files->len; i++) {
        if (!strstr(files->items[i], "ockerfile")) {
            return true;
        }
    }
    return whole->findings.len > 0;
}

static void print_deployment(const struct whole *whole)
{
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    AUTO(buf_release) struct buf clean = BUF_INIT(0);
    const struct check_findings *f = &whole->findings;
    size_t errors = check_count(f, CHECK_ERROR);
    size_t warnings = check_count(f, CHECK_WARNING);
    size_t notes = check_count(f, CHECK_NOTE);
    check_render_text(f, &text);
    text_clean_lines(buf_text(&text), text.len, &clean);
    fputs(buf_text(&clean), stdout);
    if (f->len == 0) {
        fputs("the deployment's files agree\n", stdout);
        return;
    }
    printf("the deployment's files: %zu error%s, %zu warning%s, %zu note%s\n", errors,
           errors == 1 ? "" : "s", warnings, warnings == 1 ? "" : "s", notes,
           notes == 1 ? "" : "s");
}

/* Adds the results behind the first to ROOT, docker's document: their source's number is in each
 * location, as BuildKit has it. */
static void merge_results(const struct whole *whole, json_t *root)
{
    static const struct error none = {0};
    for (size_t i = 1; i < whole->len; i++) {
        AUTO(json_freep) json_t *other = lint_json(&whole->results[i], &none);
        json_t *warnings = json_object_get(other, "warnings");
        for (size_t j = 0; j < json_array_size(warnings); j++) {
            json_t *location = json_object_get(json_array_get(warnings, j), "location");
            json_object_set_new(location, "sourceIndex", json_integer((json_int_t)i));
        }
        json_array_extend(json_object_get(root, "warnings"), warnings);
        json_array_extend(json_object_get(root, "sources"), json_object_get(other, "sources"));
    }
}

static void print_json(const struct whole *whole, const struct error *err)
{
    static const struct check_result nothing = {0};
    AUTO(json_freep) json_t *root = lint_json(whole->len ? &whole->results[0] : &nothing, err);
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    merge_results(whole, root);
    if (has_deployment(whole)) {
        json_object_set_new(root, "deployment", check_render_json(&whole->findings));
    }
    json_render_pretty(root, &text);
    fputs(buf_text(&text), stdout);
}

static void print_text(const struct whole *whole, bool failed)
{
    for (size_t i = 0; i < whole->len; i++) {
        bool last = i + 1 == whole->len;
        if (!failed || !last || whole->results[i].lint.len > 0) {
            lint_print(&whole->results[i], stdout);
        }
    }
    if (has_deployment(whole)) {
        print_deployment(whole);
    }
}

static void finish(struct invocation *call, struct whole *whole)
{
    size_t found =
        check_count(&whole->findings, CHECK_ERROR) + check_count(&whole->findings, CHECK_WARNING);
    for (size_t i = 0; i < whole->len; i++) {
        found += whole->results[i].lint.len;
    }
    if (found > 0) {
        call->status = 1;
    }
    if (whole->len > 0) {
        struct check_result *last = &whole->results[whole->len - 1];
        call->source_name = MEM_STEAL(last->dockerfile_name);
        call->source_text = MEM_STEAL(last->dockerfile_text);
    }
}

int check_whole_run(struct invocation *call, struct build_options *options, bool json,
                    struct error *err)
{
    AUTO(session_close) struct session session = {0};
    struct build_request *request = &options->request;
    AUTO(whole_release) struct whole whole = {.request = request, .pipeline = PIPELINE_INIT};
    struct stat st;
    options->session.hasty = true; /* a base that cannot be read now is only a note */
    if (session_open(&options->session, &session, err) != 0) {
        return -1;
    }
    request->store = session.store;
    request->registry = session.registry;
    request->events = session.events;
    bool folder = stat(request->context, &st) == 0 && S_ISDIR(st.st_mode);
    whole.folder = folder ? request->context : NULL;
    if (context_open_named(request, request->context, &whole.context, err) != 0) {
        return -1;
    }
    request->shared = whole.context;
    if (compare_files(&whole, err) != 0) {
        return -1;
    }
    read_pipeline(&whole);
    int r = judge_all(&whole, err);
    session_end_display(&session);
    name_folder(&whole);
    if (json) {
        print_json(&whole, err);
    } else {
        print_text(&whole, r != 0);
    }
    finish(call, &whole);
    request->shared = NULL;
    return r;
}
