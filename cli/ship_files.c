/* The files that the deployment reads. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "cli/ship.h"
#include "deploy/imagedefinitions.h"
#include "deploy/imagedetail.h"
#include "deploy/marked.h"
#include "deploy/taskdef.h"

/* A file and what it will hold. All are made before the first is written. */
struct made_file {
    char *path;
    struct buf text;
    char *about; /* for the note */
};

struct made_files {
    struct made_file *items;
    size_t len;
};

static void made_files_release(struct made_files *files)
{
    for (size_t i = 0; i < files->len; i++) {
        free(files->items[i].path);
        free(files->items[i].about);
        buf_release(&files->items[i].text);
    }
    free(files->items);
    *files = (struct made_files){0};
}

/* Takes over TEXT's bytes. */
static int add_file(struct made_files *files, const char *path, struct buf *text, const char *about,
                    struct error *err)
{
    for (size_t i = 0; i < files->len; i++) {
        if (strcmp(files->items[i].path, path) == 0) {
            return error_set(err, ERR_USAGE, "two files would be written to '%s'", path);
        }
    }
    files->items = mem_realloc(files->items, files->len + 1, sizeof *files->items);
    files->items[files->len++] =
        (struct made_file){.path = mem_strdup(path), .text = *text, .about = mem_strdup(about)};
    *text = (struct buf)BUF_INIT(0);
    return 0;
}

static const char *uri(const struct ship *ship, const struct ship_image *image)
{
    return ship->by_digest ? image->by_digest : image->by_tag;
}

static int make_definitions(const struct ship *ship, struct made_files *files, struct error *err)
{
    AUTO(imagedefinitions_release) struct imagedefinitions definitions = {0};
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    AUTO(strlist_release) struct strlist about = {0};
    const struct pipeline *p = &ship->pipeline;
    const char *file = ship->options->file   ? ship->options->file
                       : p->imagedefinitions ? p->imagedefinitions
                                             : "imagedefinitions.json";
    AUTO(buf_release) struct buf images = BUF_INIT(0);
    for (size_t i = 0; i < ship->len; i++) {
        const struct strlist *containers = &ship->images[i].wanted->containers;
        const char *image = uri(ship, &ship->images[i]);
        for (size_t j = 0; j < containers->len; j++) {
            if (image_uri_check(image, err) != 0 ||
                imagedefinitions_add(&definitions, containers->items[j], image, err) != 0) {
                return -1;
            }
        }
        buf_printf(&images, "%s%s", i ? ", " : "", image);
    }
    for (size_t i = 0; i < p->others.len; i++) {
        const char *image = strchr(p->others.items[i], '=') + 1;
        AUTO(mem_freep)
        char *name = mem_strndup(p->others.items[i], (size_t)(image - p->others.items[i]) - 1);
        if (imagedefinitions_add(&definitions, name, image, err) != 0) {
            return -1;
        }
    }
    if (imagedefinitions_render(&definitions, &text, err) != 0) {
        return -1;
    }
    return add_file(files, file, &text, buf_text(&images), err);
}

/* What fills the templates: IMAGES' names by digest (all of them, or only ONE), and the values. */
static void collect_values(const struct ship *ship, const struct ship_image *one,
                           struct template_values *out)
{
    const struct pipeline *p = &ship->pipeline;
    for (size_t i = 0; i < ship->len; i++) {
        const struct ship_image *image = &ship->images[i];
        for (size_t j = 0; j < image->wanted->placeholders.len; j++) {
            strlist_addf(&out->placeholders, "%s=%s", image->wanted->placeholders.items[j],
                         image->by_digest);
        }
        for (size_t j = 0; (!one || one == image) && j < image->wanted->containers.len; j++) {
            strlist_addf(&out->containers, "%s=%s", image->wanted->containers.items[j],
                         image->by_digest);
        }
    }
    strlist_add_all(&out->placeholders, &p->placeholders);
    strlist_add_all(&out->containers, &p->others);
}

