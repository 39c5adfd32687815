/* Placeholders: those that nothing fills, and those that stand in the wrong file. */
#include <ctype.h>
#include <string.h>

#include "base/memory.h"
#include "deploy/check_internal.h"
#include "deploy/placeholder.h"

static bool names_image(const struct check *check, const char *name)
{
    for (size_t i = 0; i < check->pipeline.len; i++) {
        if (strlist_has(&check->pipeline.images[i].placeholders, name)) {
            return true;
        }
    }
    return false;
}

/* IMAGE1_NAME to IMAGE4_NAME: what CodeDeployToECS is told to fill where nothing else is said. */
static bool is_usual(const char *name)
{
    return strlen(name) == strlen("IMAGE1_NAME") && strncmp(name, "IMAGE", 5) == 0 &&
           name[5] >= '1' && name[5] <= '4' && strcmp(name + 6, "_NAME") == 0;
}

/* Whether slipway.json makes the task definition. */
static bool fills_taskdef(const struct check *check)
{
    bool any = check->pipeline.taskdefs.len > 0;
    for (size_t i = 0; i < check->pipeline.len; i++) {
        any = any || check->pipeline.images[i].taskdefs.len > 0;
    }
    return any || check_commands_say(check, "--taskdef", NULL) ||
           (check->buildspec.name && strstr(buf_text(&check->buildspec.text), "TASKDEF_FILE"));
}

/* Whether CodePipeline gets an imageDetail.json to fill it from. */
static bool writes_detail(const struct check *check)
{
    for (size_t i = 0; i < check->pipeline.len; i++) {
        if (check->pipeline.images[i].image_detail) {
            return true;
        }
    }
    return check_commands_say(check, "imageDetail", NULL) ||
           check_commands_say(check, "--image-detail", NULL);
}

/* Whether NAME gets a value from somewhere: slipway.json, or a command of the buildspec. */
static bool has_value(const struct check *check, const char *name)
{
    return strlist_env_get(&check->pipeline.placeholders, name) ||
           check_commands_say(check, name, NULL);
}

/* A second side for a placeholder: the images that slipway.json names, or the buildspec. */
static struct check_place side(const struct check *check)
{
    if (!check->have_pipeline) {
        return check->buildspec.file
                   ? check_at(&check->buildspec,
                              marked_get(marked_root(check->buildspec.file), "phases"),
                              "no command fills it")
                   : check_nowhere();
    }
    AUTO(buf_release) struct buf names = BUF_INIT(0);
    for (size_t i = 0; i < check->pipeline.len; i++) {
        const struct strlist *list = &check->pipeline.images[i].placeholders;
        for (size_t j = 0; j < list->len; j++) {
            buf_printf(&names, "%s<%s>", names.len ? ", " : "", list->items[j]);
        }
    }
    return check_at(&check->config, marked_get(marked_root(check->config.file), "images"),
                    "its images: %s", buf_text(&names));
}

static const char *nearest_placeholder(const struct check *check, const char *name)
{
    const char *names[8] = {"IMAGE1_NAME", PLACEHOLDER_TASK_DEFINITION};
    size_t len = check->have_pipeline ? 0 : 2;
    for (size_t i = 0; i < check->pipeline.len && len < ARRAY_LEN(names); i++) {
        names[len++] = check->pipeline.images[i].placeholders.items[0];
    }
    return nearest_name(name, names, len);
}

static void unknown(struct check *check, const struct check_doc *doc, const struct marked *node,
                    const char *name)
{
    const char *close = nearest_placeholder(check, name);
    bool useful = close && strcmp(close, name) != 0;
    check_add(check, CHECK_ERROR, "placeholder-unknown", check_at(doc, node, "<%s>", name),
              side(check), "nothing fills <%s>%s%s%s", name, useful ? "; did you mean <" : "",
              useful ? close : "", useful ? ">?" : "");
}

/* The container whose image NODE is, where it gets an image by its name. */
static bool filled_by_name(const struct check *check, const struct marked *node)
{
    const struct marked *list = check_containers(check);
    for (size_t i = 0; list && i < list->len; i++) {
        const char *name = marked_get_text(list->items[i], "name");
        if (marked_get(list->items[i], "image") != node || !name) {
            continue;
        }
        for (size_t j = 0; j < check->claims_len; j++) {
            if (strcmp(check->claims[j].container, name) == 0) {
                return fills_taskdef(check);
            }
        }
    }
    return false;
}

