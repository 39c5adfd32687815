#include "cli/output.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "cli/names.h"
#include "cli/options.h"
#include "cli/output_images.h"
#include "cli/result_file.h"
#include "oci/docker_archive.h"
#include "oci/layer.h"
#include "oci/layout.h"
#include "oci/unpack.h"

void output_list_release(struct output_list *list)
{
    for (size_t i = 0; i < list->len; i++) {
        free(list->items[i].dest);
        strlist_release(&list->items[i].names);
    }
    free(list->items);
    *list = (struct output_list){0};
}

static int parse_type(struct output *o, const char *value, struct error *err)
{
    static const struct {
        const char *name;
        enum output_type type;
    } types[] = {{"oci", OUTPUT_OCI},     {"docker", OUTPUT_DOCKER}, {"tar", OUTPUT_TAR},
                 {"local", OUTPUT_LOCAL}, {"image", OUTPUT_IMAGE},   {"registry", OUTPUT_IMAGE}};
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (strcmp(value, types[i].name) == 0) {
            o->type = types[i].type;
            o->push = o->push || strcmp(value, "registry") == 0;
            return 0;
        }
    }
    return error_set(err, ERR_USAGE, "no type '%s': oci, docker, tar, local, image or registry",
                     value);
}

/* docker separates several names by commas inside a quoted field. */
static void add_names(struct output *o, const char *value)
{
    while (*value) {
        size_t len = strcspn(value, ",");
        if (len > 0) {
            strlist_take(&o->names, mem_strndup(value, len));
        }
        value += len + (value[len] == ',');
    }
}

static int take_field(void *ctx, const char *key, const char *value, struct error *err)
{
    struct output *o = ctx;
    if (!value) {
        return error_set(err, ERR_USAGE, "'%s' is not of the form key=value", key);
    }
    if (strcmp(key, "type") == 0) {
        return parse_type(o, value, err);
    }
    if (strcmp(key, "dest") == 0) {
        free(o->dest);
        o->dest = mem_strdup(value);
        return 0;
    }
    if (strcmp(key, "tar") == 0) {
        return options_bool(value, &o->tar, err);
    }
    if (strcmp(key, "push") == 0) {
        return options_bool(value, &o->push, err);
    }
    if (strcmp(key, "name") == 0) {
        add_names(o, value);
        return 0;
    }
    static const char *const keys[] = {"type", "dest", "tar", "push", "name"};
    const char *near = nearest_name(key, keys, ARRAY_LEN(keys));
    return error_set(err, ERR_USAGE, "no key '%s'%s%s", key,
                     near ? ", did you mean " : ": type, dest, tar, push and name are known",
                     near ? near : "");
}

static int check_output(const struct output *o, struct error *err)
{
    static const char *const names[] = {"oci", "docker", "tar", "local", "image"};
    const char *name = names[o->type];
    bool archive = o->type == OUTPUT_OCI || o->type == OUTPUT_DOCKER;
    if (!o->dest && (o->type == OUTPUT_LOCAL || (archive && !o->tar))) {
        return error_set(err, ERR_USAGE, "type=%s needs dest=FOLDER", name);
    }
    if (o->dest && o->type == OUTPUT_IMAGE) {
        return error_set(err, ERR_USAGE, "type=%s has no dest: it goes to the store", name);
    }
    if (!o->tar && o->type == OUTPUT_DOCKER) {
        return error_set(err, ERR_USAGE, "type=docker is always a tar: for a folder use type=oci");
    }
    if (o->push && o->type != OUTPUT_IMAGE) {
        return error_set(err, ERR_USAGE, "push= belongs to type=image, not to type=%s", name);
    }
    if (o->dest && strcmp(o->dest, "-") == 0 && (o->type == OUTPUT_LOCAL || !o->tar)) {
        return error_set(err, ERR_USAGE, "a folder cannot go to standard output");
    }
    return 0;
}

