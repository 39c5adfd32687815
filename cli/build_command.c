#include "cli/build_command.h"

#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "builder/sandbox.h"
#include "cli/names.h"
#include "cli/result_file.h"

void build_command_enter(struct invocation *call, bool *done_out)
{
    *done_out = sandbox_enter(call->argc, call->argv, &call->status);
}

/* The members that docker buildx writes. */
static json_t *metadata(const struct build_result *result, const struct strlist *tags)
{
    char config[DIGEST_TEXT_SIZE];
    char top[DIGEST_TEXT_SIZE];
    struct buf names = BUF_INIT(0);
    digest_format(&result->image.config.digest, config);
    digest_format(&result->top.digest, top);
    json_t *root = json_object();
    json_object_set_new(root, "containerimage.config.digest", json_string(config));
    json_object_set_new(root, "containerimage.descriptor",
                        json_pack("{s:s, s:s, s:I}", "mediaType", result->top.media_type, "digest",
                                  top, "size", (json_int_t)result->top.size));
    json_object_set_new(root, "containerimage.digest", json_string(top));
    for (size_t i = 0; i < tags->len; i++) {
        buf_printf(&names, "%s%s", i ? "," : "", tags->items[i]);
    }
    if (tags->len > 0) {
        json_object_set_new(root, "image.name", json_string(buf_text(&names)));
    }
    buf_release(&names);
    return root;
}

static int write_files(const struct build_options *o, const struct build_result *result,
                       struct error *err)
{
    char digest[DIGEST_TEXT_SIZE];
    digest_format(&result->image.config.digest, digest);
    if (o->iidfile && result_file_write(o->iidfile, digest, err) != 0) {
        return error_wrap(err, "--iidfile");
    }
    digest_format(&result->top.digest, digest);
    if (o->digest_file && result_file_write(o->digest_file, digest, err) != 0) {
        return error_wrap(err, "--digest-file");
    }
    if (!o->metadata_file) {
        return 0;
    }
    AUTO(json_freep) json_t *root = metadata(result, &o->request.tags);
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    json_render_pretty(root, &text);
    if (result_file_write(o->metadata_file, buf_text(&text), err) != 0) {
        return error_wrap(err, "--metadata-file");
    }
    return 0;
}

/* Whether all that is to be written can be, so far as that can be told before there is a result. */
static int check_targets(const struct build_options *o, struct error *err)
{
    const struct {
        const char *option;
        const char *path;
    } files[] = {{"--iidfile", o->iidfile},
                 {"--digest-file", o->digest_file},
                 {"--metadata-file", o->metadata_file}};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        if (files[i].path && result_file_check(files[i].path, err) != 0) {
            return error_wrap(err, "%s", files[i].option);
        }
    }
    for (size_t i = 0; i < o->outputs.len; i++) {
        const struct output *output = &o->outputs.items[i];
        bool folder = output->type == OUTPUT_LOCAL || !output->tar;
        if (output->dest && (folder ? result_folder_check(output->dest, err)
                                    : result_file_check(output->dest, err)) != 0) {
            return error_wrap(err, "--output");
        }
    }
    return 0;
}

/* --isolation asks for a rung; which one a RUN gets is the machine's. */
static int check_isolation(enum isolation wanted, struct error *err)
{
    enum sandbox_rung rung = RUNG_NONE;
    AUTO(mem_freep) char *why = NULL;
    if (wanted == ISOLATION_AUTO) {
        return 0;
    }
    if (sandbox_probe(&rung, &why, err) != 0) {
        return -1;
    }
    const char *name = rung == RUNG_OVERLAY ? "overlay" : rung == RUNG_USERNS ? "userns" : "none";
    bool same = (wanted == ISOLATION_OVERLAY && rung == RUNG_OVERLAY) ||
                (wanted == ISOLATION_USERNS && rung == RUNG_USERNS);
    if (!same) {
        return error_set(err, ERR_ISOLATION, "--isolation: a RUN gets the rung '%s' here%s%s", name,
                         why && *why ? ": " : "", why ? why : "");
    }
    return 0;
}

int build_command_run(struct invocation *call, struct build_options *o,
                      const struct session *session, struct build_result *result, struct error *err)
{
    o->request.store = session->store;
    o->request.registry = session->registry;
    o->request.events = session->events;
    if (check_targets(o, err) != 0 || check_isolation(o->request.isolation, err) != 0 ||
        build_run(&o->request, result, err) != 0) {
        call->source_name = MEM_STEAL(result->dockerfile_name);
        call->source_text = MEM_STEAL(result->dockerfile_text);
        return -1;
    }
    for (size_t i = 0; i < o->outputs.len; i++) {
        const struct output *output = &o->outputs.items[i];
        if (output_write(session, output, &result->image, &result->top, &o->request.tags, err) !=
            0) {
            return error_wrap(err, "--output");
        }
    }
    return write_files(o, result, err);
}

void build_command_print(const struct build_options *o, const struct build_result *result)
{
    char digest[DIGEST_TEXT_SIZE];
    if (!output_uses_stdout(&o->outputs)) {
        printf("%s\n", digest_format(&result->top.digest, digest));
    }
}
