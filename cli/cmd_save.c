#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "cli/commands.h"
#include "cli/image_info.h"
#include "cli/names.h"
#include "cli/output.h"
#include "cli/result_file.h"
#include "cli/session.h"
#include "oci/docker_archive.h"
#include "oci/layout.h"

enum save_format { SAVE_DOCKER, SAVE_OCI, SAVE_OCI_DIR };

struct save_options {
    struct session_options session;
    const char *output;
    enum save_format format;
};

static int parse_format(void *member, const char *value, struct error *err)
{
    static const char *const names[] = {"docker", "oci", "oci-dir"};
    static const enum save_format formats[] = {SAVE_DOCKER, SAVE_OCI, SAVE_OCI_DIR};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(value, names[i]) == 0) {
            *(enum save_format *)member = formats[i];
            return 0;
        }
    }
    return error_set(err, ERR_USAGE, "'%s' is none of docker, oci, oci-dir", value);
}

static const struct option_spec specs[] = {
    {.name = "output",
     .letter = 'o',
     .argument = "FILE",
     .help = "write to FILE (standard output)",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct save_options, output)},
    {.name = "format",
     .argument = "FORMAT",
     .help = "docker (for docker load), oci (a layout as tar) or oci-dir",
     .kind = OPTION_CALL,
     .offset = offsetof(struct save_options, format),
     .parse = parse_format},
};
static const struct option_group group = {NULL, specs, ARRAY_LEN(specs)};

static const struct option_table table = {
    .command = "save",
    .usage = "[OPTIONS] IMAGE...",
    .summary =
        "Writes images of the store to an archive. Layers that the store lacks are fetched first.",
    .groups = {&group, &session_group},
    .min_arguments = 1,
    .max_arguments = 1000,
};

/* Finds NAME and fetches what the store lacks of it. */
static int prepare(struct session *session, const char *name, struct layout_image *out,
                   struct error *err)
{
    struct named_image named = {0};
    struct image image = {0};
    if (names_find(session->store, name, &named, err) != 0) {
        return -1;
    }
    int result = image_info_load(session->store, &named.top, &image, err);
    if (result == 0) {
        result = output_complete(session, &image, &named.top, err);
    }
    image_release(&image);
    if (result != 0) {
        named_image_release(&named);
        return -1;
    }
    bool tag = named.key && !strchr(named.key, '@');
    *out =
        (struct layout_image){.descriptor = named.top, .name = tag ? MEM_STEAL(named.key) : NULL};
    named_image_release(&named);
    return 0;
}

static int write_images(struct session *session, const struct save_options *o,
                        const struct layout_image *images, size_t len, struct error *err)
{
    AUTO(result_file_freep) struct result_file *file = NULL;
    if (o->format == SAVE_OCI_DIR) {
        return layout_write_dir(session->store, o->output, images, len, err);
    }
    if (result_file_open(o->output ? o->output : "-", &file, err) != 0) {
        return -1;
    }
    struct writer *out = result_file_writer(file);
    int result = o->format == SAVE_OCI
                     ? layout_write_tar(session->store, out, images, len, err)
                     : docker_archive_write(session->store, out, images, len, NULL, err);
    return result == 0 ? result_file_commit(file, err) : -1;
}

static int save(const struct save_options *o, const struct strlist *names, struct error *err)
{
    AUTO(session_close) struct session session = {0};
    if (o->format == SAVE_OCI_DIR && (!o->output || strcmp(o->output, "-") == 0)) {
        return error_set(err, ERR_USAGE, "save: --format oci-dir needs -o FOLDER");
    }
    if (session_open(&o->session, &session, err) != 0) {
        return -1;
    }
    struct layout_image *images = mem_calloc(names->len, sizeof *images);
    int result = 0;
    for (size_t i = 0; result == 0 && i < names->len; i++) {
        result = prepare(&session, names->items[i], &images[i], err);
    }
    if (result == 0) {
        result = write_images(&session, o, images, names->len, err);
    }
    layout_images_release(images, names->len);
    return result;
}

int cmd_save(struct invocation *call, struct error *err)
{
    struct save_options options = {0};
    AUTO(strlist_release) struct strlist arguments = {0};
    bool done = false;
    int result = options_read(&table, call->args, &options, &arguments, &done, err);
    if (result == 0 && !done) {
        result = save(&options, &arguments, err);
    }
    session_options_release(&options.session);
    return result;
}
