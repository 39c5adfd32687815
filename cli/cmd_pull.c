#include "base/memory.h"
#include "cli/commands.h"
#include "cli/names.h"
#include "cli/session.h"

struct pull_options {
    struct session_options session;
    struct platform platform;
    bool given;
};

static int parse_platform(void *member, const char *value, struct error *err)
{
    struct pull_options *o = member;
    platform_release(&o->platform);
    o->platform = (struct platform){0};
    o->given = true;
    return platform_parse(value, &o->platform, err);
}

static const struct option_spec specs[] = {
    {.name = "platform",
     .argument = "OS/ARCH",
     .help = "which image of several (this machine's)",
     .kind = OPTION_CALL,
     .parse = parse_platform},
};
static const struct option_group group = {NULL, specs, ARRAY_LEN(specs)};

static const struct option_table table = {
    .command = "pull",
    .usage = "[OPTIONS] NAME[:TAG|@DIGEST]...",
    .summary = "Fetches images with all their layers into the store; prints NAME@DIGEST of each.",
    .groups = {&group, &session_group},
    .min_arguments = 1,
    .max_arguments = 1000,
};

static int fetch(struct session *session, const struct reference *ref,
                 const struct platform *platform, struct image *image, struct error *err)
{
    if (registry_get_image(session->registry, ref, platform, RESOLVE_REGISTRY, image, err) != 0 ||
        registry_get_layers(session->registry, image, 0, image->layers_len, err) != 0) {
        return -1;
    }
    AUTO(mem_freep) char *key = reference_key(ref);
    return images_tag(session->store, key, &image->manifest, err);
}

static int pull(struct session *session, const char *name, const struct platform *platform,
                struct error *err)
{
    struct reference ref = {0};
    struct image image = {0};
    char digest[DIGEST_TEXT_SIZE];
    if (reference_parse(name, &ref, err) != 0) {
        return -1;
    }
    int result = fetch(session, &ref, platform, &image, err);
    if (result == 0) {
        printf("%s/%s@%s\n", ref.host, ref.repository,
               digest_format(&image.manifest.digest, digest));
    }
    image_release(&image);
    reference_release(&ref);
    return result;
}

int cmd_pull(struct invocation *call, struct error *err)
{
    struct pull_options options = {0};
    AUTO(strlist_release) struct strlist arguments = {0};
    AUTO(session_close) struct session session = {0};
    bool done = false;
    int result = options_read(&table, call->args, &options, &arguments, &done, err);
    if (result == 0 && !done) {
        result = session_open(&options.session, &session, err);
    }
    if (result == 0 && !options.given) {
        platform_local(&options.platform);
    }
    for (size_t i = 0; result == 0 && !done && i < arguments.len; i++) {
        result = pull(&session, arguments.items[i], &options.platform, err);
    }
    platform_release(&options.platform);
    session_options_release(&options.session);
    return result;
}
