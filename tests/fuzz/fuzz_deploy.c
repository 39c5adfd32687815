/* The deployment's files. The input is up to five files, each behind a line "=NAME"; they are
 * checked together, and each is read as what its name says. "=Dockerfiles" has the paths that init
 * finds, "=name" the folder's name. */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/path.h"
#include "deploy/check.h"
#include "deploy/init.h"
#include "deploy/marked.h"
#include "deploy/pipeline.h"
#include "deploy/taskdef.h"

struct input {
    const char *data;
    size_t len;
};

/* The part of INPUT behind "=NAME\n", up to the next line that begins with "=". */
static bool find_part(const struct input *input, const char *name, struct input *out)
{
    const char *p = input->data;
    const char *end = input->data + input->len;
    while (p < end) {
        const char *eol = memchr(p, '\n', (size_t)(end - p));
        const char *next = eol ? eol + 1 : end;
        size_t len = (size_t)((eol ? eol : end) - p);
        bool found = p[0] == '=' && len == strlen(name) + 1 && memcmp(p + 1, name, len - 1) == 0;
        p = next;
        if (!found) {
            continue;
        }
        const char *stop = p;
        while (stop < end && *stop != '=') {
            const char *line_end = memchr(stop, '\n', (size_t)(end - stop));
            stop = line_end ? line_end + 1 : end;
        }
        *out = (struct input){.data = p, .len = (size_t)(stop - p)};
        return true;
    }
    return false;
}

static int read_part(void *ctx, const char *name, size_t max, struct buf *out, bool *found_out,
                     struct error *err)
{
    struct input part = {0};
    *found_out = find_part(ctx, name, &part);
    if (*found_out && part.len > max) {
        return error_set(err, ERR_USAGE, "too large");
    }
    if (*found_out) {
        buf_append(out, part.data, part.len);
    }
    return 0;
}

/* What was filled is a task definition again. With all placeholders gone each container that is
 * named gets its image, and doing that once more changes nothing. */
static void fill_again(const struct buf *filled, struct template_values *values)
{
    struct error err = {0};
    AUTO(buf_release) struct buf once = BUF_INIT(0);
    AUTO(buf_release) struct buf twice = BUF_INIT(0);
    AUTO(template_report_release) struct template_report report = {0};
    AUTO(template_report_release) struct template_report again = {0};
    AUTO(marked_freep) struct marked_file *file = NULL;
    assert(marked_parse(buf_text(filled), filled->len, "once", MARKED_JSON, &file, &err) == 0);
    strlist_release(&values->placeholders);
    if (taskdef_fill(buf_text(filled), filled->len, "once", values, &once, &report, &err) != 0) {
        return;
    }
    assert(taskdef_fill(buf_text(&once), once.len, "twice", values, &twice, &again, &err) == 0);
    assert(once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0);
}

static void fill(const struct input *input)
{
    struct error err = {0};
    struct input part = {0};
    AUTO(buf_release) struct buf filled = BUF_INIT(0);
    AUTO(template_values_release) struct template_values values = {0};
    AUTO(template_report_release) struct template_report report = {0};
    strlist_add(&values.placeholders, "IMAGE1_NAME=r/a@sha256:0");
    strlist_add(&values.placeholders, "TEXT=\"\\\n");
    strlist_add(&values.containers, "web=r/a@sha256:0");
    if (find_part(input, "appspec.yaml", &part)) {
        AUTO(buf_release) struct buf out = BUF_INIT(0);
        if (appspec_fill(part.data, part.len, "appspec.yaml", &values, &out, &err) != 0) {
            assert(err.code == ERR_USAGE && err.text[0]);
        }
    }
    error_clear(&err);
    if (!find_part(input, "taskdef.json", &part)) {
        return;
    }
    if (taskdef_fill(part.data, part.len, "taskdef.json", &values, &filled, &report, &err) != 0) {
        assert(err.code == ERR_USAGE && err.text[0]);
        return;
    }
    fill_again(&filled, &values);
}

/* The lines of the part NAME, as paths in tree form, each once; without it those of USUAL. */
static void lines_of(const struct input *input, const char *name, const char *usual,
                     struct strlist *out)
{
    struct input part = {.data = usual, .len = strlen(usual)};
    find_part(input, name, &part);
    for (size_t at = 0; at < part.len;) {
        const char *eol = memchr(part.data + at, '\n', part.len - at);
        size_t len = eol ? (size_t)(eol - part.data) - at : part.len - at;
        if (len > 0 && !memchr(part.data + at, '\0', len)) {
            AUTO(mem_freep) char *line = mem_strndup(part.data + at, len);
            AUTO(mem_freep) char *path = path_clean(line);
            if (path[0]) {
                strlist_take(out, MEM_STEAL(path));
            }
        }
        at += len + 1;
    }
    strlist_sort(out);
    for (size_t i = 1; i < out->len;) {
        if (strcmp(out->items[i - 1], out->items[i]) == 0) {
            strlist_remove(out, i);
        } else {
            i++;
        }
    }
}

/* Ship takes it: it can be read, its images are told apart, and no two are pushed to one name. */
static void ship_takes(const struct init_result *result)
{
    struct error err = {0};
    AUTO(pipeline_release) struct pipeline pipeline = PIPELINE_INIT;
    AUTO(strlist_release) struct strlist names = {0};
    bool fine = pipeline_parse(buf_text(&result->text), result->text.len, "slipway.json", &pipeline,
                               &err) == 0 &&
                pipeline_complete(&pipeline, "slipway.json", true, &err) == 0;
    for (size_t i = 0; fine && i < pipeline.len; i++) {
        AUTO(mem_freep) char *name = NULL;
        fine = pipeline_image_name(&pipeline, &pipeline.images[i], "r.example", NULL, &name,
                                   &err) == 0 &&
               !strlist_has(&names, name);
        strlist_add(&names, name ? name : "");
    }
    if (!fine) {
        fprintf(stderr, "%s\n%s\n", err.text, buf_text(&result->text));
        abort();
    }
}

static void begin(struct input *input)
{
    struct error err = {0};
    AUTO(init_result_release) struct init_result result = {0};
    AUTO(strlist_release) struct strlist name = {0};
    struct init_inputs inputs = {.files = {.read = read_part, .ctx = input}};
    const char *usual = input->len % 2 ? "Dockerfile\nweb/Dockerfile\n" : "Dockerfile\n";
    lines_of(input, "Dockerfiles", usual, &inputs.dockerfiles);
    lines_of(input, "name", "Shop", &name);
    inputs.name = name.len > 0 ? name.items[0] : "";
    int r = pipeline_init(&inputs, &result, &err);
    if (r == 0) {
        ship_takes(&result);
    } else {
        assert(err.code == ERR_USAGE && err.text[0]);
    }
    strlist_release(&inputs.dockerfiles);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {.data = (const char *)data, .len = size};
    struct error err = {0};
    AUTO(check_findings_release) struct check_findings findings = {0};
    struct check_inputs inputs = {.read = read_part, .ctx = &input};
    if (deploy_check(&inputs, &findings, &err) == 0) {
        AUTO(buf_release) struct buf text = BUF_INIT(0);
        check_render_text(&findings, &text);
        AUTO(json_freep) json_t *array = check_render_json(&findings);
        assert(json_array_size(array) == findings.len);
    }
    fill(&input);
    begin(&input);
    return 0;
}
