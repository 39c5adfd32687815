#include "deploy/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/memory.h"
#include "builder/context.h"
#include "deploy/check_internal.h"

static void place_release(struct check_place *place)
{
    free(place->file);
    free(place->says);
    *place = (struct check_place){0};
}

void check_findings_release(struct check_findings *findings)
{
    for (size_t i = 0; i < findings->len; i++) {
        free(findings->items[i].text);
        for (size_t j = 0; j < CHECK_PLACES; j++) {
            place_release(&findings->items[i].places[j]);
        }
    }
    free(findings->items);
    strlist_release(&findings->files);
    *findings = (struct check_findings){0};
}

const char *check_level_name(enum check_level level)
{
    return level == CHECK_ERROR ? "error" : level == CHECK_WARNING ? "warning" : "note";
}

int check_read_context(void *ctx, const char *name, size_t max, struct buf *out, bool *found_out,
                       struct error *err)
{
    return context_read(ctx, name, max, out, found_out, err);
}

static char *format_text(const char *format, va_list args) __attribute__((format(printf, 1, 0)));
static char *format_text(const char *format, va_list args)
{
    char text[ERROR_TEXT_SIZE];
    vsnprintf(text, sizeof text, format, args);
    return mem_strdup(text);
}

struct check_place check_at(const struct check_doc *doc, const struct marked *node,
                            const char *says, ...)
{
    va_list args;
    va_start(args, says);
    struct check_place place = {.file = mem_strdup(doc->name),
                                .line = node ? node->line : 0,
                                .column = node ? node->column : 0,
                                .says = format_text(says, args)};
    va_end(args);
    return place;
}

struct check_place check_line(const char *file, unsigned line, const char *says, ...)
{
    va_list args;
    va_start(args, says);
    struct check_place place = {
        .file = mem_strdup(file), .line = line, .says = format_text(says, args)};
    va_end(args);
    return place;
}

struct check_place check_claim_place(const struct check_claim *claim)
{
    struct check_place place =
        check_line(claim->file, claim->line, "container '%s'", claim->container);
    place.column = claim->column;
    return place;
}

struct check_place check_nowhere(void)
{
    return (struct check_place){0};
}

void check_add(struct check *check, enum check_level level, const char *rule,
               struct check_place one, struct check_place other, const char *text, ...)
{
    struct check_findings *out = check->out;
    va_list args;
    va_start(args, text);
    out->items = mem_realloc(out->items, out->len + 1, sizeof *out->items);
    out->items[out->len++] = (struct check_finding){.level = level,
                                                    .rule = rule,
                                                    .text = format_text(text, args),
                                                    .places = {one, other},
                                                    .places_len = other.file ? 2 : 1};
    va_end(args);
}

const struct marked *check_containers(const struct check *check)
{
    const struct marked *list =
        check->taskdef.file ? marked_get(marked_root(check->taskdef.file), "containerDefinitions")
                            : NULL;
    return list && list->kind == MARKED_LIST ? list : NULL;
}

const struct marked *check_container(const struct check *check, const char *name)
{
    const struct marked *list = check_containers(check);
    for (size_t i = 0; list && i < list->len; i++) {
        const char *text = marked_get_text(list->items[i], "name");
        if (text && strcmp(text, name) == 0) {
            return list->items[i];
        }
    }
    return NULL;
}

/* Whether TEXT is exactly "<NAME>". */
static bool is_placeholder(const char *text, const char *name)
{
    size_t len = strlen(name);
    return text && text[0] == '<' && strncmp(text + 1, name, len) == 0 &&
           strcmp(text + 1 + len, ">") == 0;
}

bool check_image_of(const struct check *check, const struct marked *container, size_t *image_out)
{
    const char *name = marked_get_text(container, "name");
    const char *image = marked_get_text(container, "image");
    for (size_t i = 0; name && i < check->claims_len; i++) {
        if (strcmp(check->claims[i].container, name) == 0) {
            *image_out = check->claims[i].image;
            return true;
        }
    }
    for (size_t i = 0; i < check->images_len; i++) {
        const struct pipeline_image *wanted = check->images[i].wanted;
        for (size_t j = 0; wanted && j < wanted->placeholders.len; j++) {
            if (is_placeholder(image, wanted->placeholders.items[j])) {
                *image_out = i;
                return true;
            }
        }
    }
    const struct marked *list = check_containers(check);
    bool only = check->images_len == 1 &&
                (is_placeholder(image, "IMAGE1_NAME") || (list && list->len == 1));
    *image_out = 0;
    return only;
}

