/* check: what can be criticised before anything is built. */
#include <string.h>

#include "base/memory.h"
#include "cli/build_values.h"
#include "cli/check_whole.h"

struct check_options {
    struct build_options build; /* first: session_group's offsets */
    bool json;
};

static int parse_format(void *member, const char *value, struct error *err)
{
    bool *json = member;
    *json = strcmp(value, "json") == 0;
    return *json || strcmp(value, "text") == 0
               ? 0
               : error_set(err, ERR_USAGE, "'%s' is none of text, json", value);
}

#define AT(MEMBER) .offset = offsetof(struct check_options, MEMBER)
#define CALL(FN, MEMBER) .kind = OPTION_CALL, .parse = (FN), AT(MEMBER)
static const struct option_spec specs[] = {
    {.name = "file",
     .letter = 'f',
     .argument = "FILE",
     .help = "the Dockerfile (CONTEXT/Dockerfile)",
     .kind = OPTION_TEXT,
     AT(build.request.dockerfile)},
    {.name = "target",
     .argument = "STAGE",
     .help = "only this stage and those it needs, by name or number",
     .kind = OPTION_TEXT,
     AT(build.request.target)},
    {.name = "platform",
     .argument = "OS/ARCH",
     .help = "what would be built for",
     CALL(value_platform, build.request.platforms)},
    {.name = "build-arg",
     .argument = "KEY=VALUE",
     .help = "set an ARG; BUILDKIT_DOCKERFILE_CHECK=skip=RULE,...",
     CALL(value_build_arg, build.request.build_args)},
    {.name = "build-context",
     .argument = "NAME=WHERE",
     .help = "as for build",
     CALL(value_context, build.request)},
    {.name = "json", .help = "one JSON document", .kind = OPTION_FLAG, AT(json)},
    {.name = "format", .argument = "FORMAT", .help = "text or json", CALL(parse_format, json)},
};
static const struct option_group check_group = {NULL, specs, ARRAY_LEN(specs)};

static const struct option_table table = {
    .command = "check",
    .usage = "[OPTIONS] [CONTEXT]",
    .summary = "Judges Dockerfiles by the rules of docker build --check, and says what contradicts "
               "what\nin slipway.json, buildspec.yml, taskdef.json and appspec.yaml. Nothing is "
               "built.",
    .notes = "The exit status is 1 where anything but notes was found. Rules are left out by "
             "comments in the\nDockerfile:\n"
             "  # check=skip=RULE,...        in the first lines: everywhere; above an instruction: "
             "there\n"
             "  # check=error=true           in the first lines: what is found ends a build, too",
    .groups = {&check_group, &session_group},
    .max_arguments = 1,
};

/* Frees what the options hold; for AUTO(). */
static void release(struct check_options *options)
{
    build_options_release(&options->build);
}

int cmd_check(struct invocation *call, struct error *err)
{
    AUTO(release) struct check_options options = {0};
    AUTO(strlist_release) struct strlist arguments = {0};
    bool done = false;
    if (options_read(&table, call->args, &options, &arguments, &done, err) != 0) {
        return -1;
    }
    if (done) {
        return 0;
    }
    if (build_options_complete(&options.build, &arguments, ".", err) != 0) {
        return error_wrap(err, "check");
    }
    return check_whole_run(call, &options.build, options.json, err);
}
