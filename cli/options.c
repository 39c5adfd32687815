#include "cli/options.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/memory.h"
#include "base/truth.h"

/* What options_parse() carries along. */
struct parser {
    const struct option_table *table;
    char *const *next; /* the argument after the current one */
    void *target;
    struct strlist *arguments;
    bool help;
};

static bool takes_value(const struct option_spec *spec)
{
    return spec->kind != OPTION_FLAG && spec->kind != OPTION_FLAG_CALL &&
           spec->kind != OPTION_REFUSE;
}

int options_bool(const char *value, bool *out, struct error *err)
{
    if (truth_parse(value, out)) {
        return 0;
    }
    return error_set(err, ERR_USAGE, "'%s' is neither true nor false", value);
}

int options_number(const char *value, unsigned max, unsigned *out, struct error *err)
{
    char *end = NULL;
    errno = 0;
    unsigned long number = strtoul(value, &end, 10);
    if (*value < '0' || *value > '9' || *end != '\0' || errno != 0 || number > max) {
        return error_set(err, ERR_USAGE, "'%s' is no number from 0 to %u", value, max);
    }
    *out = (unsigned)number;
    return 0;
}

/* Milliseconds of the unit that *TEXT begins with, which is passed over; 0: it is none. */
static double unit_ms(const char **text)
{
    static const struct {
        const char *name;
        double ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60e3}, {"h", 3600e3}};
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        size_t len = strlen(units[i].name);
        if (strncmp(*text, units[i].name, len) == 0) {
            *text += len;
            return units[i].ms;
        }
    }
    return 0;
}

int options_duration(const char *value, unsigned *ms_out, struct error *err)
{
    double sum = 0;
    bool bare = value[strspn(value, "0123456789.")] == '\0';
    const char *p = value;
    bool good = *p != '\0';
    while (good && *p) {
        char *end = NULL;
        double number = isdigit((unsigned char)*p) || *p == '.' ? strtod(p, &end) : -1;
        const char *rest = end ? end : p;
        double unit = bare ? 1000 : unit_ms(&rest);
        /* strtod knows more than decimals. */
        good = number >= 0 && rest > p && unit > 0 && strspn(p, "0123456789.") == (size_t)(end - p);
        sum += number * unit;
        p = rest;
    }
    if (!good || !(sum >= 1 && sum <= 24 * 3600e3)) {
        return error_set(err, ERR_USAGE, "'%s' is no time from 1ms to 24h, as 30s or 2m", value);
    }
    *ms_out = (unsigned)sum;
    return 0;
}

static int store_value(const struct option_spec *spec, void *target, const char *value,
                       struct error *err)
{
    char *member = (char *)target + spec->offset;
    switch (spec->kind) {
    case OPTION_FLAG:
        return options_bool(value, (bool *)(void *)member, err);
    case OPTION_TEXT:
        *(const char **)(void *)member = value;
        return 0;
    case OPTION_LIST:
        strlist_add((struct strlist *)(void *)member, value);
        return 0;
    case OPTION_NUMBER:
        return options_number(value, INT_MAX, (unsigned *)(void *)member, err);
    case OPTION_CALL:
    case OPTION_FLAG_CALL:
        return spec->parse(member, value, err);
    case OPTION_REFUSE:
        return error_set(err, ERR_USAGE, "%s", spec->help);
    }
    return 0;
}

static int apply(struct parser *p, const struct option_spec *spec, const char *value,
                 struct error *err)
{
    if (store_value(spec, p->target, value, err) != 0) {
        return error_wrap(err, "--%s", spec->name);
    }
    return 0;
}

/* The option at INDEX over all groups, NULL behind the last. */
static const struct option_spec *option_at(const struct option_table *table, size_t index)
{
    for (size_t i = 0; i < ARRAY_LEN(table->groups) && table->groups[i]; i++) {
        if (index < table->groups[i]->len) {
            return &table->groups[i]->specs[index];
        }
        index -= table->groups[i]->len;
    }
    return NULL;
}

static const struct option_spec *find_long(const struct option_table *table, const char *name,
                                           size_t len)
{
    const struct option_spec *spec = option_at(table, 0);
    for (size_t i = 0; spec; spec = option_at(table, ++i)) {
        if (strncmp(spec->name, name, len) == 0 && spec->name[len] == '\0') {
            return spec;
        }
    }
    return NULL;
}

static const struct option_spec *find_letter(const struct option_table *table, char letter)
{
    const struct option_spec *spec = option_at(table, 0);
    for (size_t i = 0; spec && spec->letter != letter; spec = option_at(table, ++i)) {
    }
    return spec;
}

