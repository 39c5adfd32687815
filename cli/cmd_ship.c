#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "cli/build_command.h"
#include "cli/names.h"
#include "deploy/imagedefinitions.h"

struct ship_options {
    struct build_options build; /* first: the groups' offsets */
    struct strlist containers;  /* NAME, or NAME=IMAGE */
    const char *file;
    bool by_digest;
};

static void ship_options_release(struct ship_options *options)
{
    build_options_release(&options->build);
    strlist_release(&options->containers);
}

static int parse_image_uri(void *member, const char *value, struct error *err)
{
    bool digest = strcmp(value, "digest") == 0;
    if (!digest && strcmp(value, "tag") != 0) {
        return error_set(err, ERR_USAGE, "'%s' is neither tag nor digest", value);
    }
    *(bool *)member = digest;
    return 0;
}

static const struct option_spec specs[] = {
    {.name = "container",
     .argument = "NAME[=IMAGE]",
     .help = "container that gets the image ($CONTAINER_NAME), or IMAGE",
     .kind = OPTION_LIST,
     .offset = offsetof(struct ship_options, containers)},
    {.name = "image-uri",
     .argument = "FORM",
     .help = "name the image by its tag or its digest",
     .kind = OPTION_CALL,
     .offset = offsetof(struct ship_options, by_digest),
     .parse = parse_image_uri},
    {.name = "imagedefinitions",
     .argument = "FILE",
     .help = "the file (imagedefinitions.json)",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct ship_options, file)},
};
static const struct option_group ship_group = {"What is deployed", specs, ARRAY_LEN(specs)};

static const struct option_table table = {
    .command = "ship",
    .usage = "[OPTIONS] [CONTEXT]",
    .summary = "Builds CONTEXT (.), pushes the image, and writes imagedefinitions.json.",
    .groups = {&ship_group, &build_result_group, &build_group, &session_group},
    .max_arguments = 1,
};

/* Puts the containers of the command line (or CONTAINER_NAME) with IMAGE into DEFINITIONS. At least
 * one must get the built image. */
static int define_containers(const struct ship_options *o, const char *image,
                             struct imagedefinitions *definitions, struct error *err)
{
    const char *variable = getenv("CONTAINER_NAME");
    size_t built = 0;
    for (size_t i = 0; i < o->containers.len; i++) {
        const char *text = o->containers.items[i];
        const char *equals = strchr(text, '=');
        AUTO(mem_freep) char *name = mem_strndup(text, strcspn(text, "="));
        built += equals == NULL;
        if (imagedefinitions_add(definitions, name, equals ? equals + 1 : image, err) != 0) {
            return -1;
        }
    }
    if (built > 0) {
        return 0;
    }
    if (!variable || !*variable) {
        return error_set(err, ERR_USAGE,
                         "which container gets the image? --container NAME, or set CONTAINER_NAME");
    }
    return imagedefinitions_add(definitions, variable, image, err);
}

/* What could be wrong with the file is found before anything is built. */
static int check_definitions(const struct ship_options *o, struct error *err)
{
    AUTO(imagedefinitions_release) struct imagedefinitions definitions = {0};
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    if (define_containers(o, "unknown", &definitions, err) != 0) {
        return -1;
    }
    return imagedefinitions_render(&definitions, &text, err);
}

/* Whether the registry confirmed REF with DIGEST. */
static bool confirmed(const struct build_result *result, const struct reference *ref)
{
    struct error ignored = {0};
    for (size_t i = 0; i < result->pushed.len; i++) {
        struct reference pushed = {0};
        if (reference_parse(result->pushed.items[i], &pushed, &ignored) != 0) {
            continue;
        }
        bool same = strcmp(pushed.host, ref->host) == 0 &&
                    strcmp(pushed.repository, ref->repository) == 0 &&
                    (!pushed.tag || strcmp(pushed.tag, reference_tag(ref)) == 0) &&
                    pushed.has_digest && digest_equal(&pushed.digest, &result->top.digest);
        reference_release(&pushed);
        if (same) {
            return true;
        }
    }
    return false;
}

/* The first name of the image as the file gives it; the caller's. */
static int image_uri(const struct ship_options *o, const struct build_result *result, char **out,
                     struct error *err)
{
    struct reference ref = {0};
    if (reference_parse(o->build.request.tags.items[0], &ref, err) != 0) {
        return -1;
    }
    if (!confirmed(result, &ref)) {
        reference_release(&ref);
        return error_set(err, ERR_REMOTE, "the registry did not confirm %s: nothing is written",
                         o->build.request.tags.items[0]);
    }
    ref.has_digest = o->by_digest;
    ref.digest = result->top.digest;
    *out = names_key(&ref);
    reference_release(&ref);
    return 0;
}

static int write_definitions(const struct ship_options *o, const struct session *session,
                             const struct build_result *result, struct error *err)
{
    AUTO(imagedefinitions_release) struct imagedefinitions definitions = {0};
    AUTO(mem_freep) char *image = NULL;
    const char *file = o->file ? o->file : "imagedefinitions.json";
    if (image_uri(o, result, &image, err) != 0 ||
        define_containers(o, image, &definitions, err) != 0 ||
        imagedefinitions_write(&definitions, AT_FDCWD, file, err) != 0) {
        return -1;
    }
    event_note(session->events, "wrote %s: %s", file, image);
    return 0;
}

static int prepare(struct ship_options *o, const struct strlist *arguments, struct error *err)
{
    if (o->build.no_push) {
        return error_set(err, ERR_USAGE, "--no-push: to build without pushing use 'slipway build'");
    }
    o->build.request.push = true;
    if (build_options_complete(&o->build, arguments, ".", err) != 0) {
        return -1;
    }
    return check_definitions(o, err);
}

int cmd_ship(struct invocation *call, struct error *err)
{
    AUTO(ship_options_release) struct ship_options options = {0};
    AUTO(strlist_release) struct strlist arguments = {0};
    AUTO(build_result_release) struct build_result result = {0};
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
    if (session_open(&options.build.session, &session, err) != 0 ||
        build_command_run(call, &options.build, &session, &result, err) != 0 ||
        write_definitions(&options, &session, &result, err) != 0) {
        return -1;
    }
    session_end_display(&session);
    build_command_print(&options.build, &result);
    return 0;
}
