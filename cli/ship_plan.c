/* What `ship` builds: the command line's image or images, else those of slipway.json. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/memory.h"
#include "cli/names.h"
#include "cli/ship.h"

void ship_options_release(struct ship_options *o)
{
    build_options_release(&o->build);
    strlist_release(&o->containers);
    strlist_release(&o->placeholders);
    strlist_release(&o->images);
    strlist_release(&o->taskdefs);
    strlist_release(&o->appspecs);
}

void ship_release(struct ship *ship)
{
    for (size_t i = 0; i < ship->len; i++) {
        struct ship_image *image = &ship->images[i];
        free(image->dockerfile);
        strlist_release(&image->tags);
        strlist_release(&image->build_args);
        build_result_release(&image->result);
        free(image->by_tag);
        free(image->by_digest);
    }
    free(ship->images);
    pipeline_release(&ship->pipeline);
    context_freep(&ship->context);
    free(ship->config_name);
    free(ship->config_text);
}

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* The option that says what to build, so that slipway.json does not count; NULL: there is none. */
static const char *single_image_option(const struct ship_options *o)
{
    const struct build_request *r = &o->build.request;
    bool container = false;
    for (size_t i = 0; i < o->containers.len; i++) {
        container = container || !strchr(o->containers.items[i], '=');
    }
    return o->tags_given     ? "--tag"
           : r->dockerfile   ? "--file"
           : r->target       ? "--target"
           : container       ? "--container"
           : o->image_detail ? "--image-detail"
                             : NULL;
}

int ship_check_options(const struct ship_options *o, struct error *err)
{
    const char *single = single_image_option(o);
    if (o->build.no_push) {
        return error_set(err, ERR_USAGE, "--no-push: to build without pushing use 'slipway build'");
    }
    if (o->build.session.offline) {
        return error_set(err, ERR_USAGE, "--offline: an image cannot be pushed without network");
    }
    if (o->images.len > 0 && single) {
        return error_set(err, ERR_USAGE,
                         "--image and %s exclude each other: say it in --image, with the keys %s",
                         single, "repository, dockerfile, target, container, imageDetail");
    }
    if (o->config && strcmp(o->config, "none") != 0 && (single || o->images.len > 0)) {
        return error_set(err, ERR_USAGE, "--config and %s exclude each other",
                         single ? single : "--image");
    }
    return 0;
}

static int set_key(void *image, const char *key, const char *value, struct error *err)
{
    return pipeline_image_set(image, key, value, err);
}

static int plan_from_images(struct ship *ship, struct error *err)
{
    const struct strlist *images = &ship->options->images;
    for (size_t i = 0; i < images->len; i++) {
        if (options_fields(images->items[i], set_key, pipeline_add(&ship->pipeline), err) != 0) {
            return error_wrap(err, "--image");
        }
    }
    return 0;
}

/* The one image that the command line's plain options and the environment describe. */
static void plan_single(struct ship *ship)
{
    const struct ship_options *o = ship->options;
    struct pipeline_image *image = pipeline_add(&ship->pipeline);
    for (size_t i = 0; i < o->containers.len; i++) {
        if (!strchr(o->containers.items[i], '=')) {
            strlist_add(&image->containers, o->containers.items[i]);
        }
    }
    if (image->containers.len == 0 && variable("CONTAINER_NAME")) {
        strlist_add(&image->containers, variable("CONTAINER_NAME"));
    }
    for (size_t i = 0; i < o->placeholders.len; i++) {
        if (!strchr(o->placeholders.items[i], '=')) {
            strlist_add(&image->placeholders, o->placeholders.items[i]);
        }
    }
    image->image_detail = mem_strdup(o->image_detail);
}

