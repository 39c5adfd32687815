/*
 * `-o`: what becomes of a built image besides its place in the store.
 *
 *     type=oci,dest=FILE[,tar=false]   an OCI layout as a tar, or as a folder
 *     type=docker[,dest=FILE]          an archive for `docker load`; without dest the store is
 * enough type=tar,dest=FILE               the root file system as a tar type=local,dest=DIR the
 * root file system as a folder type=image|registry[,name=NAME][,push=true] DIR type=local; "-":
 * type=tar to standard output
 */
#ifndef SLIPWAY_CLI_OUTPUT_H
#define SLIPWAY_CLI_OUTPUT_H

#include <stdbool.h>

#include "base/strlist.h"
#include "cli/session.h"
#include "oci/document.h"

enum output_type { OUTPUT_OCI, OUTPUT_DOCKER, OUTPUT_TAR, OUTPUT_LOCAL, OUTPUT_IMAGE };

struct output {
    enum output_type type;
    char *dest;           /* NULL: none, "-": standard output */
    bool tar;             /* OCI, DOCKER: a tar and no folder */
    bool push;            /* IMAGE */
    struct strlist names; /* name=...: in place of the build's tags */
};

struct output_list {
    struct output *items;
    size_t len;
};

/* Frees what LIST holds. */
void output_list_release(struct output_list *list);

/* Adds what TEXT (the value of -o) asks for. ERR_USAGE. */
int output_parse(struct output_list *list, const char *text, struct error *err);

/* Whether one of them writes to standard output. */
bool output_uses_stdout(const struct output_list *list);

/* Writes the IMAGE, whose tags point to TOP, as OUTPUT asks, under its names or else under TAGS.
 * Blobs of the base that the store lacks are fetched first. */
int output_write(const struct session *session, const struct output *output,
                 const struct image *image, const struct descriptor *top,
                 const struct strlist *tags, struct error *err);

/* Fetches all layers that the store lacks of the images below TOP (one of them is IMAGE). */
int output_complete(const struct session *session, const struct image *image,
                    const struct descriptor *top, struct error *err);

#endif
