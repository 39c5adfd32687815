#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "cli/commands.h"
#include "cli/image_info.h"
#include "cli/names.h"
#include "cli/options.h"
#include "cli/template.h"
#include "cli/text.h"

struct history_options {
    bool no_trunc;
    bool json;
    bool quiet;
    bool bytes; /* --human=false: sizes as numbers */
    const char *format;
};

/* docker's --human, which is what happens without it. */
static int parse_human(void *member, const char *value, struct error *err)
{
    bool human = true;
    if (options_bool(value, &human, err) != 0) {
        return -1;
    }
    *(bool *)member = !human;
    return 0;
}

static const struct option_spec specs[] = {
    {.name = "no-trunc",
     .help = "show whole commands",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct history_options, no_trunc)},
    {.name = "json",
     .help = "the history of the config, with sizes, as JSON",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct history_options, json)},
    {.name = "format",
     .argument = "TEMPLATE",
     .help = "how to show a step: {{.CreatedBy}} {{.Size}}, table ..., json",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct history_options, format)},
    {.name = "quiet",
     .letter = 'q',
     .help = "only the image's ID, and <missing> for steps that have none",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct history_options, quiet)},
    {.name = "human",
     .letter = 'H',
     .kind = OPTION_FLAG_CALL,
     .parse = parse_human,
     .offset = offsetof(struct history_options, bytes)},
};
static const struct option_group group = {NULL, specs, ARRAY_LEN(specs)};

static const struct option_table table = {
    .command = "history",
    .usage = "[OPTIONS] IMAGE",
    .summary = "Shows the steps that made an image, newest first, with the sizes of their layers.",
    .groups = {&group},
    .min_arguments = 1,
    .max_arguments = 1,
};

/* The config's history, oldest first, each with "size"; layers without a line of history get one.
 */
static json_t *history_of(const struct image *image)
{
    json_t *lines = json_array();
    const json_t *history = json_object_get(image->config_json, "history");
    size_t layer = 0;
    for (size_t i = 0; i < json_array_size(history); i++) {
        json_t *line = json_deep_copy(json_array_get(history, i));
        bool empty = json_is_true(json_object_get(line, "empty_layer"));
        uint64_t size = 0;
        if (!empty && layer < image->layers_len) {
            size = image->layers[layer++].blob.size;
        }
        if (!json_is_object(line)) {
            json_decref(line);
            line = json_object();
        }
        json_object_set_new(line, "size", json_integer((json_int_t)size));
        json_array_append_new(lines, line);
    }
    for (; layer < image->layers_len; layer++) {
        json_int_t size = (json_int_t)image->layers[layer].blob.size;
        json_array_append_new(lines, json_pack("{s:I}", "size", size));
    }
    return lines;
}

/* The columns as docker's --format calls them. */
static json_t *row_of(const json_t *line, const struct history_options *o, const char *id)
{
    enum { SHOWN = 60 };
    const char *created = json_get_string(line, "created");
    const char *by = json_get_string(line, "created_by");
    const char *comment = json_get_string(line, "comment");
    uint64_t bytes = (uint64_t)json_integer_value(json_object_get(line, "size"));
    char ago[TEXT_AGO_SIZE];
    char size[TEXT_SIZE_SIZE];
    AUTO(buf_release) struct buf clean = BUF_INIT(0);
    by = by ? by : "<missing>";
    text_clean(by, strlen(by), &clean);
    size_t fits = o->no_trunc ? clean.len : text_fit(buf_text(&clean), SHOWN);
    AUTO(mem_freep)
    char *shown = mem_printf("%.*s%s", (int)fits, buf_text(&clean), fits < clean.len ? "..." : "");
    if (o->bytes) {
        snprintf(size, sizeof size, "%llu", (unsigned long long)bytes);
    } else {
        text_bytes(bytes, size);
    }
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "ID", id, "CreatedSince",
                     created ? text_ago(image_info_time(created), ago) : "", "CreatedAt",
                     created ? created : "", "CreatedBy", shown, "Size", size, "Comment",
                     comment ? comment : "");
}

/* Newest first. Only the last step is an image of its own. */
static int print_rows(const json_t *lines, const struct history_options *o, const char *id,
                      struct error *err)
{
    AUTO(json_freep) json_t *rows = json_array();
    AUTO(json_freep)
    json_t *heads = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "ID", "IMAGE", "CreatedSince",
                              "CREATED", "CreatedAt", "CREATED AT", "CreatedBy", "CREATED BY",
                              "Size", "SIZE", "Comment", "COMMENT");
    for (size_t i = json_array_size(lines); i > 0; i--) {
        bool last = i == json_array_size(lines);
        json_array_append_new(rows,
                              row_of(json_array_get(lines, i - 1), o, last ? id : "<missing>"));
    }
    const char *format = o->format  ? o->format
                         : o->quiet ? "{{.ID}}"
                                    : "table {{.CreatedSince}}\t{{.Size}}\t{{.CreatedBy}}";
    return template_print(format, rows, heads, err);
}

static int show(struct store *store, const char *name, const struct history_options *o,
                struct error *err)
{
    struct named_image named = {0};
    struct image image = {0};
    if (names_find(store, name, &named, err) != 0) {
        return -1;
    }
    int result = image_info_load(store, &named.top, &image, err);
    named_image_release(&named);
    if (result != 0) {
        return -1;
    }
    AUTO(json_freep) json_t *lines = history_of(&image);
    char whole[DIGEST_TEXT_SIZE];
    char id[SHORT_ID_SIZE];
    digest_format(&image.config.digest, whole);
    image_info_short_id(&image.config.digest, id);
    image_release(&image);
    if (o->json) {
        AUTO(buf_release) struct buf text = BUF_INIT(0);
        json_render_pretty(lines, &text);
        fputs(buf_text(&text), stdout);
        return 0;
    }
    return print_rows(lines, o, o->no_trunc ? whole : id, err);
}

int cmd_history(struct invocation *call, struct error *err)
{
    struct history_options options = {0};
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
    return show(store, arguments.items[0], &options, err);
}
