#include <string.h>

#include "base/memory.h"
#include "cli/commands.h"
#include "cli/names.h"
#include "cli/options.h"

struct rmi_options {
    bool force;
};

static const struct option_spec specs[] = {
    {.name = "force",
     .letter = 'f',
     .help = "by id: with all its names; a missing one is fine",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct rmi_options, force)},
};
static const struct option_group group = {NULL, specs, ARRAY_LEN(specs)};

static const struct option_table table = {
    .command = "rmi",
    .usage = "[OPTIONS] IMAGE...",
    .summary = "Removes names from the store, and an image with its last name (or by its id).\n"
               "Layers stay: later builds take them from the store.",
    .groups = {&group},
    .min_arguments = 1,
    .max_arguments = 1000,
};

/* The names of the image DIGEST. */
static int names_of(struct store *store, const struct digest *digest, struct strlist *out,
                    struct error *err)
{
    struct image_tag *tags = NULL;
    size_t len = 0;
    if (images_list(store, &tags, &len, err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < len && tags[i].name; i++) {
        if (digest_equal(&tags[i].top.digest, digest)) {
            strlist_add(out, tags[i].name);
        }
    }
    images_list_release(tags, len);
    return 0;
}

static int untag(struct store *store, const char *key, struct error *err)
{
    if (images_untag(store, key, err) != 0) {
        return -1;
    }
    AUTO(mem_freep) char *shown = names_familiar(key);
    printf("Untagged: %s\n", shown);
    return 0;
}

static int forget(struct store *store, const struct digest *digest, struct error *err)
{
    char text[DIGEST_TEXT_SIZE];
    if (images_forget(store, digest, err) != 0) {
        return -1;
    }
    printf("Deleted: %s\n", digest_format(digest, text));
    return 0;
}

static int remove_found(struct store *store, const struct named_image *image, bool force,
                        struct error *err)
{
    AUTO(strlist_release) struct strlist names = {0};
    if (names_of(store, &image->top.digest, &names, err) != 0) {
        return -1;
    }
    bool by_name = image->key && strlist_has(&names, image->key);
    if (by_name && untag(store, image->key, err) != 0) {
        return -1;
    }
    if (by_name) {
        return names.len > 1 ? 0 : forget(store, &image->top.digest, err);
    }
    if (names.len > 1 && !force) {
        return error_set(err, ERR_USAGE, "the image has %zu names: remove those, or use --force",
                         names.len);
    }
    for (size_t i = 0; i < names.len; i++) {
        if (untag(store, names.items[i], err) != 0) {
            return -1;
        }
    }
    return forget(store, &image->top.digest, err);
}

static int remove_image(struct store *store, const char *name, bool force, struct error *err)
{
    struct named_image image = {0};
    if (names_find(store, name, &image, err) != 0) {
        if (force && err->code == ERR_USAGE) {
            error_clear(err);
            return 0;
        }
        return -1;
    }
    int result = remove_found(store, &image, force, err);
    named_image_release(&image);
    return result == 0 ? 0 : error_wrap(err, "%s", name);
}

int cmd_rmi(struct invocation *call, struct error *err)
{
    struct rmi_options options = {0};
    AUTO(strlist_release) struct strlist arguments = {0};
    AUTO(store_freep) struct store *store = NULL;
    bool done = false;
    if (options_read(&table, call->args, &options, &arguments, &done, err) != 0) {
        return -1;
    }
    if (done) {
        return 0;
    }
    if (store_open(NULL, &store, err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < arguments.len; i++) {
        if (remove_image(store, arguments.items[i], options.force, err) != 0) {
            return -1;
        }
    }
    return 0;
}
