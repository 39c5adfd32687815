/*
 * Command lines in docker's syntax, read by tables.
 *
 *     static const struct option_spec specs[] = {
 *         {.name = "tag", .letter = 't', .argument = "NAME", .help = "name of the image",
 *          .kind = OPTION_LIST, .offset = offsetof(struct my_options, tags)},
 *     };
 *     static const struct option_group group = {NULL, specs, ARRAY_LEN(specs)};
 *     static const struct option_table table = {..., .groups = {&group}};
 *     options_parse(&table, args, &my_options, &arguments, &help, err)
 *     options_print_help(&table, stdout)
 *
 * `--opt value`, `--opt=value`, `-t x`, `-tx`, `-t=x`, joined letters (`-qf FILE`), flags as
 * `--push` or
 * `--push=false`, options and arguments in any order, `--` ends the options. What a table does not
 * know is an error that names the nearest option it does.
 */
#ifndef SLIPWAY_CLI_OPTIONS_H
#define SLIPWAY_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/error.h"
#include "base/strlist.h"

enum option_kind {
    OPTION_FLAG,      /* bool */
    OPTION_TEXT,      /* const char *, borrowed from the command line; the last one counts */
    OPTION_LIST,      /* struct strlist */
    OPTION_NUMBER,    /* unsigned */
    OPTION_CALL,      /* `parse` with the value */
    OPTION_FLAG_CALL, /* `parse` with the value, "true" where none is given */
    OPTION_REFUSE,    /* known, and not possible here: `help` is the sentence of the error */
};

struct option_spec {
    const char *name;     /* without dashes */
    char letter;          /* 0: none */
    const char *argument; /* how help names the value; NULL for flags */
    const char *help;     /* NULL: another name for a listed option, not shown; "": another
                             option's line explains it too */
    enum option_kind kind;
    size_t offset; /* of the member in the target */
    /* Takes VALUE (borrowed, lives as long as the command line) into the MEMBER at `offset` (0: the
     * target itself). ERR_USAGE; the caller puts the option's name in front. */
    int (*parse)(void *member, const char *value, struct error *err);
};

/* Options that several commands share. A target that is used with several groups begins with the
 * struct that the shared group's offsets count from. */
struct option_group {
    const char *title; /* above them in help; NULL: "Options:" */
    const struct option_spec *specs;
    size_t len;
};

struct option_table {
    const char *command;                  /* "build" */
    const char *usage;                    /* what follows the command: "[OPTIONS] CONTEXT" */
    const char *summary;                  /* one line */
    const char *notes;                    /* lines below the options; NULL: none */
    const struct option_group *groups[5]; /* the first NULL ends them */
    const char
        *explained_by; /* the command whose help explains all groups but the first, which this
                          command's help then only names; NULL: all are explained here */
    size_t min_arguments;
    size_t max_arguments;
};

/* Reads ARGS (NULL-terminated, without program and command) into TARGET; what is no option is added
 * to ARGUMENTS. *HELP_OUT becomes true where --help or -h was met: the rest is then not looked at.
 */
int options_parse(const struct option_table *table, char *const *args, void *target,
                  struct strlist *arguments, bool *help_out, struct error *err);

/* As options_parse, and where help was asked for it is printed to standard output: *DONE_OUT is
 * then true. */
int options_read(const struct option_table *table, char *const *args, void *target,
                 struct strlist *arguments, bool *done_out, struct error *err);

/* Writes usage, summary, options and notes. */
void options_print_help(const struct option_table *table, FILE *out);

/* Reads a truth value as Go's strconv.ParseBool does. */
int options_bool(const char *value, bool *out, struct error *err);

/* Reads a decimal number of at most MAX. */
int options_number(const char *value, unsigned max, unsigned *out, struct error *err);

/* Reads a time as Go writes it ("1m30s", "500ms", "1.5h"), or a bare number of seconds, into
 * milliseconds: from 1 ms to 24 hours. */
int options_duration(const char *value, unsigned *ms_out, struct error *err);

/* Splits "key=value,key=value" as docker's CSV does (a field may stand in double quotes) and hands
 * each field to TAKE; a field without "=" comes with VALUE NULL. */
int options_fields(const char *text,
                   int (*take)(void *ctx, const char *key, const char *value, struct error *err),
                   void *ctx, struct error *err);

#endif
