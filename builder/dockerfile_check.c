/* What each instruction demands of its words. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "builder/dockerfile_internal.h"
#include "builder/duration.h"
#include "builder/rune.h"

/* Fails with everything behind the keyword (or the keyword itself) as the place. */
static int rest_fail(const struct reader *r, size_t rest, const struct instruction *in,
                     struct error *err, const char *text)
{
    size_t width = strlen(in->rest);
    if (width == 0) {
        const char *at = NULL;
        text_trim(r->text + r->start, r->end - r->start, &at);
        rest = (size_t)(at - r->text);
        width = strlen(in->keyword);
    }
    return reader_fail(r, rest, width, err, "%s", text);
}

static int needs_argument(const struct reader *r, size_t rest, const struct instruction *in,
                          struct error *err)
{
    AUTO(mem_freep)
    char *text = mem_printf("%s needs at least one argument", instruction_name(in->type));
    return rest_fail(r, rest, in, err, text);
}

static int check_one(const struct reader *r, size_t rest, const struct instruction *in,
                     struct error *err)
{
    if (in->args.len == 1) {
        return 0;
    }
    AUTO(mem_freep) char *text = mem_printf("%s needs an argument", instruction_name(in->type));
    return rest_fail(r, rest, in, err, text);
}

/* "^[a-z][a-z0-9-_.]*$" */
static bool is_stage_name(const char *name)
{
    if (!islower((unsigned char)name[0])) {
        return false;
    }
    for (const char *p = name; *p; p++) {
        if (!islower((unsigned char)*p) && !isdigit((unsigned char)*p) && !strchr("-_.", *p)) {
            return false;
        }
    }
    return true;
}

static int check_from(const struct reader *r, size_t rest, struct instruction *in,
                      struct error *err)
{
    const char *platform = instruction_flag(in, "platform");
    in->platform = platform ? mem_strdup(platform) : NULL;
    if (in->args.len == 1) {
        return 0;
    }
    if (in->args.len == 0) {
        return rest_fail(r, rest, in, err, "FROM needs an image: FROM IMAGE [AS NAME]");
    }
    if (in->args.len != 3 || strcasecmp(in->args.items[1], "as") != 0) {
        return rest_fail(r, rest, in, err,
                         "FROM takes an image, or an image, AS and a name: FROM IMAGE [AS NAME]");
    }
    const char *written = in->args.items[2];
    AUTO(mem_freep) char *name = mem_strdup(written);
    for (char *p = name; *p; p++) {
        *p = (char)tolower((unsigned char)*p);
    }
    if (!is_stage_name(name)) {
        size_t start = rest + strlen(in->rest) - strlen(written);
        return reader_fail(r, start, strlen(written), err,
                           "invalid name of a stage '%.80s': it begins with a letter and has only "
                           "letters, digits, - _ and .",
                           written);
    }
    in->stage_name_written = mem_strdup(written);
    in->stage_name = MEM_STEAL(name);
    in->as_keyword = mem_strdup(in->args.items[1]);
    strlist_remove(&in->args, 2);
    strlist_remove(&in->args, 1);
    return 0;
}

static int check_copy(const struct reader *r, size_t rest, struct instruction *in,
                      struct error *err)
{
    const char *name = instruction_name(in->type);
    if (in->args.len < 2) {
        AUTO(mem_freep)
        char *text = mem_printf("%s needs at least one source and a destination%s", name,
                                in->args.len == 1 ? "; the destination is missing" : "");
        return rest_fail(r, rest, in, err, text);
    }
    const char *dest = in->args.items[in->args.len - 1];
    struct heredoc announced = {0};
    if (heredoc_announced(dest, &announced)) {
        free(announced.name);
        size_t start = rest + strlen(in->rest) - strlen(dest);
        return reader_fail(r, start, strlen(dest), err,
                           "%s: the here-document %.80s cannot be the destination", name, dest);
    }
    return heredocs_complete(r, in, err);
}

static int check_volume(const struct reader *r, size_t rest, struct instruction *in,
                        struct error *err)
{
    if (in->args.len == 0) {
        return needs_argument(r, rest, in, err);
    }
    for (size_t i = 0; i < in->args.len; i++) {
        const char *item = in->args.items[i];
        const char *start = NULL;
        size_t len = text_trim(item, strlen(item), &start);
        if (len == 0) {
            return rest_fail(r, rest, in, err, "VOLUME: the path of a volume is empty");
        }
        char *trimmed = mem_strndup(start, len);
        free(in->args.items[i]);
        in->args.items[i] = trimmed;
    }
    return 0;
}

/* One of HEALTHCHECK's times. */
static int check_time(const struct reader *r, const struct instruction *in, const char *name,
                      int64_t *ns_out, struct error *err)
{
    const char *value = instruction_flag(in, name);
    int64_t ns = 0;
    int result = value && value[0] ? duration_parse(value, &ns, err) : 0;
    if (result == 0 && ns != 0 && ns < 1000000) {
        result = error_set(err, ERR_USAGE, "%.80s is less than 1ms", value);
    }
    if (result == 0) {
        *ns_out = ns;
        return 0;
    }
    error_wrap(err, "HEALTHCHECK --%s", name);
    for (size_t i = 0; i < in->flags_len; i++) {
        if (strcmp(in->flags[i].name, name) == 0) {
            error_locate(err, r->src->file, in->flags[i].line, in->flags[i].column,
                         in->flags[i].width);
        }
    }
    return -1;
}

