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

struct images_options {
    bool quiet;
    bool all;
    bool digests;
    bool no_trunc;
    bool json;
    const char *format;
};

#define FLAG(MEMBER) .kind = OPTION_FLAG, .offset = offsetof(struct images_options, MEMBER)
static const struct option_spec specs[] = {
    {.name = "quiet", .letter = 'q', .help = "only ids", FLAG(quiet)},
    {.name = "digests", .help = "show the manifests' digests too", FLAG(digests)},
    {.name = "no-trunc", .help = "show whole ids", FLAG(no_trunc)},
    {.name = "json", .help = "one JSON object a line", FLAG(json)},
    {.name = "format",
     .argument = "TEMPLATE",
     .help = "json, or docker's {{.Repository}}:{{.Tag}}",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct images_options, format)},
    {.name = "all", .letter = 'a', FLAG(all)},
    {.name = "filter", .kind = OPTION_REFUSE, .help = "not possible: name the repository instead"},
};
static const struct option_group group = {NULL, specs, ARRAY_LEN(specs)};

static const struct option_table table = {
    .command = "images",
    .usage = "[OPTIONS] [REPOSITORY[:TAG]]",
    .summary = "Lists the images in the store. IMAGE ID is the config's digest, as docker's; SIZE "
               "is what\n"
               "a registry keeps (compressed).",
    .groups = {&group},
    .max_arguments = 1,
};

enum {
    COLUMN_REPOSITORY,
    COLUMN_TAG,
    COLUMN_DIGEST,
    COLUMN_ID,
    COLUMN_CREATED,
    COLUMN_SIZE,
    COLUMNS
};

/* One image with its name. */
struct row {
    char *cells[COLUMNS];
    char *created_at;
    uint64_t size;
};

static void row_release(struct row *row)
{
    for (size_t i = 0; i < COLUMNS; i++) {
        free(row->cells[i]);
    }
    free(row->created_at);
}

static void fill_row(const struct images_options *o, const struct image_tag *tag,
                     const struct image *image, struct row *row)
{
    char text[DIGEST_TEXT_SIZE];
    char size[TEXT_SIZE_SIZE];
    char ago[TEXT_AGO_SIZE];
    char id[SHORT_ID_SIZE];
    const char *created = json_get_string(image->config_json, "created");
    row->size = image_info_size(image);
    row->created_at = mem_strdup(created ? created : "");
    image_info_split(tag->name, &row->cells[COLUMN_REPOSITORY], &row->cells[COLUMN_TAG]);
    row->cells[COLUMN_DIGEST] = mem_strdup(digest_format(&tag->top.digest, text));
    row->cells[COLUMN_ID] =
        mem_strdup(o->no_trunc ? digest_format(&image->config.digest, text)
                               : image_info_short_id(&image->config.digest, id));
    row->cells[COLUMN_CREATED] = mem_strdup(created ? text_ago(image_info_time(created), ago) : "");
    row->cells[COLUMN_SIZE] = mem_strdup(text_bytes(row->size, size));
}

/* What --format calls the columns, and their titles. */
static const char *const keys[COLUMNS] = {"Repository", "Tag",          "Digest",
                                          "ID",         "CreatedSince", "Size"};
static const char *const heads[COLUMNS] = {"REPOSITORY", "TAG",     "DIGEST",
                                           "IMAGE ID",   "CREATED", "SIZE"};

static json_t *row_json(const struct row *row)
{
    json_t *object = json_object();
    for (size_t i = 0; i < COLUMNS; i++) {
        json_object_set_new(object, keys[i], json_string(row->cells[i]));
    }
    json_object_set_new(object, "CreatedAt", json_string(row->created_at));
    json_object_set_new(object, "SizeBytes", json_integer((json_int_t)row->size));
    return object;
}

