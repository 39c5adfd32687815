/*
 * What can be criticised about a Dockerfile that may well build: the rules of `docker build
 * --check`, by BuildKit's names and with its sentences.
 *
 *     AUTO(lint_release) struct lint lint = {0};
 *     lint_run(df, &inputs, &lint, err);
 *     for (size_t i = 0; i < lint.len; i++) ... lint.items[i] ...
 *
 * Rules are left out by the Dockerfile's directive (# check=skip=A,B;error=true), by the build
 * argument BUILDKIT_DOCKERFILE_CHECK in its place, and for one instruction by the same words in the
 * comment above it. Experimental rules are only asked where named (experimental=A or =all).
 */
#ifndef SLIPWAY_BUILDER_LINT_H
#define SLIPWAY_BUILDER_LINT_H

#include "base/error.h"
#include "base/strlist.h"
#include "builder/dockerfile.h"
#include "builder/ignore.h"
#include "oci/document.h"

/* The build argument that is read in the directive's place. */
#define LINT_OPTIONS_ARG "BUILDKIT_DOCKERFILE_CHECK"

struct lint_rule {
    const char *name;
    const char *description; /* what the rule wants, in general */
    const char *page;        /* last part of the address below LINT_PAGES; "": docker has none */
    bool experimental;
};
#define LINT_PAGES "https://docs.docker.com/go/dockerfile/rule/"

struct lint_finding {
    const struct lint_rule *rule;
    char *text;   /* what is wrong here */
    char *advice; /* what to write instead; NULL: the text says it */
    unsigned line;
    unsigned column; /* from 1, 0: the whole line */
    unsigned width;
    unsigned first_line, last_line; /* of the instruction, as docker gives the place */
};

struct lint {
    struct lint_finding *items; /* by line */
    size_t len;
    bool error;             /* the findings are to be errors (error=true) */
    struct strlist unknown; /* bases that could not be had: names of images */
};

/* What a base image brings. */
struct lint_base {
    struct strlist env; /* KEY=VALUE */
    bool shell;         /* it has a SHELL */
    struct platform platform;
};

/* What the Dockerfile is judged with. Borrowed. */
struct lint_inputs {
    const struct strlist *build_args; /* KEY=VALUE, resolved */
    const struct strlist *contexts;   /* names that --build-context replaces */
    const struct platform *build_platform;
    const struct platform *target_platform;
    const char *target;          /* NULL: the last stage */
    bool all_stages;             /* also those that the target does not need */
    const struct ignore *ignore; /* of the build context; NULL: none */
    /* What the image IMAGE, asked for PLATFORM, brings to the stage numbered STAGE; OUT's parts are
     * the caller's. False where the image cannot be had: then nothing is said of variables that it
     * may bring. */
    bool (*base)(void *ctx, size_t stage, const char *image, const struct platform *platform,
                 struct lint_base *out);
    void *ctx;
};

/* Asks all rules. What was found before an error of the Dockerfile (ERR_USAGE with its place) is in
 * OUT even where this fails. Options of check= that are none are such an error. */
int lint_run(const struct dockerfile *df, const struct lint_inputs *inputs, struct lint *out,
             struct error *err);

/* Reads only what check= says: *ERROR_OUT is whether findings are to be errors. ERR_USAGE as above.
 */
int lint_read_options(const struct dockerfile *df, const struct strlist *build_args,
                      bool *error_out, struct error *err);

/* Frees what LINT holds. */
void lint_release(struct lint *lint);

/* The rules in the order in which they are asked; *LEN_OUT: how many. */
const struct lint_rule *const *lint_rules(size_t *len_out);

#endif