static int check_retries(const struct reader *r, size_t rest, struct instruction *in,
                         struct error *err)
{
    const char *value = instruction_flag(in, "retries");
    if (!value || !value[0]) {
        return 0;
    }
    char *end = NULL;
    errno = 0;
    long retries = strtol(value, &end, 10);
    if (*end || isspace((unsigned char)value[0]) || errno != 0 || retries < 0 ||
        retries > INT32_MAX) {
        (void)rest;
        const struct flag *flag = in->flags;
        while (strcmp(flag->name, "retries") != 0) {
            flag++;
        }
        error_set(err, ERR_USAGE, "HEALTHCHECK --retries=%.80s: it must be a number from 0 on",
                  value);
        return error_locate(err, r->src->file, flag->line, flag->column, flag->width);
    }
    in->health.retries = (int)retries;
    return 0;
}

static int check_healthcheck(const struct reader *r, size_t rest, struct instruction *in,
                             struct error *err)
{
    if (in->args.len == 0) {
        return rest_fail(r, rest, in, err, "HEALTHCHECK needs CMD with a command, or NONE");
    }
    AUTO(mem_freep) char *type = mem_strdup(in->args.items[0]);
    strlist_remove(&in->args, 0);
    if (strcasecmp(type, "NONE") == 0) {
        in->health.none = true;
        return in->args.len == 0
                   ? 0
                   : rest_fail(r, rest, in, err, "HEALTHCHECK NONE takes no arguments");
    }
    if (flags_check(r, in, err) != 0) {
        return -1;
    }
    if (strcasecmp(type, "CMD") != 0) {
        return reader_fail(r, rest, strlen(type), err,
                           "HEALTHCHECK %.80s: unknown type, it is CMD or NONE", type);
    }
    if (in->args.len == 0) {
        return rest_fail(r, rest, in, err, "HEALTHCHECK CMD: the command is missing");
    }
    in->health.shell = !in->exec_form;
    struct healthcheck *h = &in->health;
    return check_time(r, in, "interval", &h->interval_ns, err) != 0 ||
                   check_time(r, in, "timeout", &h->timeout_ns, err) != 0 ||
                   check_time(r, in, "start-period", &h->start_period_ns, err) != 0 ||
                   check_time(r, in, "start-interval", &h->start_interval_ns, err) != 0
               ? -1
               : check_retries(r, rest, in, err);
}

static int check_shell(const struct reader *r, size_t rest, struct instruction *in,
                       struct error *err)
{
    if (in->args.len == 0) {
        return needs_argument(r, rest, in, err);
    }
    if (!in->exec_form) {
        return rest_fail(r, rest, in, err,
                         "SHELL must be a JSON array, as in SHELL [\"/bin/bash\", \"-c\"]");
    }
    return 0;
}

/* What an instruction demands besides its flags. */
static int check_words(const struct reader *r, size_t rest, struct instruction *in,
                       struct error *err)
{
    switch (in->type) {
    case INSTRUCTION_FROM:
        return check_from(r, rest, in, err);
    case INSTRUCTION_COPY:
    case INSTRUCTION_ADD:
        return check_copy(r, rest, in, err);
    case INSTRUCTION_ENV:
    case INSTRUCTION_LABEL:
    case INSTRUCTION_ARG:
        return in->pairs_len > 0 ? 0 : needs_argument(r, rest, in, err);
    case INSTRUCTION_EXPOSE:
    case INSTRUCTION_ONBUILD:
        return in->args.len > 0 ? 0 : needs_argument(r, rest, in, err);
    case INSTRUCTION_VOLUME:
        return check_volume(r, rest, in, err);
    case INSTRUCTION_SHELL:
        return check_shell(r, rest, in, err);
    case INSTRUCTION_MAINTAINER:
    case INSTRUCTION_STOPSIGNAL:
    case INSTRUCTION_USER:
    case INSTRUCTION_WORKDIR:
        return check_one(r, rest, in, err);
    case INSTRUCTION_HEALTHCHECK:
        return check_healthcheck(r, rest, in, err);
    case INSTRUCTION_RUN:
    case INSTRUCTION_CMD:
    case INSTRUCTION_ENTRYPOINT:
        return 0;
    }
    return 0;
}

int instruction_check(const struct reader *r, size_t rest, struct instruction *in,
                      struct error *err)
{
    /* BuildKit takes any flags of ARG and STOPSIGNAL without a look, and of HEALTHCHECK NONE. */
    bool looks = in->type != INSTRUCTION_ARG && in->type != INSTRUCTION_STOPSIGNAL &&
                 in->type != INSTRUCTION_HEALTHCHECK;
    if (looks && flags_check(r, in, err) != 0) {
        return -1;
    }
    return check_words(r, rest, in, err);
}
