#include <string.h>

#include "base/json.h"
#include "base/limits.h"
#include "base/memory.h"
#include "cli/commands.h"
#include "cli/image_info.h"
#include "cli/names.h"
#include "cli/options.h"
#include "cli/template.h"

struct inspect_options {
    const char *format;
    bool manifest;
    bool config;
};

static int parse_type(void *member, const char *value, struct error *err)
{
    (void)member;
    return strcmp(value, "image") == 0 ? 0 : error_set(err, ERR_USAGE, "only images are here");
}

static const struct option_spec specs[] = {
    {.name = "format",
     .letter = 'f',
     .argument = "TEMPLATE",
     .help = "{{.Config.User}}, {{json .Config}}, {{index .RepoDigests 0}}",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct inspect_options, format)},
    {.name = "manifest",
     .help = "the manifest (or index) as it is",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct inspect_options, manifest)},
    {.name = "config",
     .help = "the config document as it is",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct inspect_options, config)},
    {.name = "type", .argument = "TYPE", .kind = OPTION_CALL, .parse = parse_type},
};
static const struct option_group group = {NULL, specs, ARRAY_LEN(specs)};

static const struct option_table table = {
    .command = "inspect",
    .usage = "[OPTIONS] IMAGE...",
    .summary = "Shows images of the store as JSON, with the members that docker's inspect has.",
    .groups = {&group},
    .min_arguments = 1,
    .max_arguments = 1000,
};

/* RepoTags and RepoDigests. */
static int add_names(struct store *store, const struct descriptor *top, json_t *object,
                     struct error *err)
{
    struct image_tag *items = NULL;
    size_t len = 0;
    char digest[DIGEST_TEXT_SIZE];
    AUTO(strlist_release) struct strlist digests = {0};
    if (images_list(store, &items, &len, err) != 0) {
        return -1;
    }
    digest_format(&top->digest, digest);
    json_t *tags = json_array();
    json_t *names = json_array();
    for (size_t i = 0; i < len && items[i].name; i++) {
        if (!digest_equal(&items[i].top.digest, &top->digest)) {
            continue;
        }
        AUTO(mem_freep) char *shown = names_familiar(items[i].name);
        const char *colon = strchr(shown, '@') ? strchr(shown, '@') : strrchr(shown, ':');
        AUTO(mem_freep) char *name = mem_printf("%.*s@%s", (int)(colon - shown), shown, digest);
        if (*colon == ':') {
            json_array_append_new(tags, json_string(shown));
        }
        if (!strlist_has(&digests, name)) {
            strlist_add(&digests, name);
            json_array_append_new(names, json_string(name));
        }
    }
    images_list_release(items, len);
    json_object_set_new(object, "RepoTags", tags);
    json_object_set_new(object, "RepoDigests", names);
    return 0;
}

/* Takes the member KEY of the config over as NAME, where it is there. */
static void add_member(json_t *object, const char *name, const json_t *config, const char *key)
{
    json_t *value = json_object_get(config, key);
    if (value) {
        json_object_set(object, name, value);
    }
}

static void add_layers(json_t *object, const struct image *image)
{
    json_t *diff_ids = json_array();
    json_t *blobs = json_array();
    for (size_t i = 0; i < image->layers_len; i++) {
        const struct layer *layer = &image->layers[i];
        char text[DIGEST_TEXT_SIZE];
        json_array_append_new(diff_ids, json_string(digest_format(&layer->diff_id, text)));
        digest_format(&layer->blob.digest, text);
        json_array_append_new(blobs,
                              json_pack("{s:s, s:s, s:I}", "MediaType", layer->blob.media_type,
                                        "Digest", text, "Size", (json_int_t)layer->blob.size));
    }
    json_object_set_new(object, "RootFS",
                        json_pack("{s:s, s:o}", "Type", "layers", "Layers", diff_ids));
    json_object_set_new(object, "Blobs", blobs);
}

static int describe(struct store *store, const struct descriptor *top, const struct image *image,
                    json_t **out, struct error *err)
{
    static const char *const members[][2] = {
        {"Created", "created"},           {"Author", "author"},  {"Config", "config"}, {"Os", "os"},
        {"Architecture", "architecture"}, {"Variant", "variant"}};
    char id[DIGEST_TEXT_SIZE];
    char digest[DIGEST_TEXT_SIZE];
    digest_format(&image->config.digest, id);
    digest_format(&top->digest, digest);
    AUTO(json_freep) json_t *object = json_object();
    json_object_set_new(object, "Id", json_string(id));
    json_object_set_new(object, "Digest", json_string(digest));
    json_object_set_new(object, "MediaType", json_string(top->media_type));
    if (add_names(store, top, object, err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        add_member(object, members[i][0], image->config_json, members[i][1]);
    }
    json_object_set_new(object, "Size", json_integer((json_int_t)image_info_size(image)));
    add_layers(object, image);
    *out = MEM_STEAL(object);
    return 0;
}

static int print_raw(struct store *store, const struct digest *digest, struct error *err)
{
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    if (store_read_blob(store, digest, LIMIT_CONFIG_BYTES, &text, err) != 0) {
        return -1;
    }
    fwrite(text.data, 1, text.len, stdout);
    return 0;
}

/* Adds the description of NAME to ALL, or prints what the options ask for. */
static int inspect(struct store *store, const char *name, const struct inspect_options *o,
                   json_t *all, struct error *err)
{
    struct named_image named = {0};
    struct image image = {0};
    AUTO(json_freep) json_t *object = NULL;
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    if (names_find(store, name, &named, err) != 0) {
        return -1;
    }
    struct descriptor top = named.top;
    named_image_release(&named);
    if (o->manifest) {
        return print_raw(store, &top.digest, err);
    }
    if (image_info_load(store, &top, &image, err) != 0) {
        return -1;
    }
    int result = o->config ? print_raw(store, &image.config.digest, err)
                           : describe(store, &top, &image, &object, err);
    image_release(&image);
    if (result == 0 && object && o->format) {
        result = template_expand(o->format, object, &text, err);
    }
    if (result == 0 && object && o->format) {
        puts(buf_text(&text));
    } else if (result == 0 && object) {
        json_array_append(all, object);
    }
    return result;
}

int cmd_inspect(struct invocation *call, struct error *err)
{
    struct inspect_options options = {0};
    AUTO(strlist_release) struct strlist arguments = {0};
    AUTO(store_freep) struct store *store = NULL;
    AUTO(json_freep) json_t *all = json_array();
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
        if (inspect(store, arguments.items[i], &options, all, err) != 0) {
            return -1;
        }
    }
    if (!options.format && !options.manifest && !options.config) {
        AUTO(buf_release) struct buf text = BUF_INIT(0);
        json_render_pretty(all, &text);
        fputs(buf_text(&text), stdout);
    }
    return 0;
}