static int unknown_long(const struct option_table *table, const char *name, size_t len,
                        struct error *err)
{
    enum { MOST_OPTIONS = 160 };
    const char *names[MOST_OPTIONS];
    AUTO(mem_freep) char *word = mem_strndup(name, len);
    size_t count = 0;
    names[count++] = "help";
    const struct option_spec *spec = option_at(table, 0);
    for (size_t i = 0; spec && count < MOST_OPTIONS; spec = option_at(table, ++i)) {
        if (spec->kind != OPTION_REFUSE) {
            names[count++] = spec->name;
        }
    }
    const char *near = nearest_name(word, names, count);
    if (near) {
        return error_set(err, ERR_USAGE, "no option --%s, did you mean --%s?", word, near);
    }
    return error_set(err, ERR_USAGE, "no option --%s, see 'slipway %s --help'", word,
                     table->command);
}

/* The value that follows as an argument of its own. */
static int next_value(struct parser *p, const char *shown, const char **out, struct error *err)
{
    if (!*p->next) {
        return error_set(err, ERR_USAGE, "%s needs a value", shown);
    }
    *out = *p->next++;
    return 0;
}

/* TEXT stands behind "--". */
static int parse_long(struct parser *p, const char *text, struct error *err)
{
    size_t len = strcspn(text, "=");
    const char *value = text[len] == '=' ? text + len + 1 : NULL;
    if (len == 4 && strncmp(text, "help", 4) == 0) {
        p->help = true;
        return 0;
    }
    const struct option_spec *spec = find_long(p->table, text, len);
    if (!spec) {
        return unknown_long(p->table, text, len, err);
    }
    if (!value && takes_value(spec)) {
        char shown[64];
        snprintf(shown, sizeof shown, "--%s", spec->name);
        if (next_value(p, shown, &value, err) != 0) {
            return -1;
        }
    }
    return apply(p, spec, value ? value : "true", err);
}

/* TEXT stands behind "-": letters without a value, then perhaps one with. */
static int parse_letters(struct parser *p, const char *text, struct error *err)
{
    for (; *text; text++) {
        const struct option_spec *spec = find_letter(p->table, *text);
        const char *value = NULL;
        if (!spec && *text == 'h') {
            p->help = true;
            return 0;
        }
        if (!spec) {
            return error_set(err, ERR_USAGE, "no option -%c, see 'slipway %s --help'", *text,
                             p->table->command);
        }
        if (text[1] == '=') {
            value = text + 2;
        } else if (takes_value(spec) && text[1] != '\0') {
            value = text + 1;
        } else if (takes_value(spec)) {
            char shown[3] = {'-', *text, '\0'};
            if (next_value(p, shown, &value, err) != 0) {
                return -1;
            }
        }
        if (apply(p, spec, value ? value : "true", err) != 0) {
            return -1;
        }
        if (value) {
            return 0;
        }
    }
    return 0;
}

static int parse_one(struct parser *p, const char *arg, struct error *err)
{
    if (strcmp(arg, "--") == 0) {
        while (*p->next) {
            strlist_add(p->arguments, *p->next++);
        }
        return 0;
    }
    if (strncmp(arg, "--", 2) == 0) {
        return parse_long(p, arg + 2, err);
    }
    if (arg[0] == '-' && arg[1] != '\0') {
        return parse_letters(p, arg + 1, err);
    }
    strlist_add(p->arguments, arg);
    return 0;
}

static int check_arguments(const struct option_table *table, const struct strlist *arguments,
                           struct error *err)
{
    if (arguments->len < table->min_arguments) {
        return error_set(err, ERR_USAGE, "%s is missing: slipway %s %s",
                         table->min_arguments == 1 ? "an argument" : "something", table->command,
                         table->usage);
    }
    if (arguments->len > table->max_arguments) {
        return error_set(err, ERR_USAGE, "'%s' is one argument too many: slipway %s %s",
                         arguments->items[table->max_arguments], table->command, table->usage);
    }
    return 0;
}

int options_parse(const struct option_table *table, char *const *args, void *target,
                  struct strlist *arguments, bool *help_out, struct error *err)
{
    struct parser p = {
        .table = table, .next = args, .target = target, .arguments = arguments, .help = false};
    while (*p.next && !p.help) {
        const char *arg = *p.next++;
        if (parse_one(&p, arg, err) != 0) {
            return error_wrap(err, "%s", table->command);
        }
    }
    *help_out = p.help;
    if (!p.help && check_arguments(table, arguments, err) != 0) {
        return error_wrap(err, "%s", table->command);
    }
    return 0;
}

static bool is_shown(const struct option_spec *spec)
{
    return spec->kind != OPTION_REFUSE && spec->help;
}

