#include <string.h>

#include "base/memory.h"
#include "cli/build_command.h"
#include "cli/check_command.h"

/* docker's --call=METHOD[,format=json]. */
static int parse_call(void *member, const char *value, struct error *err)
{
    struct build_options *o = member;
    size_t len = strcspn(value, ",");
    const char *format = value[len] ? value + len + 1 : "";
    bool build = len == 5 && memcmp(value, "build", len) == 0;
    bool check = len == 5 && memcmp(value, "check", len) == 0;
    if (!build && !check) {
        return error_set(err, ERR_USAGE, "'%.*s' is none of build, check", (int)len, value);
    }
    if (format[0] && strcmp(format, "format=json") != 0 && strcmp(format, "format=text") != 0) {
        return error_set(err, ERR_USAGE, "'%s' is none of format=text, format=json", format);
    }
    o->check = check;
    o->check_json = strcmp(format, "format=json") == 0;
    return 0;
}

static const struct option_spec call_specs[] = {
    {.name = "check", .kind = OPTION_FLAG, .offset = offsetof(struct build_options, check)},
    {.name = "call", .argument = "METHOD", .kind = OPTION_CALL, .parse = parse_call},
};
static const struct option_group call_group = {NULL, call_specs, ARRAY_LEN(call_specs)};

static const struct option_table table = {
    .command = "build",
    .usage = "[OPTIONS] CONTEXT",
    .summary =
        "Builds an image; CONTEXT: folder, git URL[#REF[:SUBDIR]], tar archive, or - (stdin).",
    .notes =
        "--check only judges the Dockerfile, as 'slipway check' does. kaniko's names work too: "
        "--context\n--dockerfile --destination --no-push --tar-path --oci-layout-path "
        "--cache-repo.",
    .groups = {&build_group, &build_result_group, &session_group, &call_group},
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
    if (options.check) {
        return check_command_run(call, &options, options.check_json, err);
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