static int plan_from_file(struct ship *ship, bool *found_out, struct error *err)
{
    const struct ship_options *o = ship->options;
    AUTO(buf_release) struct buf text = BUF_INIT(LIMIT_MARKED_BYTES);
    const char *name = o->config ? o->config : PIPELINE_FILE;
    *found_out = false;
    if (o->config && strcmp(o->config, "none") == 0) {
        return 0;
    }
    if (context_read(ship->context, name, LIMIT_MARKED_BYTES, &text, found_out, err) != 0) {
        return error_wrap(err, "%s", name);
    }
    if (!*found_out) {
        return o->config ? error_set(err, ERR_USAGE, "--config: the context has no file '%s'", name)
                         : 0;
    }
    ship->config_name = mem_strdup(name);
    ship->config_text = mem_strdup(buf_text(&text));
    return pipeline_parse(buf_text(&text), text.len, name, &ship->pipeline, err);
}

/* What the command line adds to either: other containers' images, values, templates. */
static void add_options(struct ship *ship)
{
    const struct ship_options *o = ship->options;
    struct pipeline *p = &ship->pipeline;
    for (size_t i = 0; i < o->containers.len; i++) {
        if (strchr(o->containers.items[i], '=')) {
            strlist_add(&p->others, o->containers.items[i]);
        }
    }
    for (size_t i = 0; i < o->placeholders.len; i++) {
        if (strchr(o->placeholders.items[i], '=')) {
            strlist_add(&p->placeholders, o->placeholders.items[i]);
        }
    }
    strlist_add_all(&p->taskdefs, &o->taskdefs);
    strlist_add_all(&p->appspecs, &o->appspecs);
    bool any = p->taskdefs.len > 0;
    for (size_t i = 0; i < p->len; i++) {
        any = any || p->images[i].taskdefs.len > 0;
    }
    if (!any && variable("TASKDEF_FILE")) {
        strlist_add(&p->taskdefs, variable("TASKDEF_FILE"));
    }
}

/* The Dockerfile of IMAGE where slipway.json or --image names one: in the context, not in this
 * folder. The caller's. */
static char *dockerfile_in_context(const struct ship *ship, const struct pipeline_image *image)
{
    const char *context = ship->options->build.request.context;
    struct stat st;
    bool folder = strcmp(context, "-") != 0 && stat(context, &st) == 0 && S_ISDIR(st.st_mode);
    if (!image->dockerfile) {
        return NULL;
    }
    if (!folder) {
        return mem_strdup(image->dockerfile);
    }
    return mem_printf("%s/%s%s%s", context, image->context ? image->context : "",
                      image->context ? "/" : "", image->dockerfile);
}

static int plan_image(struct ship *ship, size_t i, bool single, struct error *err)
{
    struct ship_image *image = &ship->images[i];
    struct pipeline_image *wanted = &ship->pipeline.images[i];
    image->wanted = wanted;
    image->build = ship->options->build;
    struct build_request *r = &image->build.request;
    r->push = true;
    r->shared = ship->context;
    if (single) {
        return 0;
    }
    AUTO(mem_freep) char *registry = names_registry_from_environment();
    char *name = NULL;
    if (pipeline_image_name(&ship->pipeline, wanted, registry, variable("IMAGE_TAG"), &name, err) !=
        0) {
        return -1;
    }
    strlist_take(&image->tags, name);
    strlist_add_all(&image->build_args, &r->build_args);
    /* The last of two counts: what the file says of this image. */
    for (size_t j = 0; j < wanted->build_args.len; j++) {
        strlist_add(&image->build_args, wanted->build_args.items[j]);
    }
    image->dockerfile = dockerfile_in_context(ship, wanted);
    r->tags = image->tags;
    r->build_args = image->build_args;
    r->dockerfile = image->dockerfile;
    r->target = wanted->target;
    r->part = wanted->context;
    return 0;
}

/* Each image's file would replace the one before. */
static int check_single_files(const struct ship *ship, struct error *err)
{
    const struct build_options *o = &ship->options->build;
    const char *option = o->iidfile         ? "--iidfile"
                         : o->digest_file   ? "--digest-file"
                         : o->metadata_file ? "--metadata-file"
                         : o->outputs.len   ? "--output"
                                            : NULL;
    if (ship->len > 1 && option) {
        return error_set(err, ERR_USAGE, "%s takes one image, and %zu are built", option,
                         ship->len);
    }
    return 0;
}

