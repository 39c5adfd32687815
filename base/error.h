/*
 * Errors as values.
 *
 * A function that can fail returns 0 or -1 and takes `struct error *err` as its last parameter,
 * never NULL. The struct lies on the caller's stack, zero-initialised (`struct error err = {0};`).
 * Raising one is a single line:
 *
 *     return error_errno(err, ERR_STORE, "open '%s'", path);
 *
 * The lowest level names the object; error_wrap() puts the scene in front; error_locate() names the
 * line of a Dockerfile (or other input) so that the command line can show it with a caret. Secrets
 * never enter a message.
 */
#ifndef SLIPWAY_BASE_ERROR_H
#define SLIPWAY_BASE_ERROR_H

#include <stdarg.h>
#include <stdbool.h>

/* What went wrong, in the classes of the program's exit codes. */
enum error_code {
    ERR_NONE = 0,
    ERR_STEP = 1,      /* a build step failed */
    ERR_USAGE = 2,     /* the command line, the Dockerfile or another input of the user */
    ERR_AUTH = 3,      /* a registry or remote refused our credentials */
    ERR_REMOTE = 4,    /* registry or network, after all retries; corrupt content from there too */
    ERR_STORE = 5,     /* disk or store */
    ERR_IMMUTABLE = 6, /* an immutable tag holds another digest */
    ERR_ISOLATION = 7, /* no isolation possible for a RUN */
    ERR_CANCELLED = 130, /* a signal asked us to stop */
};

enum { ERROR_TEXT_SIZE = 2048, ERROR_FILE_SIZE = 512 };

/* A plain value; copy it freely. */
struct error {
    enum error_code code;
    int sys_errno;   /* errno where a system call failed, else 0 */
    int http_status; /* status where an HTTP exchange failed, else 0 */
    unsigned line;   /* 1-based line in `file`, 0: none */
    unsigned column; /* 1-based byte column, 0: none */
    unsigned width;  /* bytes to underline from `column`, 0: one caret */
    char file[ERROR_FILE_SIZE];
    char text[ERROR_TEXT_SIZE];
};

/* Sets CODE and a text made as by printf. Returns -1. */
int error_set(struct error *err, enum error_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As error_set, with ": " and the words of the current errno behind, which is kept in sys_errno.
 * Returns -1. */
int error_errno(struct error *err, enum error_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts a context and ": " in front of the text; the code stays. Returns -1. */
int error_wrap(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Names the place in FILE (1-based LINE and COLUMN, 0: unknown; WIDTH bytes). A place already named
 * stays. Returns -1. */
int error_locate(struct error *err, const char *file, unsigned line, unsigned column,
                 unsigned width);

/* Forgets what ERR holds. */
void error_clear(struct error *err);

#endif