const struct marked *check_service(const struct check *check)
{
    const struct marked *list =
        check->appspec.file ? marked_get(marked_root(check->appspec.file), "Resources") : NULL;
    for (size_t i = 0; list && list->kind == MARKED_LIST && i < list->len; i++) {
        const struct marked *resource = list->items[i];
        for (size_t j = 0; resource->kind == MARKED_MAP && j < resource->len; j++) {
            const struct marked *properties = marked_get(resource->members[j].value, "Properties");
            if (properties) {
                return properties;
            }
        }
    }
    return NULL;
}

/* Reads the first of NAMES that exists. */
static int read_doc(struct check *check, const char *const *names, enum marked_format format,
                    struct check_doc *doc, struct error *err)
{
    bool found = false;
    doc->text = (struct buf)BUF_INIT(LIMIT_MARKED_BYTES);
    for (size_t i = 0; names[i] && names[i][0] && !found; i++) {
        if (check->inputs->read(check->inputs->ctx, names[i], LIMIT_MARKED_BYTES, &doc->text,
                                &found, err) != 0) {
            return error_wrap(err, "%s", names[i]);
        }
        if (found) {
            doc->name = mem_strdup(names[i]);
        }
    }
    if (!found) {
        return 0;
    }
    struct error fault = {0};
    size_t len = strlen(doc->name);
    bool json = format == MARKED_JSON || (len > 5 && strcmp(doc->name + len - 5, ".json") == 0);
    strlist_add(&check->out->files, doc->name);
    if (marked_parse(buf_text(&doc->text), doc->text.len, doc->name,
                     json ? MARKED_JSON : MARKED_YAML, &doc->file, &fault) != 0) {
        struct check_place place = check_line(doc->name, fault.line, "unreadable");
        place.column = fault.column;
        check_add(check, CHECK_ERROR, "unreadable", place, check_nowhere(), "%s", fault.text);
    }
    return 0;
}

static int read_config(struct check *check, struct error *err)
{
    const char *given = check->inputs->config;
    const char *const names[] = {given ? given : PIPELINE_FILE, NULL};
    struct error fault = {0};
    if (read_doc(check, names, MARKED_JSON, &check->config, err) != 0) {
        return -1;
    }
    if (!check->config.file) {
        return 0;
    }
    if (pipeline_read(check->config.file, &check->pipeline, &fault) != 0 ||
        pipeline_complete(&check->pipeline, check->config.name, true, &fault) != 0) {
        struct check_place place = check_line(check->config.name, fault.line, "slipway.json");
        place.column = fault.column;
        check_add(check, CHECK_ERROR, "unreadable", place, check_nowhere(), "%s", fault.text);
        pipeline_release(&check->pipeline);
        return 0;
    }
    check->have_pipeline = true;
    return 0;
}

/* The template that slipway.json or the options name counts before the usual name. The caller's. */
static char *template_name(const struct check *check, const char *given, const struct strlist *own,
                           const char *usual)
{
    char *name = NULL;
    const char *text = given ? given : own->len > 0 ? own->items[0] : NULL;
    for (size_t i = 0; !text && own == &check->pipeline.taskdefs && i < check->pipeline.len; i++) {
        const struct strlist *list = &check->pipeline.images[i].taskdefs;
        text = list->len > 0 ? list->items[0] : NULL;
    }
    if (text) {
        char *file = NULL;
        pipeline_template(text, &name, &file);
        free(file);
        return name;
    }
    return mem_strdup(usual);
}

static int read_docs(struct check *check, struct error *err)
{
    const struct check_inputs *in = check->inputs;
    if (read_config(check, err) != 0) {
        return -1;
    }
    AUTO(mem_freep)
    char *taskdef = template_name(check, in->taskdef, &check->pipeline.taskdefs, "taskdef.json");
    AUTO(mem_freep)
    char *appspec = template_name(check, in->appspec, &check->pipeline.appspecs, "appspec.yaml");
    bool named = in->appspec || check->pipeline.appspecs.len > 0;
    const char *const taskdefs[] = {taskdef, NULL};
    const char *const appspecs[] = {appspec, named ? NULL : "appspec.yml", "appspec.json", NULL};
    const char *const buildspecs[] = {in->buildspec ? in->buildspec : "buildspec.yml",
                                      in->buildspec ? NULL : "buildspec.yaml", NULL};
    return read_doc(check, taskdefs, MARKED_JSON, &check->taskdef, err) != 0 ||
                   read_doc(check, appspecs, MARKED_YAML, &check->appspec, err) != 0 ||
                   read_doc(check, buildspecs, MARKED_YAML, &check->buildspec, err) != 0
               ? -1
               : 0;
}

