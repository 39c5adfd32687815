/*
 * Asking another program: it gets an input and gives an answer, as credential helpers do.
 */
#ifndef SLIPWAY_BASE_PROGRAM_H
#define SLIPWAY_BASE_PROGRAM_H

#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"

/* All borrowed. */
struct program {
    char *const *argv; /* found in PATH, run without a shell */
    const char *name;  /* for messages: "the credential helper 'x'" */
    const char *input; /* its standard input; NULL: empty */
    size_t max_answer; /* bytes */
    unsigned timeout_s;
    enum error_code code; /* of errors */
};

/* Runs it to its end; what it prints is added to OUT, which has no maximum of its own. Its standard
 * error is ours; it is in our process group, so that it may ask on the terminal and Ctrl-C is meant
 * for it too. *STATUS_OUT is its exit status, or 128 and the signal. Fails where it cannot be
 * started, says too much, takes too long, or where we are to stop; then it is killed. */
int program_ask(const struct program *program, struct buf *out, int *status_out, struct error *err);

#endif
