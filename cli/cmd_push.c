#include <string.h>

#include "base/memory.h"
#include "cli/commands.h"
#include "cli/image_info.h"
#include "cli/names.h"
#include "cli/session.h"

struct push_options {
    struct session_options session;
    bool all_tags;
};

static const struct option_spec specs[] = {
    {.name = "all-tags",
     .letter = 'a',
     .help = "push all names that the store has of NAME",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct push_options, all_tags)},
};
static const struct option_group group = {NULL, specs, ARRAY_LEN(specs)};

static const struct option_table table = {
    .command = "push",
    .usage = "[OPTIONS] NAME[:TAG]...",
    .summary = "Sends images from the store to their registries; prints NAME@DIGEST of each.",
    .groups = {&group, &session_group},
    .min_arguments = 1,
    .max_arguments = 1000,
};

static int push_key(struct session *session, const char *key, struct error *err)
{
    struct reference ref = {0};
    struct image image = {0};
    struct named_image named = {0};
    char digest[DIGEST_TEXT_SIZE];
    if (names_find(session->store, key, &named, err) != 0) {
        return -1;
    }
    int result = named.key ? reference_parse(named.key, &ref, err)
                           : error_set(err, ERR_USAGE,
                                       "%s: an id says not where to push: give the image a name by "
                                       "'slipway tag' and push that",
                                       key);
    if (result == 0) {
        result = image_info_load(session->store, &named.top, &image, err);
    }
    if (result == 0) {
        result = registry_push_image(session->registry, &image, &named.top, &ref, err);
    }
    if (result == 0) {
        printf("%s/%s@%s\n", ref.host, ref.repository, digest_format(&named.top.digest, digest));
    }
    image_release(&image);
    reference_release(&ref);
    named_image_release(&named);
    return result;
}

/* All tags of the repository that NAME says. */
static int push_all(struct session *session, const char *name, struct error *err)
{
    struct reference ref = {0};
    struct image_tag *tags = NULL;
    size_t len = 0;
    size_t pushed = 0;
    if (reference_parse(name, &ref, err) != 0) {
        return -1;
    }
    AUTO(mem_freep) char *prefix = mem_printf("%s/%s:", ref.host, ref.repository);
    bool tagged = ref.tag || ref.has_digest;
    reference_release(&ref);
    if (tagged) {
        return error_set(err, ERR_USAGE, "--all-tags: give %s without tag and digest", name);
    }
    int result = images_list(session->store, &tags, &len, err);
    for (size_t i = 0; result == 0 && i < len; i++) {
        if (tags[i].name && strncmp(tags[i].name, prefix, strlen(prefix)) == 0) {
            result = push_key(session, tags[i].name, err);
            pushed++;
        }
    }
    images_list_release(tags, len);
    if (result == 0 && pushed == 0) {
        return error_set(err, ERR_USAGE, "%s: the store has no such image", name);
    }
    return result;
}

int cmd_push(struct invocation *call, struct error *err)
{
    struct push_options options = {0};
    AUTO(strlist_release) struct strlist arguments = {0};
    AUTO(session_close) struct session session = {0};
    bool done = false;
    int result = options_read(&table, call->args, &options, &arguments, &done, err);
    if (result == 0 && !done) {
        result = session_open(&options.session, &session, err);
    }
    for (size_t i = 0; result == 0 && !done && i < arguments.len; i++) {
        result = options.all_tags ? push_all(&session, arguments.items[i], err)
                                  : push_key(&session, arguments.items[i], err);
    }
    session_options_release(&options.session);
    return result;
}
