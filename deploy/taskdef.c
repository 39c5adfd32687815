#include "deploy/taskdef.h"

#include <string.h>

#include "base/memory.h"
#include "deploy/imagedetail.h"
#include "deploy/marked.h"
#include "deploy/placeholder.h"

void template_values_release(struct template_values *values)
{
    strlist_release(&values->placeholders);
    strlist_release(&values->containers);
}

void template_report_release(struct template_report *report)
{
    strlist_release(&report->filled);
    strlist_release(&report->unknown);
}

/* TEXT[START..END) replaced while copying: where the copy stands. */
struct splice {
    const char *text;
    size_t at;
    const struct template_values *values;
    struct buf *out;
    struct template_report *report;
};

static void copy_filled(struct splice *s, size_t end, struct strlist *unknown)
{
    placeholder_fill(s->text + s->at, end - s->at, &s->values->placeholders, true, s->out, NULL,
                     unknown);
    s->at = end;
}

static void put_image(struct splice *s, const struct marked *image, const char *given)
{
    copy_filled(s, image->start, &s->report->unknown);
    buf_printf(s->out, "\"%s\"", given);
    s->at = image->end;
}

/* The "image" of CONTAINER: its placeholder's value, or what its name gets. */
static int fill_image(struct splice *s, const struct marked_file *file,
                      const struct marked *container, struct error *err)
{
    AUTO(strlist_release) struct strlist unknown = {0};
    AUTO(strlist_release) struct strlist known = {0};
    AUTO(buf_release) struct buf value = BUF_INIT(0);
    const char *name = marked_get_text(container, "name");
    const struct marked *image = marked_get(container, "image");
    const char *given = name ? strlist_env_get(&s->values->containers, name) : NULL;
    if (!name || !marked_text(image)) {
        return marked_error(file, container, err, "a container needs a \"name\" and an \"image\"");
    }
    placeholder_fill(image->text, strlen(image->text), &s->values->placeholders, false, &value,
                     &known, &unknown);
    if (given && (known.len == 0 || unknown.len > 0)) {
        put_image(s, image, given);
    } else if (unknown.len > 0) {
        return marked_error(file, image, err,
                            "container '%s': nothing fills <%s>; --placeholder %s gives it the "
                            "image, --placeholder %s=VALUE something else",
                            name, unknown.items[0], unknown.items[0], unknown.items[0]);
    } else if (known.len == 0) {
        return 0;
    } else if (image_uri_check(buf_text(&value), err) != 0) {
        return marked_error(file, image, err, "container '%s': %s", name, err->text);
    }
    strlist_add(&s->report->filled, name);
    return 0;
}

int taskdef_fill(const char *template, size_t len, const char *name,
                 const struct template_values *values, struct buf *out,
                 struct template_report *report, struct error *err)
{
    AUTO(marked_freep) struct marked_file *file = NULL;
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    AUTO(template_report_release) struct template_report told = {0};
    struct splice s = {.text = template, .values = values, .out = &text, .report = &told};
    if (marked_parse(template, len, name, MARKED_JSON, &file, err) != 0) {
        return -1;
    }
    const struct marked *containers = marked_get(marked_root(file), "containerDefinitions");
    if (!containers || containers->kind != MARKED_LIST || containers->len == 0) {
        return marked_error(file, marked_root(file), err,
                            "no task definition: it has no \"containerDefinitions\"");
    }
    for (size_t i = 0; i < containers->len; i++) {
        if (fill_image(&s, file, containers->items[i], err) != 0) {
            return -1;
        }
    }
    copy_filled(&s, len, &told.unknown);
    if (told.filled.len == 0) {
        return marked_error(file, containers, err,
                            "no container gets the image: none has the name of one, and no "
                            "\"image\" is a placeholder such as <IMAGE1_NAME>");
    }
    if (text.len > LIMIT_TASKDEF_BYTES) {
        return marked_error(file, NULL, err, "%zu bytes, and ECS takes at most %zu", text.len,
                            LIMIT_TASKDEF_BYTES);
    }
    buf_append(out, buf_text(&text), text.len);
    *report = told;
    told = (struct template_report){0};
    return 0;
}

/* The resources' TaskDefinition must be what CodeDeploy replaces. */
static int check_appspec(const struct marked_file *file, struct error *err)
{
    const struct marked *resources = marked_get(marked_root(file), "Resources");
    size_t len = resources && resources->kind == MARKED_LIST ? resources->len : 0;
    for (size_t i = 0; i < len; i++) {
        const struct marked *resource = resources->items[i];
        for (size_t j = 0; resource->kind == MARKED_MAP && j < resource->len; j++) {
            const struct marked *properties = marked_get(resource->members[j].value, "Properties");
            const struct marked *task = marked_get(properties, "TaskDefinition");
            if (!marked_text(task)) {
                continue;
            }
            if (strcmp(task->text, "<" PLACEHOLDER_TASK_DEFINITION ">") != 0) {
                return marked_error(file, task, err,
                                    "TaskDefinition is '%s', and CodePipeline puts the new "
                                    "revision only where <TASK_DEFINITION> stands",
                                    task->text);
            }
            return 0;
        }
    }
    return marked_error(file, resources ? resources : marked_root(file), err,
                        "no AppSpec for ECS: no resource has Properties with a TaskDefinition");
}

int appspec_fill(const char *template, size_t len, const char *name,
                 const struct template_values *values, struct buf *out, struct error *err)
{
    size_t name_len = strlen(name);
    bool json = name_len > 5 && strcmp(name + name_len - 5, ".json") == 0;
    enum marked_format format = json ? MARKED_JSON : MARKED_YAML;
    AUTO(marked_freep) struct marked_file *file = NULL;
    AUTO(marked_freep) struct marked_file *made = NULL;
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    AUTO(strlist_release) struct strlist unknown = {0};
    if (marked_parse(template, len, name, format, &file, err) != 0 ||
        check_appspec(file, err) != 0) {
        return -1;
    }
    placeholder_fill(template, len, &values->placeholders, json, &text, NULL, &unknown);
    for (size_t i = 0; i < unknown.len; i++) {
        if (strcmp(unknown.items[i], PLACEHOLDER_TASK_DEFINITION) != 0) {
            return marked_error(file, NULL, err, "nothing fills <%s>; --placeholder %s=VALUE does",
                                unknown.items[i], unknown.items[i]);
        }
    }
    if (marked_parse(buf_text(&text), text.len, name, format, &made, err) != 0) {
        return error_wrap(err, "with its placeholders filled");
    }
    buf_append(out, buf_text(&text), text.len);
    return 0;
}
