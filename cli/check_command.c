#include "cli/check_command.h"

#include "base/memory.h"
#include "cli/lint_output.h"

static void print_json(const struct check_result *result, const struct error *err)
{
    AUTO(json_freep) json_t *root = lint_json(result, err);
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    json_render_pretty(root, &text);
    fputs(buf_text(&text), stdout);
}

int check_command_run(struct invocation *call, struct build_options *options, bool json,
                      struct error *err)
{
    AUTO(session_close) struct session session = {0};
    AUTO(check_result_release) struct check_result result = {0};
    options->session.hasty = true; /* a base that cannot be read now is only a note */
    if (session_open(&options->session, &session, err) != 0) {
        return -1;
    }
    options->request.store = session.store;
    options->request.registry = session.registry;
    options->request.events = session.events;
    int r = check_run(&options->request, &result, err);
    session_end_display(&session);
    if (json) {
        print_json(&result, err);
    } else if (r == 0 || result.lint.len > 0) {
        lint_print(&result, stdout);
    }
    if (result.lint.len > 0) {
        call->status = 1;
    }
    call->source_name = MEM_STEAL(result.dockerfile_name);
    call->source_text = MEM_STEAL(result.dockerfile_text);
    return r;
}