static int parse_into(struct output *o, const char *text, struct error *err)
{
    if (strcmp(text, "-") == 0) {
        o->type = OUTPUT_TAR;
        o->dest = mem_strdup("-");
        return 0;
    }
    if (!strchr(text, '=')) {
        o->type = OUTPUT_LOCAL;
        o->dest = mem_strdup(text);
        return *text ? 0 : error_set(err, ERR_USAGE, "an empty name");
    }
    bool typed = strncmp(text, "type=", 5) == 0 || strstr(text, ",type=") != NULL;
    if (!typed) {
        return error_set(err, ERR_USAGE, "'%s' says no type=", text);
    }
    if (options_fields(text, take_field, o, err) != 0) {
        return -1;
    }
    bool to_stdout = !o->dest && o->tar && (o->type == OUTPUT_OCI || o->type == OUTPUT_TAR);
    if (to_stdout) {
        o->dest = mem_strdup("-");
    }
    return check_output(o, err);
}

static bool is_stdout(const struct output *o)
{
    return o->dest && strcmp(o->dest, "-") == 0;
}

int output_parse(struct output_list *list, const char *text, struct error *err)
{
    bool taken = output_uses_stdout(list);
    list->items = mem_realloc(list->items, list->len + 1, sizeof *list->items);
    struct output *o = &list->items[list->len++];
    *o = (struct output){.tar = true};
    if (parse_into(o, text, err) != 0) {
        return -1;
    }
    if (taken && is_stdout(o)) {
        return error_set(err, ERR_USAGE, "only one can go to standard output");
    }
    return 0;
}

bool output_uses_stdout(const struct output_list *list)
{
    for (size_t i = 0; i < list->len; i++) {
        if (is_stdout(&list->items[i])) {
            return true;
        }
    }
    return false;
}

/* The whole root file system of IMAGE. */
static int merged_tree(struct store *store, const struct image *image, struct tree **out,
                       struct error *err)
{
    AUTO(tree_unrefp) struct tree *tree = tree_empty();
    for (size_t i = 0; i < image->layers_len; i++) {
        AUTO(tree_unrefp) struct tree *layer = NULL;
        if (layer_tree(store, &image->layers[i], &layer, err) != 0) {
            return -1;
        }
        struct tree *merged = tree_merge(tree, layer);
        tree_unref(tree);
        tree = merged;
    }
    *out = MEM_STEAL(tree);
    return 0;
}

static int write_folder(struct store *store, const struct image *image, const char *path,
                        struct error *err)
{
    AUTO(tree_unrefp) struct tree *tree = NULL;
    AUTO(fd_closep) int fd = -1;
    if (merged_tree(store, image, &tree, err) != 0 ||
        file_make_dirs(AT_FDCWD, path, 0755, err) != 0 ||
        file_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, &fd, err) != 0) {
        return -1;
    }
    return unpack_tree(tree, fd, UNPACK_PLAIN, TIMES_KEEP, err);
}