static int check_names_differ(const struct ship *ship, struct error *err)
{
    for (size_t i = 0; i < ship->len; i++) {
        const char *name = ship->images[i].build.request.tags.items[0];
        for (size_t j = 0; j < i; j++) {
            if (strcmp(ship->images[j].build.request.tags.items[0], name) == 0) {
                return error_set(err, ERR_USAGE, "images '%s' and '%s' would both be pushed as %s",
                                 ship->images[j].wanted->name, ship->images[i].wanted->name, name);
            }
        }
    }
    return 0;
}

/* imagedefinitions.json is what `ship` is for, unless only blue/green's files are asked for. */
static int decide_definitions(struct ship *ship, struct error *err)
{
    const struct pipeline *p = &ship->pipeline;
    size_t containers = 0;
    bool others = p->taskdefs.len > 0;
    for (size_t i = 0; i < p->len; i++) {
        containers += p->images[i].containers.len;
        others = others || p->images[i].taskdefs.len > 0 || p->images[i].image_detail;
    }
    ship->want_definitions = containers > 0;
    if (containers == 0 && (!others || ship->options->file)) {
        return error_set(err, ERR_USAGE,
                         "which container gets the image? --container NAME, or set CONTAINER_NAME");
    }
    return 0;
}

static int plan_images(struct ship *ship, bool single, struct error *err)
{
    struct pipeline *p = &ship->pipeline;
    ship->images = mem_calloc(p->len, sizeof *ship->images);
    ship->len = p->len;
    if (pipeline_complete(p, ship->config_name, !single, err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < p->len; i++) {
        if (plan_image(ship, i, single, err) != 0) {
            return ship->config_name ? error_locate(err, ship->config_name, p->images[i].line, 0, 0)
                                     : -1;
        }
    }
    if (check_names_differ(ship, err) != 0) {
        return -1;
    }
    const struct ship_options *o = ship->options;
    ship->by_digest = o->by_digest >= 0 ? o->by_digest : p->by_digest > 0;
    return check_single_files(ship, err) != 0 ? -1 : decide_definitions(ship, err);
}

/* Nothing is ignored in silence. */
static void note_unread(const struct ship *ship, const char *option)
{
    AUTO(buf_release) struct buf text = BUF_INIT(LIMIT_MARKED_BYTES);
    struct error ignored = {0};
    bool found = false;
    bool wanted = !ship->options->config;
    if (wanted &&
        context_read(ship->context, PIPELINE_FILE, LIMIT_MARKED_BYTES, &text, &found, &ignored) ==
            0 &&
        found) {
        event_note(ship->session->events, "%s is not read: %s says what to build", PIPELINE_FILE,
                   option);
    }
}

int ship_plan(struct ship *ship, struct error *err)
{
    const struct ship_options *o = ship->options;
    struct build_request request = o->build.request;
    request.store = ship->session->store;
    request.registry = ship->session->registry;
    request.events = ship->session->events;
    const char *option = single_image_option(o);
    bool single = option != NULL;
    bool found = false;
    if (context_open_named(&request, request.context, &ship->context, err) != 0) {
        return -1;
    }
    int r = 0;
    if (o->images.len > 0) {
        note_unread(ship, "--image");
        r = plan_from_images(ship, err);
    } else if (!single) {
        r = plan_from_file(ship, &found, err);
        single = !found;
    } else {
        note_unread(ship, option);
    }
    if (r != 0) {
        return -1;
    }
    if (single) {
        if (request.tags.len == 0) {
            AUTO(mem_freep) char *missing = names_missing_environment();
            return error_set(err, ERR_USAGE,
                             "the image needs a name: -t REGISTRY/NAME:TAG, or set %s", missing);
        }
        plan_single(ship);
    }
    add_options(ship);
    return plan_images(ship, single, err);
}
