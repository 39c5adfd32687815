#include "base/memory.h"
#include "cli/commands.h"
#include "cli/names.h"
#include "cli/options.h"

static const struct option_table table = {
    .command = "tag",
    .usage = "IMAGE NAME[:TAG]",
    .summary = "Gives an image of the store (by name or id) another name.",
    .min_arguments = 2,
    .max_arguments = 2,
};

static int tag(struct store *store, const char *image, const char *name, struct error *err)
{
    struct reference ref = {0};
    struct named_image named = {0};
    if (reference_parse(name, &ref, err) != 0) {
        return -1;
    }
    AUTO(mem_freep) char *key = reference_key(&ref);
    bool digest = ref.has_digest;
    reference_release(&ref);
    if (digest) {
        return error_set(err, ERR_USAGE, "%s: a name to be given cannot hold a digest", name);
    }
    if (names_find(store, image, &named, err) != 0) {
        return -1;
    }
    int result = images_tag(store, key, &named.top, err);
    named_image_release(&named);
    return result;
}

int cmd_tag(struct invocation *call, struct error *err)
{
    AUTO(strlist_release) struct strlist arguments = {0};
    AUTO(store_freep) struct store *store = NULL;
    bool done = false;
    if (options_read(&table, call->args, NULL, &arguments, &done, err) != 0) {
        return -1;
    }
    if (done) {
        return 0;
    }
    if (store_open(NULL, &store, err) != 0 || store_hold(store, err) != 0) {
        return -1;
    }
    return tag(store, arguments.items[0], arguments.items[1], err);
}
