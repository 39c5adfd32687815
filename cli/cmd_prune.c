#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/memory.h"
#include "builder/duration.h"
#include "builder/sandbox.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/text.h"
#include "oci/prune.h"

struct command_options {
    struct prune_options prune;
    bool json;
    bool verbose;
    bool force;
};

/* "10GB", "512m", "1073741824": powers of 1024, as docker reads sizes. */
static int parse_size(void *member, const char *value, struct error *err)
{
    static const char units[] = "kmgtp";
    struct prune_options *o = member;
    char *end = NULL;
    errno = 0;
    uint64_t number = value[0] >= '0' && value[0] <= '9' ? strtoull(value, &end, 10) : 0;
    if (!end || errno != 0) {
        return error_set(err, ERR_USAGE, "'%s' is no size as 10GB, 512m or a number of bytes",
                         value);
    }
    const char *unit = *end ? strchr(units, *end | 0x20) : NULL;
    unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
    const char *rest = unit ? end + 1 : end;
    bool known =
        *rest == '\0' || strcasecmp(rest, "b") == 0 || (unit && strcasecmp(rest, "ib") == 0);
    if (!known || number > UINT64_MAX >> shift) {
        return error_set(err, ERR_USAGE, "'%s' is no size as 10GB, 512m or a number of bytes",
                         value);
    }
    o->has_keep = true;
    o->keep_bytes = number << shift;
    return 0;
}

/* Go's durations, and "7d" and "2w", which Go lacks. */
static int parse_age(void *member, const char *value, struct error *err)
{
    struct prune_options *o = member;
    const int64_t day = INT64_C(24) * 3600 * 1000000000;
    size_t digits = strspn(value, "0123456789");
    const char *unit = value + digits;
    bool days = digits > 0 && digits < 6 && (strcmp(unit, "d") == 0 || strcmp(unit, "w") == 0);
    int64_t ns = 0;
    if (days) {
        int64_t count = strtoll(value, NULL, 10) * (*unit == 'w' ? 7 : 1);
        ns = count > INT64_MAX / day ? INT64_MAX : count * day;
    } else if (duration_parse(value, &ns, err) != 0) {
        return error_set(err, ERR_USAGE, "'%s' is no duration as 7d, 36h or 1h30m", value);
    }
    if (ns <= 0) {
        return error_set(err, ERR_USAGE, "'%s' is no time that could have passed", value);
    }
    o->older_than_ns = ns;
    return 0;
}

static int parse_filter(void *member, const char *value, struct error *err)
{
    if (strncmp(value, "until=", 6) != 0) {
        return error_set(err, ERR_USAGE, "only until=DURATION is possible, not '%s'", value);
    }
    return parse_age(member, value + 6, err);
}

#define FLAG(MEMBER) .kind = OPTION_FLAG, .offset = offsetof(struct command_options, MEMBER)
#define CALL(PARSE)                                                                                \
    .kind = OPTION_CALL, .offset = offsetof(struct command_options, prune), .parse = (PARSE)
static const struct option_spec specs[] = {
    {.name = "keep-storage",
     .argument = "SIZE",
     .help = "stop once the store is not larger than this (10GB)",
     CALL(parse_size)},
    {.name = "max-used-space", .argument = "SIZE", CALL(parse_size)},
    {.name = "older-than",
     .argument = "DURATION",
     .help = "only what was not used for so long (36h, 7d)",
     CALL(parse_age)},
    {.name = "filter", .argument = "until=DURATION", .help = "the same", CALL(parse_filter)},
    {.name = "all",
     .letter = 'a',
     .help = "images with tags too, after all the rest; and cache mounts",
     FLAG(prune.all)},
    {.name = "cache-mounts",
     .help = "the folders of RUN --mount=type=cache too",
     FLAG(prune.cache_mounts)},
    {.name = "dry-run", .help = "remove nothing, only list what would be", FLAG(prune.dry_run)},
    {.name = "verbose", .letter = 'v', .help = "list what is removed", FLAG(verbose)},
    {.name = "json", .help = "the result as one JSON document", FLAG(json)},
    {.name = "force", .letter = 'f', FLAG(force)},
};
static const struct option_group group = {NULL, specs, ARRAY_LEN(specs)};

