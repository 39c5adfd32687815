#include "base/memory.h"
#include "cli/build_command.h"

static const struct option_table table = {
    .command = "build",
    .usage = "[OPTIONS] CONTEXT",
    .summary =
        "Builds an image; CONTEXT: folder, git URL[#REF[:SUBDIR]], tar archive, or - (stdin).",
    .notes = "kaniko's --context --dockerfile --destination --no-push --tar-path --oci-layout-path "
             "work too.",
    .groups = {&build_group, &build_result_group, &session_group},
    .max_arguments = 1,
};

int cmd_build(struct invocation *call, struct error *err)
{
    AUTO(build_options_release) struct build_options options = {0};
    AUTO(strlist_release) struct strlist arguments = {0};
    AUTO(build_result_release) struct build_result result = {0};
    bool done = false;
    if (options_read(&table, call->args, &options, &arguments, &done, err) != 0) {
        return -1;
    }
    if (done) {
        return 0;
    }
    if (build_options_complete(&options, &arguments, NULL, err) != 0) {
        return error_wrap(err, "build");
    }
    build_command_enter(call, &done);
    if (done) {
        return 0;
    }
    AUTO(session_close) struct session session = {0};
    if (session_open(&options.session, &session, err) != 0 ||
        build_command_run(call, &options, &session, &result, err) != 0) {
        return -1;
    }
    session_end_display(&session);
    build_command_print(&options, &result);
    return 0;
}