static int print_formatted(const struct images_options *o, const struct row *rows, size_t len,
                           struct error *err)
{
    AUTO(json_freep) json_t *array = json_array();
    AUTO(json_freep) json_t *titles = json_object();
    for (size_t i = 0; i < COLUMNS; i++) {
        json_object_set_new(titles, keys[i], json_string(heads[i]));
    }
    json_object_set_new(titles, "CreatedAt", json_string("CREATED AT"));
    json_object_set_new(titles, "SizeBytes", json_string("BYTES"));
    for (size_t i = 0; i < len; i++) {
        json_array_append_new(array, row_json(&rows[i]));
    }
    return template_print(o->json ? "json" : o->format, array, titles, err);
}

static void print_table(const struct images_options *o, const struct row *rows, size_t len)
{
    const char **cells = mem_calloc((len + 1) * COLUMNS, sizeof *cells);
    size_t count = 0;
    for (size_t i = 0; i <= len; i++) {
        for (size_t column = 0; column < COLUMNS; column++) {
            if (column != COLUMN_DIGEST || o->digests) {
                cells[count++] = i == 0 ? heads[column] : rows[i - 1].cells[column];
            }
        }
    }
    text_table(cells, len + 1, count / (len + 1), stdout);
    free(cells);
}

static int print_rows(const struct images_options *o, const struct row *rows, size_t len,
                      struct error *err)
{
    if (o->json || o->format) {
        return print_formatted(o, rows, len, err);
    }
    if (!o->quiet) {
        print_table(o, rows, len);
        return 0;
    }
    for (size_t i = 0; i < len; i++) {
        bool again = false;
        for (size_t j = 0; j < i && !again; j++) {
            again = strcmp(rows[i].cells[COLUMN_ID], rows[j].cells[COLUMN_ID]) == 0;
        }
        if (!again) {
            puts(rows[i].cells[COLUMN_ID]);
        }
    }
    return 0;
}

/* Whether the tag is what WANTED (NULL: anything) names: a repository, or one name of it. */
static bool wanted_tag(const struct image_tag *tag, const struct reference *wanted)
{
    if (!wanted) {
        return true;
    }
    AUTO(mem_freep) char *key = reference_key(wanted);
    AUTO(mem_freep) char *repository = mem_printf("%s/%s", wanted->host, wanted->repository);
    size_t len = strlen(repository);
    bool exact = wanted->tag || wanted->has_digest;
    if (!tag->name || exact) {
        return tag->name && strcmp(tag->name, key) == 0;
    }
    return strncmp(tag->name, repository, len) == 0 &&
           (tag->name[len] == ':' || tag->name[len] == '@');
}

static int list(struct store *store, const struct images_options *o, const struct reference *wanted,
                struct error *err)
{
    struct image_tag *tags = NULL;
    size_t len = 0;
    size_t rows_len = 0;
    if (images_list(store, &tags, &len, err) != 0) {
        return -1;
    }
    struct row *rows = mem_calloc(len + 1, sizeof *rows);
    for (size_t i = 0; i < len; i++) {
        struct image image = {0};
        struct error damaged = {0};
        if (!wanted_tag(&tags[i], wanted)) {
            continue;
        }
        if (image_info_load(store, &tags[i].top, &image, &damaged) != 0) {
            fprintf(stderr, "slipway: %s: %s\n", tags[i].name ? tags[i].name : "an image",
                    damaged.text);
            continue;
        }
        fill_row(o, &tags[i], &image, &rows[rows_len++]);
        image_release(&image);
    }
    images_list_release(tags, len);
    int result = print_rows(o, rows, rows_len, err);
    for (size_t i = 0; i < rows_len; i++) {
        row_release(&rows[i]);
    }
    free(rows);
    return result;
}

int cmd_images(struct invocation *call, struct error *err)
{
    struct images_options options = {0};
    AUTO(strlist_release) struct strlist arguments = {0};
    AUTO(store_freep) struct store *store = NULL;
    struct reference wanted = {0};
    bool done = false;
    if (options_read(&table, call->args, &options, &arguments, &done, err) != 0) {
        return -1;
    }
    if (done) {
        return 0;
    }
    if (arguments.len && reference_parse(arguments.items[0], &wanted, err) != 0) {
        return -1;
    }
    int result = store_open(NULL, &store, err);
    if (result == 0) {
        result = list(store, &options, arguments.len ? &wanted : NULL, err);
    }
    reference_release(&wanted);
    return result;
}