static int read_template(const struct ship *ship, const char *name, struct buf *text,
                         struct error *err)
{
    bool found = false;
    if (context_read(ship->context, name, LIMIT_MARKED_BYTES, text, &found, err) != 0) {
        err->code = ERR_USAGE;
        return error_wrap(err, "the template %s", name);
    }
    /* As for -f: what the command line names may lie on this machine. */
    if (!found && !ship->config_name && access(name, F_OK) == 0) {
        found = file_read(AT_FDCWD, name, LIMIT_MARKED_BYTES, text, NULL, err) == 0;
        if (!found) {
            return -1;
        }
    }
    if (!found) {
        return error_set(err, ERR_USAGE, "the template '%s' is not in the build context", name);
    }
    return 0;
}

/* Notes the placeholders that stay in the file. */
static void note_unknown(const struct ship *ship, const char *name, const struct strlist *unknown)
{
    for (size_t i = 0; i < unknown->len; i++) {
        event_warning(ship->session->events, name, 0,
                      "<%s> stays: nothing fills it here (--placeholder %s=VALUE does)",
                      unknown->items[i], unknown->items[i]);
    }
}

/* A template that lies where its result goes is replaced: a pipeline's checkout is thrown away, a
 * person's is not. */
static void note_replaced(const struct ship *ship, const char *name, const char *path)
{
    AUTO(mem_freep)
    char *template = mem_printf("%s/%s", ship->options->build.request.context, name);
    struct stat one;
    struct stat other;
    if (stat(template, &one) == 0 && stat(path, &other) == 0 && one.st_dev == other.st_dev &&
        one.st_ino == other.st_ino) {
        event_warning(ship->session->events, name, 0,
                      "the template is replaced by the result; --taskdef %s=FILE keeps it", name);
    }
}

