#include "cli/cache_values.h"

#include <string.h>

#include "base/memory.h"
#include "builder/remote_cache.h"
#include "cli/options.h"

/* What docker's form of the option says. */
struct cache_fields {
    const char *option;
    char *type;
    char *ref;
    char *unknown;        /* the first field that means nothing here */
    struct strlist plain; /* fields without "=": docker's older form */
};

static void cache_fields_release(struct cache_fields *fields)
{
    mem_freep(&fields->type);
    mem_freep(&fields->ref);
    mem_freep(&fields->unknown);
    strlist_release(&fields->plain);
}

/* Settings that say what is done anyway: NAME=VALUE; with a NULL value any. */
static bool is_given(const char *name, const char *value)
{
    static const struct {
        const char *name, *value;
    } given[] = {{"mode", "max"},
                 {"mode", "min"},
                 {"image-manifest", "true"},
                 {"oci-mediatypes", "true"},
                 {"ignore-error", "true"}};
    for (size_t i = 0; i < ARRAY_LEN(given); i++) {
        if (strcmp(name, given[i].name) == 0 && strcmp(value, given[i].value) == 0) {
            return true;
        }
    }
    return false;
}

static int take_field(void *ctx, const char *name, const char *value, struct error *err)
{
    struct cache_fields *fields = ctx;
    (void)err;
    if (!value) {
        strlist_add(&fields->plain, name);
        return 0;
    }
    if (strcmp(name, "type") == 0 || strcmp(name, "ref") == 0) {
        char **member = name[0] == 't' ? &fields->type : &fields->ref;
        mem_freep(member);
        *member = mem_strdup(value);
        return 0;
    }
    if (!is_given(name, value) && !fields->unknown) {
        fields->unknown = mem_printf("%s=%s", name, value);
    }
    return 0;
}

static int take_repository(struct strlist *out, const char *name, struct error *err)
{
    if (remote_cache_check(name, err) != 0) {
        return -1;
    }
    if (!strlist_has(out, name)) {
        strlist_add(out, name);
    }
    return 0;
}

static int take_fields(const struct cache_fields *fields, struct strlist *out, struct error *err)
{
    if (fields->type && strcmp(fields->type, "registry") != 0) {
        return error_set(err, ERR_USAGE,
                         "type=%s: besides the store of this machine, which needs no option, a "
                         "cache is kept in a registry: write %s HOST/REPOSITORY",
                         fields->type, fields->option);
    }
    if (fields->unknown) {
        return error_set(err, ERR_USAGE, "'%s' is not known here: write %s HOST/REPOSITORY",
                         fields->unknown, fields->option);
    }
    if (fields->type && (!fields->ref || !fields->ref[0])) {
        return error_set(err, ERR_USAGE,
                         "type=registry lacks the repository: write %s "
                         "type=registry,ref=HOST/REPOSITORY",
                         fields->option);
    }
    if (fields->ref && (!fields->type || fields->plain.len > 0)) {
        return error_set(err, ERR_USAGE, "write %s HOST/REPOSITORY", fields->option);
    }
    for (size_t i = 0; i < fields->plain.len; i++) {
        if (take_repository(out, fields->plain.items[i], err) != 0) {
            return -1;
        }
    }
    return fields->ref ? take_repository(out, fields->ref, err) : 0;
}

static int read_value(struct strlist *out, const char *value, const char *option, struct error *err)
{
    AUTO(cache_fields_release) struct cache_fields fields = {.option = option};
    if (!*value) {
        return error_set(err, ERR_USAGE, "the name of the repository is empty");
    }
    return options_fields(value, take_field, &fields, err) == 0 ? take_fields(&fields, out, err)
                                                                : -1;
}

int value_cache_from(void *member, const char *value, struct error *err)
{
    return read_value(member, value, "--cache-from", err);
}

int value_cache_to(void *member, const char *value, struct error *err)
{
    return read_value(member, value, "--cache-to", err);
}

int value_cache_switch(void *member, const char *value, struct error *err)
{
    bool on = false;
    if (options_bool(value, &on, err) != 0) {
        return -1;
    }
    *(int *)member = on ? 1 : -1;
    return 0;
}
