#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "builder/sandbox.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/text.h"
#include "oci/usage.h"

struct du_options {
    bool json;
    bool verbose;
};

static const struct option_spec specs[] = {
    {.name = "verbose",
     .letter = 'v',
     .help = "list every single thing, the one used longest ago first",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct du_options, verbose)},
    {.name = "json",
     .help = "one JSON document; with --verbose with every item",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct du_options, json)},
};
static const struct option_group group = {NULL, specs, ARRAY_LEN(specs)};

static const struct option_table table = {
    .command = "du",
    .usage = "[OPTIONS]",
    .summary = "Shows what the store holds, and what of it images with tags are made of; the rest\n"
               "is there to make builds fast. 'slipway prune' makes room.",
    .groups = {&group},
};

/* What is known of one kind. */
struct sum {
    size_t count;
    uint64_t bytes;
    uint64_t needed_bytes;
};

static void add_up(const struct usage *usage, struct sum sums[USAGE_KINDS + 1])
{
    for (size_t i = 0; i < usage->len; i++) {
        const struct usage_item *item = &usage->items[i];
        struct sum *both[] = {&sums[item->kind], &sums[USAGE_KINDS]};
        for (size_t k = 0; k < ARRAY_LEN(both); k++) {
            both[k]->count++;
            both[k]->bytes += item->bytes;
            both[k]->needed_bytes += item->needed ? item->bytes : 0;
        }
    }
}

static json_t *item_json(const struct usage_item *item)
{
    AUTO(buf_release) struct buf name = BUF_INIT(0);
    text_utf8(item->name, strlen(item->name), &name);
    json_t *object = json_object();
    json_object_set_new(object, "kind", json_string(usage_kind_name(item->kind)));
    json_object_set_new(object, "name", json_string(buf_text(&name)));
    json_object_set_new(object, "path", json_string(item->path));
    json_object_set_new(object, "bytes", json_integer((json_int_t)item->bytes));
    json_object_set_new(object, "lastUsed", json_integer(item->used_ns / 1000000000));
    json_object_set_new(object, "needed", json_boolean(item->needed > 0));
    return object;
}

static json_t *items_json(const struct usage *usage, bool all)
{
    json_t *list = json_array();
    for (size_t i = 0; i < usage->len; i++) {
        if (all || usage->items[i].kind == USAGE_CACHE_MOUNT) {
            json_array_append_new(list, item_json(&usage->items[i]));
        }
    }
    return list;
}

static void print_json(const struct store *store, const struct usage *usage, bool verbose)
{
    struct sum sums[USAGE_KINDS + 1] = {{0}};
    add_up(usage, sums);
    AUTO(json_freep) json_t *root = json_object();
    json_t *kinds = json_array();
    json_object_set_new(root, "store", json_string(store_path(store)));
    json_object_set_new(root, "bytes", json_integer((json_int_t)usage->bytes));
    for (int kind = 0; kind < USAGE_KINDS; kind++) {
        json_array_append_new(kinds, json_pack("{s:s, s:I, s:I, s:I}", "kind",
                                               usage_kind_name((enum usage_kind)kind), "count",
                                               (json_int_t)sums[kind].count, "bytes",
                                               (json_int_t)sums[kind].bytes, "neededBytes",
                                               (json_int_t)sums[kind].needed_bytes));
    }
    json_object_set_new(root, "kinds", kinds);
    json_object_set_new(root, "cacheMounts", items_json(usage, false));
    if (verbose) {
        json_object_set_new(root, "items", items_json(usage, true));
    }
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    json_render(root, &text);
    puts(buf_text(&text));
}

static void print_sums(const struct usage *usage)
{
    enum { COLUMNS = 4, ROWS = USAGE_KINDS + 2 };
    struct sum sums[USAGE_KINDS + 1] = {{0}};
    char counts[ROWS][TEXT_SIZE_SIZE];
    char bytes[ROWS][TEXT_SIZE_SIZE];
    char needed[ROWS][TEXT_SIZE_SIZE];
    const char *cells[ROWS * COLUMNS] = {"KIND", "COUNT", "SIZE", "IN IMAGES"};
    add_up(usage, sums);
    for (size_t i = 0; i <= USAGE_KINDS; i++) {
        const char **row = cells + (i + 1) * COLUMNS;
        snprintf(counts[i], sizeof counts[i], "%zu", sums[i].count);
        row[0] = i < USAGE_KINDS ? usage_kind_name((enum usage_kind)i) : "total";
        row[1] = counts[i];
        row[2] = text_bytes(sums[i].bytes, bytes[i]);
        row[3] = text_bytes(sums[i].needed_bytes, needed[i]);
    }
    text_table(cells, ROWS, COLUMNS, stdout);
}

static int by_use(const void *a, const void *b)
{
    const struct usage_item *x = *(const struct usage_item *const *)a;
    const struct usage_item *y = *(const struct usage_item *const *)b;
    return x->used_ns != y->used_ns ? (x->used_ns < y->used_ns ? -1 : 1) : strcmp(x->path, y->path);
}

/* One line for each item: of cache mounts only, or of all. */
static void print_items(const struct usage *usage, bool all)
{
    const struct usage_item **list = mem_calloc(usage->len + 1, sizeof(*list));
    size_t len = 0;
    for (size_t i = 0; i < usage->len; i++) {
        if (all || usage->items[i].kind == USAGE_CACHE_MOUNT) {
            list[len++] = &usage->items[i];
        }
    }
    qsort(list, len, sizeof(*list), by_use);
    if (len > 0) {
        printf("\n%-16s %10s  %-16s %s\n", "KIND", "SIZE", "LAST USED", "NAME");
    }
    for (size_t i = 0; i < len; i++) {
        char bytes[TEXT_SIZE_SIZE];
        char ago[TEXT_AGO_SIZE];
        AUTO(buf_release) struct buf name = BUF_INIT(0);
        text_clean(list[i]->name, strlen(list[i]->name), &name);
        printf("%-16s %10s  %-16s %s%s\n", usage_kind_name(list[i]->kind),
               text_bytes(list[i]->bytes, bytes), text_ago(list[i]->used_ns / 1000000000, ago),
               buf_text(&name), list[i]->needed ? " (in an image)" : "");
    }
    free(list);
}

int cmd_du(struct invocation *call, struct error *err)
{
    struct du_options options = {0};
    AUTO(strlist_release) struct strlist arguments = {0};
    AUTO(store_freep) struct store *store = NULL;
    AUTO(usage_release) struct usage usage = {0};
    bool done = false;
    if (options_read(&table, call->args, &options, &arguments, &done, err) != 0) {
        return -1;
    }
    /* What RUNs of an ordinary user left behind belongs to the ids of his user namespace. */
    if (done || sandbox_enter(call->argc, call->argv, &call->status)) {
        return 0;
    }
    if (store_open(NULL, &store, err) != 0 || usage_read(store, &usage, err) != 0 ||
        usage_mark_needed(store, &usage, err) != 0) {
        return -1;
    }
    if (options.json) {
        print_json(store, &usage, options.verbose);
        return 0;
    }
    printf("%s\n\n", store_path(store));
    print_sums(&usage);
    print_items(&usage, options.verbose);
    return 0;
}