static void judge_taskdef(struct check *check, const struct marked *node, const char *name)
{
    const struct check_doc *doc = &check->taskdef;
    if (strcmp(name, PLACEHOLDER_TASK_DEFINITION) == 0) {
        check_add(check, CHECK_ERROR, "placeholder-unknown", check_at(doc, node, "<%s>", name),
                  check_nowhere(), "<%s> is filled in the AppSpec only", name);
        return;
    }
    bool image = check->have_pipeline ? names_image(check, name) : is_usual(name);
    if (has_value(check, name) || filled_by_name(check, node)) {
        return;
    }
    if (!image) {
        unknown(check, doc, node, name);
        return;
    }
    bool judged = check->have_pipeline || check->buildspec.file;
    if (judged && !fills_taskdef(check) && !writes_detail(check)) {
        check_add(check, CHECK_WARNING, "placeholder-left", check_at(doc, node, "<%s>", name),
                  side(check),
                  "<%s> stays: nothing makes a task definition of %s, and no imageDetail.json is "
                  "written for CodePipeline to fill it from",
                  name, doc->name);
    }
}

static void judge_appspec(struct check *check, const struct marked *node, const char *name)
{
    bool known = strcmp(name, PLACEHOLDER_TASK_DEFINITION) == 0 || has_value(check, name);
    if (!known) {
        check_add(check, CHECK_ERROR, "placeholder-unknown",
                  check_at(&check->appspec, node, "<%s>", name), check_nowhere(),
                  "nothing fills <%s> in an AppSpec: CodeDeploy knows <TASK_DEFINITION> alone",
                  name);
    }
}

static void each_placeholder(struct check *check, const struct marked_file *file,
                             void (*judge)(struct check *, const struct marked *, const char *))
{
    for (size_t i = 0; i < marked_len(file); i++) {
        const struct marked *node = marked_at(file, i);
        const char *text = marked_text(node);
        size_t len = text ? strlen(text) : 0;
        size_t at = 0;
        size_t start = 0;
        size_t end = 0;
        while (text && placeholder_find(text, len, at, &start, &end)) {
            AUTO(mem_freep) char *name = mem_strndup(text + start + 1, end - start - 2);
            judge(check, node, name);
            at = end;
        }
    }
}

/* "<your-account-id>" in what only AWS reads: somebody forgot to fill it in. */
static void check_forgotten(struct check *check, const struct marked *node)
{
    const char *text = marked_text(node);
    const char *open = text ? strchr(text, '<') : NULL;
    size_t len = open ? strcspn(open, ">") : 0;
    size_t start = 0;
    size_t end = 0;
    if (!open || open[len] != '>' || placeholder_find(text, strlen(text), 0, &start, &end)) {
        return;
    }
    check_add(check, CHECK_ERROR, "placeholder-unknown",
              check_at(&check->taskdef, node, "%.*s", (int)len + 1, open), check_nowhere(),
              "'%.*s' is still to be filled in: a placeholder has capitals, digits and '_'",
              (int)len + 1, open);
}

static void check_task_definition(struct check *check)
{
    const struct marked *service = check_service(check);
    const struct marked *node = marked_get(service, "TaskDefinition");
    const char *text = marked_text(node);
    if (!service || (text && strcmp(text, "<" PLACEHOLDER_TASK_DEFINITION ">") == 0)) {
        return;
    }
    check_add(check, CHECK_ERROR, "task-definition",
              check_at(&check->appspec, node ? node : service, "TaskDefinition%s%s",
                       text ? " " : "", text ? text : ""),
              check_nowhere(),
              "CodePipeline puts the new revision only where TaskDefinition is <TASK_DEFINITION>");
}

void check_placeholders(struct check *check)
{
    static const char *const plain[] = {"family", "executionRoleArn", "taskRoleArn"};
    const struct marked *list = check_containers(check);
    if (check->taskdef.file) {
        each_placeholder(check, check->taskdef.file, judge_taskdef);
        for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
            check_forgotten(check, marked_get(marked_root(check->taskdef.file), plain[i]));
        }
        for (size_t i = 0; list && i < list->len; i++) {
            check_forgotten(check, marked_get(list->items[i], "image"));
        }
    }
    if (check->appspec.file) {
        each_placeholder(check, check->appspec.file, judge_appspec);
        check_task_definition(check);
    }
}
