/*
 * `slipway ship`: from one commit to images in registries and the files that the deployment reads.
 *
 *     ship_plan      what to build: options, slipway.json in the context, the environment
 *     ship_check     the files, made with an invented digest: what is wrong is told before a build
 *     ship_build     the images, side by side
 *     ship_write     the files, once the registry has confirmed every image
 */
#ifndef SLIPWAY_CLI_SHIP_H
#define SLIPWAY_CLI_SHIP_H

#include "builder/context.h"
#include "cli/build_options.h"
#include "cli/commands.h"
#include "deploy/pipeline.h"

struct ship_options {
    struct build_options build;  /* first: the groups' offsets */
    struct strlist containers;   /* NAME, or NAME=IMAGE */
    struct strlist placeholders; /* NAME, or NAME=VALUE */
    struct strlist images;       /* name=...,dockerfile=...,... */
    struct strlist taskdefs;     /* TEMPLATE[=OUT] */
    struct strlist appspecs;
    const char *file;
    const char *image_detail;
    const char *config; /* slipway.json; "none" */
    int by_digest;      /* -1: not given */
    bool tags_given;    /* by an option, not by the environment */
};

/* Frees what OPTIONS holds. */
void ship_options_release(struct ship_options *options);

/* One image of the run. */
struct ship_image {
    struct pipeline_image *wanted; /* borrowed from the pipeline */
    struct build_options build;    /* a copy of the command line's, made this image's; see below */
    char *dockerfile;              /* the texts that `build` borrows */
    struct strlist tags;
    struct strlist build_args;
    struct build_result result;
    char *by_tag; /* the image's names, once it is built */
    char *by_digest;
};

struct ship {
    const struct ship_options *options;
    const struct session *session;
    struct context *context; /* shared by all builds */
    struct pipeline pipeline;
    struct ship_image *images;
    size_t len;
    bool by_digest;
    bool want_definitions; /* imagedefinitions.json is written */
    char *config_name;     /* slipway.json, where it was read; for messages */
    char *config_text;
};

/* Frees what SHIP holds. */
void ship_release(struct ship *ship);

/* What can be told to be wrong with the options before anything is opened. */
int ship_check_options(const struct ship_options *options, struct error *err);

/* Opens the context and decides on the images. `options` and `session` are set. */
int ship_plan(struct ship *ship, struct error *err);

/* Makes all files as they would be, and forgets them. ERR_USAGE. */
int ship_check(struct ship *ship, struct error *err);

/* Builds and pushes. CALL gets the Dockerfile where a build fails. ERR_REMOTE where a registry did
 * not confirm an image. */
int ship_build(struct ship *ship, struct invocation *call, struct error *err);

/* Writes the files. */
int ship_write(struct ship *ship, struct error *err);

#endif