/* "  -t, --tag NAME" */
static void format_option(const struct option_spec *spec, struct buf *out)
{
    if (spec->letter) {
        buf_printf(out, "  -%c, --%s", spec->letter, spec->name);
    } else {
        buf_printf(out, "      --%s", spec->name);
    }
    if (spec->argument) {
        buf_printf(out, " %s", spec->argument);
    }
}

static void print_group(const struct option_group *group, FILE *out)
{
    enum { HELP_COLUMN = 34 };
    bool titled = false;
    for (size_t i = 0; i < group->len; i++) {
        const struct option_spec *spec = &group->specs[i];
        if (!is_shown(spec) || spec->help[0] == '\0') {
            continue;
        }
        if (!titled) {
            fprintf(out, "\n%s:\n", group->title ? group->title : "Options");
            titled = true;
        }
        AUTO(buf_release) struct buf left = BUF_INIT(0);
        format_option(spec, &left);
        fprintf(out, "%-*s %s\n", HELP_COLUMN, buf_text(&left), spec->help);
    }
}

/* The options of GROUP by their names alone, in lines of a screen's width. COLUMN: where the line
 * ends so far. */
static void name_group(const struct option_group *group, size_t *column, FILE *out)
{
    enum { WIDTH = 96 };
    for (size_t i = 0; i < group->len; i++) {
        const struct option_spec *spec = &group->specs[i];
        if (!is_shown(spec)) {
            continue;
        }
        AUTO(buf_release) struct buf name = BUF_INIT(0);
        if (spec->letter) {
            buf_printf(&name, "-%c, ", spec->letter);
        }
        buf_printf(&name, "--%s%s%s", spec->name, spec->argument ? " " : "",
                   spec->argument ? spec->argument : "");
        bool fits = *column > 0 && *column + 2 + name.len <= WIDTH;
        fprintf(out, "%s%s", fits ? "  " : *column > 0 ? "\n  " : "  ", buf_text(&name));
        *column = (fits ? *column : 0) + 2 + name.len;
    }
}

void options_print_help(const struct option_table *table, FILE *out)
{
    fprintf(out, "Usage: slipway %s %s\n%s\n", table->command, table->usage, table->summary);
    size_t column = 0;
    for (size_t i = 0; i < ARRAY_LEN(table->groups) && table->groups[i]; i++) {
        if (i == 0 || !table->explained_by) {
            print_group(table->groups[i], out);
            continue;
        }
        if (i == 1) {
            fprintf(out, "\nAnd those that 'slipway %s --help' explains:\n", table->explained_by);
        }
        name_group(table->groups[i], &column, out);
    }
    if (column > 0) {
        fputc('\n', out);
    }
    if (table->notes) {
        fprintf(out, "\n%s\n", table->notes);
    }
}

int options_read(const struct option_table *table, char *const *args, void *target,
                 struct strlist *arguments, bool *done_out, struct error *err)
{
    bool help = false;
    if (options_parse(table, args, target, arguments, &help, err) != 0) {
        return -1;
    }
    if (help) {
        options_print_help(table, stdout);
    }
    *done_out = help;
    return 0;
}

/* Takes one CSV field from *TEXT, which moves behind its comma. *DONE_OUT: it was the last. */
static int next_field(const char **text, struct buf *field, bool *done_out, struct error *err)
{
    const char *p = *text;
    buf_clear(field);
    bool quoted = *p == '"';
    if (quoted) {
        p++;
    }
    while (*p && (quoted || *p != ',')) {
        if (quoted && p[0] == '"' && p[1] == '"') {
            p++;
        } else if (quoted && *p == '"') {
            break;
        }
        buf_putc(field, *p++);
    }
    if (quoted && *p != '"') {
        return error_set(err, ERR_USAGE, "a quote is not closed");
    }
    if (quoted) {
        p++;
    }
    if (*p && *p != ',') {
        return error_set(err, ERR_USAGE, "a comma is missing behind a closing quote");
    }
    *done_out = *p == '\0';
    *text = *p ? p + 1 : p;
    return 0;
}

int options_fields(const char *text,
                   int (*take)(void *ctx, const char *key, const char *value, struct error *err),
                   void *ctx, struct error *err)
{
    AUTO(buf_release) struct buf field = BUF_INIT(0);
    bool done = false;
    while (!done) {
        if (next_field(&text, &field, &done, err) != 0) {
            return -1;
        }
        AUTO(mem_freep) char *key = mem_strdup(buf_text(&field));
        char *equals = strchr(key, '=');
        if (equals) {
            *equals = '\0';
        }
        if (take(ctx, key, equals ? equals + 1 : NULL, err) != 0) {
            return -1;
        }
    }
    return 0;
}
