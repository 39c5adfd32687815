/* The deployment's files. The input is up to five files, each behind a line "=NAME"; they are
 * checked together, and each is read as what its name says. */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
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

/* What init writes is a slipway.json that can be read. */
static void begin(struct input *input)
{
    struct error err = {0};
    AUTO(init_result_release) struct init_result result = {0};
    AUTO(pipeline_release) struct pipeline pipeline = PIPELINE_INIT;
    struct init_inputs inputs = {.files = {.read = read_part, .ctx = input}, .name = "shop"};
    strlist_add(&inputs.dockerfiles, "Dockerfile");
    strlist_add(&inputs.dockerfiles, "web/Dockerfile");
    inputs.dockerfiles.len = input->len % 2 + 1;
    int r = pipeline_init(&inputs, &result, &err);
    inputs.dockerfiles.len = 2;
    strlist_release(&inputs.dockerfiles);
    if (r != 0) {
        assert(err.code == ERR_USAGE && err.text[0]);
        return;
    }
    if (pipeline_parse(buf_text(&result.text), result.text.len, "slipway.json", &pipeline, &err) !=
        0) {
        fprintf(stderr, "%s\n%s\n", err.text, buf_text(&result.text));
        abort();
    }
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
