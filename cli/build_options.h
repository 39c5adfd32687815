/*
 * The options of `build` and `ship`: docker's, the design's, and kaniko's names for the same.
 */
#ifndef SLIPWAY_CLI_BUILD_OPTIONS_H
#define SLIPWAY_CLI_BUILD_OPTIONS_H

#include "builder/build.h"
#include "cli/output.h"
#include "cli/session.h"

struct build_options {
    struct session_options session; /* first: session_group's offsets */
    struct build_request request;   /* owns its lists, secrets and contexts; texts are borrowed */
    struct output_list outputs;
    const char *context; /* --context */
    char *context_text;  /* the context where it had to be rewritten; owned */
    const char *iidfile;
    const char *metadata_file;
    const char *digest_file;
    struct strlist cache_repo; /* kaniko's name for both --cache-from and --cache-to */
    int cache_switch;          /* kaniko's --cache: 1 true, -1 false, 0 not given */
    bool check;                /* only judge the Dockerfile */
    bool check_json;
    bool no_push;
    bool destination; /* a --destination was given: kaniko pushes then */
};

/* Frees what OPTIONS holds. */
void build_options_release(struct build_options *options);

/* What to build and how; what comes of it. Offsets count from struct build_options. */
extern const struct option_group build_group;
extern const struct option_group build_result_group;

/* Completes what was read: the context (of ARGUMENTS or --context; DEFAULT_CONTEXT may be NULL),
 * the names (from the environment where there is none), whether to push. ERR_USAGE. */
int build_options_complete(struct build_options *options, const struct strlist *arguments,
                           const char *default_context, struct error *err);

#endif
