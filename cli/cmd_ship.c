#include <string.h>

#include "base/memory.h"
#include "cli/build_command.h"
#include "cli/ship.h"

static int parse_image_uri(void *member, const char *value, struct error *err)
{
    bool digest = strcmp(value, "digest") == 0;
    if (!digest && strcmp(value, "tag") != 0) {
        return error_set(err, ERR_USAGE, "'%s' is neither tag nor digest", value);
    }
    *(int *)member = digest;
    return 0;
}

#define AT(MEMBER) .offset = offsetof(struct ship_options, MEMBER)

static const struct option_spec specs[] = {
    {.name = "container",
     .argument = "NAME[=IMAGE]",
     .help = "container that gets the image ($CONTAINER_NAME), or IMAGE",
     .kind = OPTION_LIST,
     AT(containers)},
    {.name = "image-uri",
     .argument = "FORM",
     .help = "name the image in imagedefinitions by its tag or its digest",
     .kind = OPTION_CALL,
     AT(by_digest),
     .parse = parse_image_uri},
    {.name = "imagedefinitions",
     .argument = "FILE",
     .help = "the file (imagedefinitions.json)",
     .kind = OPTION_TEXT,
     AT(file)},
    {.name = "image-detail",
     .argument = "FILE",
     .help = "write {\"ImageURI\": ...} for blue/green: imageDetail.json",
     .kind = OPTION_TEXT,
     AT(image_detail)},
    {.name = "taskdef",
     .argument = "TEMPLATE[=FILE]",
     .help = "fill a task definition of the context ($TASKDEF_FILE)",
     .kind = OPTION_LIST,
     AT(taskdefs)},
    {.name = "appspec",
     .argument = "TEMPLATE[=FILE]",
     .help = "check and fill an AppSpec of the context",
     .kind = OPTION_LIST,
     AT(appspecs)},
    {.name = "placeholder",
     .argument = "NAME[=VALUE]",
     .help = "<NAME> in templates is the image (IMAGE1_NAME), or VALUE",
     .kind = OPTION_LIST,
     AT(placeholders)},
    {.name = "image",
     .argument = "KEY=VALUE,...",
     .help = "one of several images: repository=,dockerfile=,container=,...",
     .kind = OPTION_LIST,
     AT(images)},
    {.name = "config",
     .argument = "FILE",
     .help = "names the images (slipway.json of the context); none",
     .kind = OPTION_TEXT,
     AT(config)},
};
static const struct option_group ship_group = {"What is deployed", specs, ARRAY_LEN(specs)};

static const struct option_table table = {
    .command = "ship",
    .usage = "[OPTIONS] [CONTEXT]",
    .summary = "Builds CONTEXT (.), pushes the image, and writes imagedefinitions.json.",
    .notes = "slipway.json in CONTEXT names the images, unless -t, -f, --target, --container, "
             "--image-detail\nor --image do. Keys of --image are its members: name, context, "
             "dockerfile, target, buildArg,\nrepository, tag, container, placeholder, taskdef, "
             "imageDetail (see README).",
    .groups = {&ship_group, &build_result_group, &build_group, &session_group},
    .explained_by = "build",
    .max_arguments = 1,
};

static int prepare(struct ship_options *o, const struct strlist *arguments, struct error *err)
{
    o->tags_given = o->build.request.tags.len > 0;
    if (ship_check_options(o, err) != 0) {
        return -1;
    }
    o->build.request.push = false;
    return build_options_complete(&o->build, arguments, ".", err);
}

/* One image: its digest, as `build` prints it. Several: a line each, with the name. */
static void print_result(const struct ship *ship)
{
    char digest[DIGEST_TEXT_SIZE];
    if (ship->len == 1) {
        build_command_print(&ship->images[0].build, &ship->images[0].result);
        return;
    }
    for (size_t i = 0; i < ship->len; i++) {
        printf("%s %s\n", digest_format(&ship->images[i].result.top.digest, digest),
               ship->images[i].wanted->name);
    }
}

static int run(struct ship *ship, struct invocation *call, struct error *err)
{
    if (ship_plan(ship, err) != 0 || ship_check(ship, err) != 0) {
        call->source_name = MEM_STEAL(ship->config_name);
        call->source_text = MEM_STEAL(ship->config_text);
        return error_wrap(err, "ship");
    }
    return ship_build(ship, call, err) != 0 ? -1 : ship_write(ship, err);
}

int cmd_ship(struct invocation *call, struct error *err)
{
    AUTO(ship_options_release) struct ship_options options = {.by_digest = -1};
    AUTO(strlist_release) struct strlist arguments = {0};
    bool done = false;
    if (options_read(&table, call->args, &options, &arguments, &done, err) != 0) {
        return -1;
    }
    if (done) {
        return 0;
    }
    if (prepare(&options, &arguments, err) != 0) {
        return error_wrap(err, "ship");
    }
    build_command_enter(call, &done);
    if (done) {
        return 0;
    }
    AUTO(session_close) struct session session = {0};
    AUTO(ship_release)
    struct ship ship = {.options = &options, .session = &session, .pipeline = PIPELINE_INIT};
    if (session_open(&options.build.session, &session, err) != 0 || run(&ship, call, err) != 0) {
        return -1;
    }
    session_end_display(&session);
    print_result(&ship);
    return 0;
}
