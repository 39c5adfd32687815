/*
 * A Dockerfile as a list of instructions: lines joined, flags and here-documents taken out, forms
 * told apart, everything checked that can be checked without knowing variables.
 *
 *     AUTO(dockerfile_freep) struct dockerfile *df = NULL;
 *     dockerfile_parse(text, len, "Dockerfile", &df, err);
 *     for (size_t i = 0; i < df->len; i++) ... df->items[i] ...
 *
 * Words are as written, with quotes and variables: builder/expand.h is for the one who knows the
 * values. All is owned by the dockerfile; nothing here changes after parsing.
 *
 * Errors are ERR_USAGE with file, line, column and width where they are known.
 */
#ifndef SLIPWAY_BUILDER_DOCKERFILE_H
#define SLIPWAY_BUILDER_DOCKERFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/strlist.h"

enum instruction_type {
    INSTRUCTION_ADD,
    INSTRUCTION_ARG,
    INSTRUCTION_CMD,
    INSTRUCTION_COPY,
    INSTRUCTION_ENTRYPOINT,
    INSTRUCTION_ENV,
    INSTRUCTION_EXPOSE,
    INSTRUCTION_FROM,
    INSTRUCTION_HEALTHCHECK,
    INSTRUCTION_LABEL,
    INSTRUCTION_MAINTAINER,
    INSTRUCTION_ONBUILD,
    INSTRUCTION_RUN,
    INSTRUCTION_SHELL,
    INSTRUCTION_STOPSIGNAL,
    INSTRUCTION_USER,
    INSTRUCTION_VOLUME,
    INSTRUCTION_WORKDIR,
};

/* --name=value, quotes and escapes taken away as BuildKit does, variables as written. */
struct flag {
    char *name;  /* without the dashes */
    char *value; /* "true" or "false" for flags that are switches */
    unsigned line;
    unsigned column; /* of the first dash */
    unsigned width;  /* of the word */
};

/* A here-document in the order of the line. */
struct heredoc {
    char *name;    /* the delimiter without quotes: for COPY the file's name */
    char *content; /* the lines, each with its newline, leading tabs gone if `chomp` */
    char *raw;     /* the same with leading tabs, as a shell wants it */
    size_t len;    /* of content */
    bool expand;   /* no part of the delimiter was quoted */
    bool chomp;    /* <<- */
    unsigned fd;   /* the digits in front of <<, 0 if none */
};

/* KEY=VALUE of ENV, LABEL and ARG. */
struct pair {
    char *key;
    char *value; /* NULL: ARG without a default */
};

struct healthcheck {
    bool none;
    bool shell; /* one string for the shell, else exec form */
    int64_t interval_ns, timeout_ns, start_period_ns, start_interval_ns; /* 0: not given */
    int retries;
};

struct instruction {
    enum instruction_type type;
    char *keyword; /* as written ("run") */
    unsigned line; /* first and last line in the file, here-documents included; from 1 */
    unsigned end_line;
    unsigned column;  /* of the keyword */
    char *original;   /* the line as in the file, continuations joined, without here-documents */
    char *rest;       /* what follows keyword and flags, trimmed */
    bool exec_form;   /* JSON */
    bool legacy_pair; /* ENV and LABEL: the old form "KEY VALUE" */
    bool empty_continuation; /* an empty line stood in a continuation (deprecated) */

    /* Words. Shell form of RUN, CMD, ENTRYPOINT and of HEALTHCHECK CMD: one, the command line (none
     * if empty). COPY, ADD: sources and the destination; sources that are here-documents as
     * written ("<<EOF"). WORKDIR, USER, STOPSIGNAL, MAINTAINER: one. FROM: the image alone.
     * ENV, LABEL, ARG: none, see pairs. */
    struct strlist args;

    struct flag *flags;
    size_t flags_len;
    struct heredoc *heredocs;
    size_t heredocs_len;
    struct pair *pairs;
    size_t pairs_len;
    struct healthcheck health;

    char *stage_name; /* FROM ... AS NAME, in lower case; NULL: none */
    char *stage_name_written;
    char *as_keyword; /* FROM: "AS" as written, for the lint rule on its case */
    char *platform;   /* FROM --platform as written; NULL: none */

    char *trigger_text;          /* ONBUILD: what docker stores in the image's config */
    struct instruction *trigger; /* ONBUILD: the instruction to come; NULL where it will be refused
                                    when triggered, as BuildKit does it then */
    struct error *trigger_fault; /* why, and where in the file; NULL: nothing is wrong */
};

/* A parser directive that was given; value NULL: was not. */
struct directive {
    char *value;
    unsigned line;
};

struct dockerfile {
    char *file;              /* name for messages */
    char *text;              /* the whole of it, terminated, for messages that show a line */
    char escape;             /* '\\' or '`' */
    struct directive syntax; /* read, never fetched */
    struct directive check;  /* "skip=A,B;error=true" */
    struct directive escape_directive;
    struct instruction *items;
    size_t len;
};

/* Reads LEN bytes. More than LIMIT_DOCKERFILE_BYTES, or a Dockerfile without a stage, is ERR_USAGE.
 */
int dockerfile_parse(const char *text, size_t len, const char *file, struct dockerfile **out,
                     struct error *err);

/* Reads one ONBUILD trigger from an image's config. FILE and LINE say in messages where it comes
 * from (the FROM's line). A Dockerfile with exactly one instruction, escape character '\\'. */
int dockerfile_parse_trigger(const char *text, const char *file, unsigned line,
                             struct dockerfile **out, struct error *err);

/* Cleanup for AUTO(): frees *DF. */
void dockerfile_freep(struct dockerfile **df);

/* The instruction's word in capitals. */
const char *instruction_name(enum instruction_type type);

/* The value of the first flag NAME, borrowed; NULL: not given. */
const char *instruction_flag(const struct instruction *in, const char *name);

/* Whether the switch NAME is given and true. */
bool instruction_switch(const struct instruction *in, const char *name);

/* The here-document that WORD, a source of COPY or ADD, stands for; NULL if it is a path. */
const struct heredoc *instruction_heredoc(const struct instruction *in, const char *word);

/* RUN in shell form: what the shell gets as its script. A lone here-document gives its content;
 * otherwise the line and its here-documents. IS_FILE_OUT: the content begins with "#!" and is to be
 * run as the file /dev/pipes/NAME instead (BuildKit). The result is the caller's. */
char *instruction_script(const struct instruction *in, bool *is_file_out);

/* Names IN's first line as the place of ERR, with its keyword underlined. Returns -1. */
int dockerfile_locate(struct error *err, const char *file, const struct instruction *in);

/* Names the place where WORD stands among IN's words (its keyword if it is not found; TEXT: the
 * whole Dockerfile's bytes, terminated). A whole word counts before a part of one. Returns -1. */
int dockerfile_locate_word(struct error *err, const char *file, const char *text,
                           const struct instruction *in, const char *word);

/* The same for an error of builder/expand.h about WORD: ERR's column, which counts from WORD's
 * beginning, becomes one of the file. Returns -1. */
int dockerfile_locate_expansion(struct error *err, const char *file, const char *text,
                                const struct instruction *in, const char *word);

/* Names FLAG as the place of ERR. NULL: the keyword. Returns -1. */
int dockerfile_locate_flag(struct error *err, const char *file, const struct instruction *in,
                           const struct flag *flag);

/* The first flag NAME, borrowed; NULL: not given. */
const struct flag *instruction_find_flag(const struct instruction *in, const char *name);

#endif