/* SPEC: TEMPLATE[=OUT]. ONE: the image it belongs to; NULL: to all. FINAL: warnings are told. */
static int make_taskdef(const struct ship *ship, const char *spec, const struct ship_image *one,
                        struct made_files *files, bool final, struct error *err)
{
    AUTO(mem_freep) char *name = NULL;
    AUTO(mem_freep) char *path = NULL;
    AUTO(buf_release) struct buf template = BUF_INIT(LIMIT_MARKED_BYTES);
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    AUTO(template_values_release) struct template_values values = {0};
    AUTO(template_report_release) struct template_report report = {0};
    AUTO(buf_release) struct buf about = BUF_INIT(0);
    pipeline_template(spec, &name, &path);
    collect_values(ship, one, &values);
    if (read_template(ship, name, &template, err) != 0 ||
        taskdef_fill(buf_text(&template), template.len, name, &values, &text, &report, err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < report.filled.len; i++) {
        buf_printf(&about, "%s%s", i ? ", " : "image of ", report.filled.items[i]);
    }
    if (final) {
        note_unknown(ship, name, &report.unknown);
        note_replaced(ship, name, path);
    }
    return add_file(files, path, &text, buf_text(&about), err);
}

static int make_appspec(const struct ship *ship, const char *spec, struct made_files *files,
                        struct error *err)
{
    AUTO(mem_freep) char *name = NULL;
    AUTO(mem_freep) char *path = NULL;
    AUTO(buf_release) struct buf template = BUF_INIT(LIMIT_MARKED_BYTES);
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    AUTO(template_values_release) struct template_values values = {0};
    pipeline_template(spec, &name, &path);
    collect_values(ship, NULL, &values);
    if (read_template(ship, name, &template, err) != 0 ||
        appspec_fill(buf_text(&template), template.len, name, &values, &text, err) != 0) {
        return -1;
    }
    return add_file(files, path, &text, "<TASK_DEFINITION> is CodeDeploy's", err);
}

static int make_image_files(const struct ship *ship, const struct ship_image *image, bool final,
                            struct made_files *files, struct error *err)
{
    const char *detail = image->wanted->image_detail;
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    if (detail && (imagedetail_render(image->by_digest, &text, err) != 0 ||
                   add_file(files, detail, &text, image->by_digest, err) != 0)) {
        return -1;
    }
    const struct strlist *taskdefs = &image->wanted->taskdefs;
    for (size_t i = 0; i < taskdefs->len; i++) {
        /* Several images may name the same task definition: it is made once, for all. */
        if (!strlist_has(&ship->pipeline.taskdefs, taskdefs->items[i]) &&
            make_taskdef(ship, taskdefs->items[i], image, files, final, err) != 0) {
            return -1;
        }
    }
    return 0;
}

static int make_files(const struct ship *ship, bool final, struct made_files *files,
                      struct error *err)
{
    const struct pipeline *p = &ship->pipeline;
    for (size_t i = 0; i < ship->len; i++) {
        if (make_image_files(ship, &ship->images[i], final, files, err) != 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < p->taskdefs.len; i++) {
        if (make_taskdef(ship, p->taskdefs.items[i], NULL, files, final, err) != 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < p->appspecs.len; i++) {
        if (make_appspec(ship, p->appspecs.items[i], files, err) != 0) {
            return -1;
        }
    }
    return ship->want_definitions ? make_definitions(ship, files, err) : 0;
}

/* What slipway.json names lies below this folder, not behind a link of the same repository. */
static int check_links(const struct ship *ship, const char *path, struct error *err)
{
    AUTO(mem_freep) char *part = mem_strdup(path);
    bool ours = ship->config_name && path[0] != '/';
    for (char *slash = strchr(part, '/'); ours && slash; slash = strchr(slash + 1, '/')) {
        struct stat st;
        *slash = '\0';
        if (part[0] && lstat(part, &st) == 0 && S_ISLNK(st.st_mode)) {
            return error_set(err, ERR_USAGE, "'%s' is not written: '%s' is a link", path, part);
        }
        *slash = '/';
    }
    return 0;
}

int ship_check(struct ship *ship, struct error *err)
{
    static const char digest[] =
        "sha256:0000000000000000000000000000000000000000000000000000000000000000";
    AUTO(made_files_release) struct made_files files = {0};
    for (size_t i = 0; i < ship->len; i++) {
        struct ship_image *image = &ship->images[i];
        const char *tag = image->build.request.tags.items[0];
        image->by_tag = mem_strdup(tag);
        image->by_digest = mem_printf("%s@%s", tag, digest);
    }
    int r = make_files(ship, false, &files, err);
    for (size_t i = 0; i < files.len && r == 0; i++) {
        r = check_links(ship, files.items[i].path, err);
    }
    for (size_t i = 0; i < ship->len; i++) {
        free(MEM_STEAL(ship->images[i].by_tag));
        free(MEM_STEAL(ship->images[i].by_digest));
    }
    return r;
}

static int write_file(const struct ship *ship, const struct made_file *file, struct error *err)
{
    AUTO(mem_freep) char *folder = path_parent(file->path);
    if (check_links(ship, file->path, err) != 0) {
        return -1;
    }
    if (folder[0] && file_make_dirs(AT_FDCWD, folder, 0777, err) != 0) {
        return -1;
    }
    return file_write_atomic(AT_FDCWD, file->path, buf_text(&file->text), file->text.len, 0644,
                             true, err);
}

int ship_write(struct ship *ship, struct error *err)
{
    AUTO(made_files_release) struct made_files files = {0};
    if (make_files(ship, true, &files, err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < files.len; i++) {
        const struct made_file *file = &files.items[i];
        if (write_file(ship, file, err) != 0) {
            return -1;
        }
        event_note(ship->session->events, "wrote %s: %s", file->path, file->about);
    }
    return 0;
}
