/* Artifacts: what the buildspec promises to the next stage, and what the build writes. */
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/memory.h"
#include "base/path.h"
#include "deploy/check_internal.h"

/* The files that `slipway ship` writes, with the place that says so. */
struct written {
    struct strlist names;
    const struct marked *ship; /* the command */
};

static void add_outputs(const struct strlist *templates, struct strlist *out)
{
    for (size_t i = 0; i < templates->len; i++) {
        char *template = NULL;
        char *file = NULL;
        pipeline_template(templates->items[i], &template, &file);
        strlist_take(out, file);
        free(template);
    }
}

static void collect_written(const struct check *check, struct written *out)
{
    const struct pipeline *p = &check->pipeline;
    size_t containers = 0;
    if (!check_commands_say(check, "slipway ship", &out->ship)) {
        return;
    }
    for (size_t i = 0; i < p->len; i++) {
        containers += p->images[i].containers.len;
        add_outputs(&p->images[i].taskdefs, &out->names);
        if (p->images[i].image_detail) {
            strlist_add(&out->names, p->images[i].image_detail);
        }
    }
    add_outputs(&p->taskdefs, &out->names);
    add_outputs(&p->appspecs, &out->names);
    if (containers > 0 || !check->have_pipeline) {
        strlist_add(&out->names,
                    p->imagedefinitions ? p->imagedefinitions : "imagedefinitions.json");
    }
}

static bool in_repository(const struct check *check, const char *path)
{
    AUTO(buf_release) struct buf text = BUF_INIT(LIMIT_TEXT_FILE_BYTES);
    struct error ignored = {0};
    bool found = false;
    int r = check->inputs->read(check->inputs->ctx, path, LIMIT_TEXT_FILE_BYTES, &text, &found,
                                &ignored);
    /* A folder, or larger than is worth reading: it is there. */
    return r != 0 || found;
}

static bool is_pattern(const char *text)
{
    return text[strcspn(text, "*?[$")] != '\0';
}

static void check_file(struct check *check, const struct written *written, const char *base,
                       const struct marked *node)
{
    const char *text = marked_text(node);
    if (!text || is_pattern(text) || (base && is_pattern(base))) {
        return;
    }
    AUTO(mem_freep) char *path = base ? path_join(base, text) : path_clean(text);
    const char *name = path_name(path);
    if (strlist_has(&written->names, path) || check_commands_say(check, name, NULL) ||
        in_repository(check, path)) {
        return;
    }
    AUTO(strlist_release) struct strlist known = {0};
    strlist_add_all(&known, &written->names);
    strlist_add_all(&known, &check->out->files);
    const char *close =
        known.len ? nearest_name(path, (const char *const *)known.items, known.len) : NULL;
    const struct marked *phases = marked_get(marked_root(check->buildspec.file), "phases");
    struct check_place other =
        written->ship && check->have_pipeline
            ? check_at(&check->config, marked_root(check->config.file), "does not ask for it")
        : written->ship ? check_at(&check->buildspec, written->ship, "slipway ship")
        : phases        ? check_at(&check->buildspec, phases, "no command names it")
                        : check_nowhere();
    /* Who runs make or a script writes what only that knows. */
    const struct marked *opaque = NULL;
    if (!close && check_opaque_command(check, &opaque)) {
        free(other.file);
        free(other.says);
        check_add(check, CHECK_NOTE, "artifact-unwritten",
                  check_at(&check->buildspec, node, "artifact %s", path),
                  check_at(&check->buildspec, opaque, "perhaps this one"),
                  "the artifact '%s' is promised, and no command names it", path);
        return;
    }
    check_add(check, CHECK_ERROR, "artifact-unwritten",
              check_at(&check->buildspec, node, "artifact %s", path), other,
              "the artifact '%s' is promised, and nothing writes it%s%s%s", path,
              close ? "; did you mean '" : "", close ? close : "", close ? "'?" : "");
}

/* Each list of files: of the artifacts, and of every secondary artifact. */
static void each_artifact(const struct check *check,
                          void (*fn)(void *ctx, const char *base, const struct marked *node),
                          void *ctx)
{
    const struct marked *artifacts = marked_get(marked_root(check->buildspec.file), "artifacts");
    const struct marked *secondary = marked_get(artifacts, "secondary-artifacts");
    size_t more = secondary && secondary->kind == MARKED_MAP ? secondary->len : 0;
    for (size_t i = 0; i <= more; i++) {
        const struct marked *map = i == 0 ? artifacts : secondary->members[i - 1].value;
        const struct marked *files = marked_get(map, "files");
        /* With secondary artifacts CodePipeline does not look at the first list. */
        for (size_t j = 0; files && files->kind == MARKED_LIST && j < files->len; j++) {
            fn(ctx, marked_get_text(map, "base-directory"), files->items[j]);
        }
    }
}

struct visit {
    struct check *check;
    const struct written *written;
    const char *wanted;
    bool promised;
    bool any;
};

static void visit_check(void *ctx, const char *base, const struct marked *node)
{
    const struct visit *visit = ctx;
    check_file(visit->check, visit->written, base, node);
}

static void visit_match(void *ctx, const char *base, const struct marked *node)
{
    struct visit *visit = ctx;
    const char *text = marked_text(node);
    visit->any = true;
    if (!text) {
        return;
    }
    AUTO(mem_freep)
    char *path = base && !is_pattern(base) ? path_join(base, text) : path_clean(text);
    visit->promised = visit->promised || strchr(text, '$') || strcmp(text, "**/*") == 0 ||
                      (base && is_pattern(base)) || fnmatch(path, visit->wanted, 0) == 0;
}

/* What the deployment reads must leave the build. */
static void check_promised(struct check *check, const char *name, const struct marked *command)
{
    struct visit visit = {.check = check, .wanted = name};
    each_artifact(check, visit_match, &visit);
    if (visit.any && !visit.promised) {
        const struct marked_member *artifacts =
            marked_member(marked_root(check->buildspec.file), "artifacts");
        check_add(check, CHECK_WARNING, "artifact-unpromised",
                  check_at(&check->buildspec, artifacts->key, "artifacts"),
                  check_at(&check->buildspec, command, "writes %s", name),
                  "%s is written, and no artifact holds it: the deployment will not find it", name);
    }
}

void check_artifacts(struct check *check)
{
    static const char *const usual[] = {"imagedefinitions.json", "imageDetail.json"};
    struct written written = {0};
    if (!check->buildspec.file) {
        return;
    }
    collect_written(check, &written);
    struct visit visit = {.check = check, .written = &written};
    each_artifact(check, visit_check, &visit);
    for (size_t i = 0; i < written.names.len; i++) {
        check_promised(check, written.names.items[i], written.ship);
    }
    for (size_t i = 0; i < ARRAY_LEN(usual); i++) {
        const struct marked *command = NULL;
        if (!strlist_has(&written.names, usual[i]) &&
            check_commands_say(check, usual[i], &command)) {
            check_promised(check, usual[i], command);
        }
    }
    strlist_release(&written.names);
}
