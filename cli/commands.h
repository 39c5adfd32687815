/*
 * The commands: one table, from which help is made.
 *
 * A command reads its arguments, does its work, prints its result on standard output and returns 0;
 * or it returns -1 with an error, whose code is the program's exit status.
 */
#ifndef SLIPWAY_CLI_COMMANDS_H
#define SLIPWAY_CLI_COMMANDS_H

#include <stdio.h>

#include "base/error.h"

/* How the program was called. */
struct invocation {
    int argc;
    char **argv;       /* of the whole process */
    char **args;       /* behind the command, NULL-terminated */
    int status;        /* out: the exit status of a command that returns 0 */
    char *source_name; /* out, owned: a text that an error names lines of (cli/report.h) */
    char *source_text;
};

struct command {
    const char *name;
    const char *summary;
    int (*run)(struct invocation *call, struct error *err);
};

/* Finds the command that ARGV names (docker's `image ls` and `buildx build` too where the program
 * is called docker), runs it and returns the exit status. Prints the error. */
int commands_main(int argc, char **argv);

/* Writes the list of commands. */
void commands_print_help(FILE *out);

/* Each reads its own options; in the order of the alphabet. */
int cmd_build(struct invocation *call, struct error *err);

/* check: lints Dockerfiles and compares the files of the pipeline. */
int cmd_check(struct invocation *call, struct error *err);

/* doctor: what this machine allows, and what would better it. */
int cmd_doctor(struct invocation *call, struct error *err);

/* du: the store's size by kind. */
int cmd_du(struct invocation *call, struct error *err);

/* history: the steps that made an image. */
int cmd_history(struct invocation *call, struct error *err);

/* images: what the store has names for. */
int cmd_images(struct invocation *call, struct error *err);

/* init: writes a slipway.json from what a repository has. */
int cmd_init(struct invocation *call, struct error *err);

/* inspect: an image's config and manifest as JSON. */
int cmd_inspect(struct invocation *call, struct error *err);

/* load: images from an archive into the store. */
int cmd_load(struct invocation *call, struct error *err);

/* login: checks credentials for a registry and keeps them. */
int cmd_login(struct invocation *call, struct error *err);

/* logout: forgets them. */
int cmd_logout(struct invocation *call, struct error *err);

/* plan: what a build would run, and why. */
int cmd_plan(struct invocation *call, struct error *err);

/* prune: makes room in the store, oldest first. */
int cmd_prune(struct invocation *call, struct error *err);

/* pull: an image from its registry into the store. */
int cmd_pull(struct invocation *call, struct error *err);

/* push: an image from the store to its registry. */
int cmd_push(struct invocation *call, struct error *err);

/* rmi: removes names, and images that have none left. */
int cmd_rmi(struct invocation *call, struct error *err);

/* save: images into an archive. */
int cmd_save(struct invocation *call, struct error *err);

/* ship: builds, pushes and writes the deployment's files. */
int cmd_ship(struct invocation *call, struct error *err);

/* tag: one more name for an image. */
int cmd_tag(struct invocation *call, struct error *err);

/* version: of slipway and its libraries. */
int cmd_version(struct invocation *call, struct error *err);

#endif