/* What slipway.json says of the Dockerfile of image INDEX, beside what there is. */
static void compare_dockerfile(struct check *check, size_t index, const char *name)
{
    const struct check_image *image = &check->images[index];
    const struct marked *node = marked_get(marked_root(check->config.file), "images")->items[index];
    const struct marked *said = marked_get(node, "dockerfile");
    const struct marked *target = marked_get(node, "target");
    if (image->docker.missing) {
        check_add(check, CHECK_ERROR, "dockerfile-missing",
                  check_at(&check->config, said ? said : node, "image '%s'", image->wanted->name),
                  check_nowhere(), "image '%s': there is no '%s'", image->wanted->name, name);
    } else if (image->docker.no_target) {
        check_add(
            check, CHECK_ERROR, "target-unknown",
            check_at(&check->config, target ? target : node, "target '%s'", image->wanted->target),
            check_line(name, 0, "its stages"), "%s", image->docker.no_target);
    }
}

/* Images of slipway.json, or the one of the Dockerfile. */
static int read_images(struct check *check, struct error *err)
{
    const struct check_inputs *in = check->inputs;
    check->images_len = check->have_pipeline ? check->pipeline.len : 1;
    check->images = mem_calloc(check->images_len, sizeof *check->images);
    for (size_t i = 0; i < check->images_len; i++) {
        struct check_image *image = &check->images[i];
        AUTO(mem_freep) char *name = NULL;
        AUTO(strlist_release) struct strlist args = {0};
        const char *target = in->target;
        if (in->build_args) {
            strlist_add_all(&args, in->build_args);
        }
        if (check->have_pipeline) {
            image->wanted = &check->pipeline.images[i];
            const char *file = image->wanted->dockerfile ? image->wanted->dockerfile : "Dockerfile";
            name = image->wanted->context ? mem_printf("%s/%s", image->wanted->context, file)
                                          : mem_strdup(file);
            target = image->wanted->target;
            strlist_add_all(&args, &image->wanted->build_args);
        } else {
            name = mem_strdup(in->dockerfile ? in->dockerfile : "Dockerfile");
        }
        if (docker_facts_read(check, name, target, &args, &image->docker, err) != 0) {
            return -1;
        }
        if (check->have_pipeline) {
            compare_dockerfile(check, i, name);
        }
    }
    return 0;
}

static void doc_release(struct check_doc *doc)
{
    free(doc->name);
    buf_release(&doc->text);
    marked_freep(&doc->file);
}

void check_release(struct check *check)
{
    doc_release(&check->config);
    doc_release(&check->taskdef);
    doc_release(&check->appspec);
    doc_release(&check->buildspec);
    for (size_t i = 0; i < check->images_len; i++) {
        docker_facts_release(&check->images[i].docker);
    }
    for (size_t i = 0; i < check->claims_len; i++) {
        free(check->claims[i].container);
        free(check->claims[i].file);
    }
    free(check->images);
    free(check->claims);
    pipeline_release(&check->pipeline);
}

static int compare_numbers(unsigned a, unsigned b)
{
    return a < b ? -1 : a > b;
}

static int by_place(const void *a, const void *b)
{
    const struct check_finding *x = a;
    const struct check_finding *y = b;
    if (x->level != y->level && (x->level == CHECK_NOTE || y->level == CHECK_NOTE)) {
        return x->level == CHECK_NOTE ? 1 : -1;
    }
    int order = strcmp(x->places[0].file, y->places[0].file);
    if (order == 0) {
        order = compare_numbers(x->places[0].line, y->places[0].line);
    }
    if (order == 0) {
        order = compare_numbers(x->places[0].column, y->places[0].column);
    }
    return order ? order : strcmp(x->text, y->text);
}

int check_open(struct check *check, struct error *err)
{
    if (read_docs(check, err) != 0 || read_images(check, err) != 0) {
        return -1;
    }
    check_claims(check);
    return 0;
}

int deploy_check(const struct check_inputs *inputs, struct check_findings *out, struct error *err)
{
    AUTO(check_findings_release) struct check_findings found = {0};
    AUTO(check_release)
    struct check check = {.inputs = inputs, .out = &found, .pipeline = PIPELINE_INIT};
    if (check_open(&check, err) != 0) {
        return -1;
    }
    check_names(&check);
    check_ports(&check);
    check_fargate(&check);
    check_placeholders(&check);
    check_artifacts(&check);
    check_repeats(&check);
    if (found.len > 0) {
        qsort(found.items, found.len, sizeof *found.items, by_place);
    }
    *out = found;
    found = (struct check_findings){0};
    return 0;
}