/* Several platforms have a folder each, as docker's. */
static int write_local(struct store *store, const struct output_images *images, const char *dest,
                       struct error *err)
{
    for (size_t i = 0; i < images->len; i++) {
        const struct output_image *item = &images->items[i];
        AUTO(mem_freep)
        char *path = item->folder ? mem_printf("%s/%s", dest, item->folder) : mem_strdup(dest);
        if (write_folder(store, &item->image, path, err) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Adds TREE below FOLDER. */
static void add_below(struct tree_builder *b, const struct tree *tree, const char *folder)
{
    tree_builder_add(
        b, &(struct entry){.path = folder, .type = ENTRY_DIR, .mode = 0755, .mtime = TIME_BASE});
    for (size_t i = 0; i < tree_len(tree); i++) {
        struct entry entry = *tree_at(tree, i);
        AUTO(mem_freep) char *path = mem_printf("%s/%s", folder, entry.path);
        AUTO(mem_freep) char *link = NULL;
        entry.path = path[strlen(folder) + 1] ? path : folder;
        if (entry.type == ENTRY_HARDLINK) {
            link = mem_printf("%s/%s", folder, entry.link);
            entry.link = link;
        }
        tree_builder_add(b, &entry);
    }
}

/* All images as one tree. */
static int joined_tree(struct store *store, const struct output_images *images, struct tree **out,
                       struct error *err)
{
    if (images->len == 1 && !images->items[0].folder) {
        return merged_tree(store, &images->items[0].image, out, err);
    }
    AUTO(tree_builder_freep) struct tree_builder *b = tree_builder_new();
    for (size_t i = 0; i < images->len; i++) {
        AUTO(tree_unrefp) struct tree *tree = NULL;
        if (merged_tree(store, &images->items[i].image, &tree, err) != 0) {
            return -1;
        }
        add_below(b, tree, images->items[i].folder);
    }
    *out = tree_builder_finish(MEM_STEAL(b));
    return 0;
}

static int write_tar(struct store *store, const struct output_images *images, const char *dest,
                     struct error *err)
{
    AUTO(tree_unrefp) struct tree *tree = NULL;
    AUTO(result_file_freep) struct result_file *file = NULL;
    if (joined_tree(store, images, &tree, err) != 0 || result_file_open(dest, &file, err) != 0 ||
        layer_write_tar(tree, TIMES_KEEP, result_file_writer(file), err) != 0) {
        return -1;
    }
    return result_file_commit(file, err);
}

/* One entry for each name, or one without. */
static int layout_images(const struct descriptor *top, const struct strlist *names,
                         struct layout_image **out, size_t *len_out, struct error *err)
{
    size_t len = names->len ? names->len : 1;
    struct layout_image *items = mem_calloc(len, sizeof *items);
    for (size_t i = 0; i < len; i++) {
        items[i].descriptor = *top;
    }
    for (size_t i = 0; i < names->len; i++) {
        struct reference ref = {0};
        if (reference_parse(names->items[i], &ref, err) != 0) {
            layout_images_release(items, len);
            return -1;
        }
        items[i].name = reference_key(&ref);
        reference_release(&ref);
    }
    *out = items;
    *len_out = len;
    return 0;
}

static int write_archive(struct store *store, const struct output *o,
                         const struct layout_image *images, size_t len, struct error *err)
{
    if (!o->tar) {
        return layout_write_dir(store, o->dest, images, len, err);
    }
    AUTO(result_file_freep) struct result_file *file = NULL;
    if (result_file_open(o->dest, &file, err) != 0) {
        return -1;
    }
    struct writer *out = result_file_writer(file);
    int result = o->type == OUTPUT_OCI ? layout_write_tar(store, out, images, len, err)
                                       : docker_archive_write(store, out, images, len, NULL, err);
    return result == 0 ? result_file_commit(file, err) : -1;
}

/* Writes TOP with its documents, under NAMES. */
static int write_documents(struct store *store, const struct output *output,
                           const struct descriptor *top, const struct strlist *names,
                           struct error *err)
{
    struct layout_image *images = NULL;
    size_t len = 0;
    if (layout_images(top, names, &images, &len, err) != 0) {
        return -1;
    }
    int result = write_archive(store, output, images, len, err);
    layout_images_release(images, len);
    return result;
}

/* Fetches the layers that the store lacks. */
static int complete(const struct session *session, const struct output_images *images,
                    struct error *err)
{
    for (size_t i = 0; i < images->len; i++) {
        const struct image *image = &images->items[i].image;
        if (registry_get_layers(session->registry, image, 0, image->layers_len, err) != 0) {
            return -1;
        }
    }
    return 0;
}

int output_complete(const struct session *session, const struct image *image,
                    const struct descriptor *top, struct error *err)
{
    AUTO(output_images_release) struct output_images images = {0};
    if (output_images_load(session->store, image, top, &images, err) != 0) {
        return -1;
    }
    return complete(session, &images, err);
}

int output_write(const struct session *session, const struct output *output,
                 const struct image *image, const struct descriptor *top,
                 const struct strlist *tags, struct error *err)
{
    AUTO(output_images_release) struct output_images images = {0};
    if (!output->dest) {
        return 0; /* the store and the registry have it */
    }
    if (output_images_load(session->store, image, top, &images, err) != 0 ||
        complete(session, &images, err) != 0) {
        return -1;
    }
    switch (output->type) {
    case OUTPUT_LOCAL:
        return write_local(session->store, &images, output->dest, err);
    case OUTPUT_TAR:
        return write_tar(session->store, &images, output->dest, err);
    case OUTPUT_OCI:
    case OUTPUT_DOCKER:
    case OUTPUT_IMAGE:
        break;
    }
    const struct strlist *names = output->names.len ? &output->names : tags;
    return write_documents(session->store, output, top, names, err);
}