static const struct option_table table = {
    .command = "prune",
    .usage = "[OPTIONS]",
    .summary = "Makes room in the store: removes what no image with a tag is made of, what was\n"
               "used longest ago first. Builds may run meanwhile: what they use stays.",
    .groups = {&group},
};

struct listing {
    const struct command_options *options;
    json_t *items;
};

static void list_item(void *ctx, const struct usage_item *item)
{
    const struct listing *listing = ctx;
    char bytes[TEXT_SIZE_SIZE];
    if (listing->items) {
        AUTO(buf_release) struct buf name = BUF_INIT(0);
        text_utf8(item->name, strlen(item->name), &name);
        json_array_append_new(listing->items,
                              json_pack("{s:s, s:s, s:I}", "kind", usage_kind_name(item->kind),
                                        "name", buf_text(&name), "bytes", (json_int_t)item->bytes));
    } else if (listing->options->verbose || listing->options->prune.dry_run) {
        AUTO(buf_release) struct buf name = BUF_INIT(0);
        text_clean(item->name, strlen(item->name), &name);
        printf("%-16s %10s  %s\n", usage_kind_name(item->kind), text_bytes(item->bytes, bytes),
               buf_text(&name));
    }
}

static void print_result(const struct listing *listing, const struct prune_result *result)
{
    const struct prune_options *o = &listing->options->prune;
    char freed[TEXT_SIZE_SIZE];
    char left[TEXT_SIZE_SIZE];
    if (listing->items) {
        AUTO(buf_release) struct buf text = BUF_INIT(0);
        AUTO(json_freep)
        json_t *root =
            json_pack("{s:b, s:I, s:I, s:I, s:i, s:O}", "dryRun", (int)o->dry_run, "count",
                      (json_int_t)result->removed, "freedBytes", (json_int_t)result->freed_bytes,
                      "leftBytes", (json_int_t)result->left_bytes, "othersRunning",
                      (int)result->others, "items", listing->items);
        json_render(root, &text);
        puts(buf_text(&text));
        return;
    }
    printf("%s %s (%zu things), %s left\n", o->dry_run ? "Would remove" : "Removed",
           text_bytes(result->freed_bytes, freed), result->removed,
           text_bytes(result->left_bytes, left));
    if (result->others > 0) {
        printf("%u other slipway at work: what was used since it began stays\n", result->others);
    }
}

static int run(const struct command_options *options, struct error *err)
{
    AUTO(store_freep) struct store *store = NULL;
    AUTO(json_freep) json_t *items = options->json ? json_array() : NULL;
    struct listing listing = {options, items};
    struct prune_options prune_options = options->prune;
    struct prune_result result = {0};
    prune_options.removed = list_item;
    prune_options.ctx = &listing;
    if (store_open(NULL, &store, err) != 0) {
        return -1;
    }
    int status = prune(store, &prune_options, &result, err);
    if (status == 0 || result.removed > 0) {
        print_result(&listing, &result);
    }
    if (status == 0 && options->prune.has_keep && result.left_bytes > options->prune.keep_bytes &&
        !options->json) {
        printf("That is more than --keep-storage allows: the rest is %s\n",
               options->prune.all ? "in use" : "in use or needed by images (--all)");
    }
    return status;
}

int cmd_prune(struct invocation *call, struct error *err)
{
    struct command_options options = {0};
    AUTO(strlist_release) struct strlist arguments = {0};
    bool done = false;
    if (options_read(&table, call->args, &options, &arguments, &done, err) != 0) {
        return -1;
    }
    /* What RUNs of an ordinary user left behind belongs to the ids of his user namespace. */
    if (done || sandbox_enter(call->argc, call->argv, &call->status)) {
        return 0;
    }
    return run(&options, err);
}
