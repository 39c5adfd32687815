/*
 * Files that a command writes for its user: replaced atomically where they are ordinary files,
 * written as they are where they are not ("-" for standard output, a pipe, /dev/termination-log).
 *
 *     AUTO(result_file_freep) struct result_file *file = NULL;
 *     result_file_open("image.tar", &file, err);
 *     ... result_file_writer(file) ...
 *     result_file_commit(file, err);       // without it an ordinary file is left as it was
 */
#ifndef SLIPWAY_CLI_RESULT_FILE_H
#define SLIPWAY_CLI_RESULT_FILE_H

#include "base/stream.h"

struct result_file;

/* Whether PATH can be opened, so that a long build is not made in vain: ERR_USAGE for an empty
 * name, ERR_STORE. */
int result_file_check(const char *path, struct error *err);

/* The same for a folder that is made where it is missing. */
int result_folder_check(const char *path, struct error *err);

/* PATH "-" is standard output, which must be no terminal (ERR_USAGE). ERR_STORE. */
int result_file_open(const char *path, struct result_file **out, struct error *err);

/* Where to write; borrowed. */
struct writer *result_file_writer(struct result_file *file);

/* Puts what was written in place. */
int result_file_commit(struct result_file *file, struct error *err);

/* Cleanup for AUTO(). */
void result_file_freep(struct result_file **file);

/* All of the above for a text; on a terminal too. */
int result_file_write(const char *path, const char *text, struct error *err);

#endif
