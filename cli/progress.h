/*
 * The display of what happens: an event sink (base/event.h) that writes to a descriptor.
 *
 *     struct progress *p = progress_new(PROGRESS_AUTO, STDERR_FILENO);
 *     request.events = progress_sink(p);
 *     ...
 *     progress_freep(&p);       // takes the live part off the terminal, writes what is pending
 *
 * It takes events from any thread.
 */
#ifndef SLIPWAY_CLI_PROGRESS_H
#define SLIPWAY_CLI_PROGRESS_H

#include "base/error.h"
#include "base/event.h"

enum progress_mode {
    PROGRESS_AUTO,  /* a live display on a terminal, else plain lines */
    PROGRESS_PLAIN, /* one line for everything that happens */
    PROGRESS_TTY,   /* the live display; plain where the descriptor is no terminal */
    PROGRESS_JSON,  /* one JSON object a line */
    PROGRESS_QUIET, /* nothing */
};

/* Reads auto, plain, tty, json or quiet; rawjson is json. ERR_USAGE. */
int progress_parse(const char *text, enum progress_mode *out, struct error *err);

struct progress;

/* FD is borrowed. Never fails. */
struct progress *progress_new(enum progress_mode mode, int fd);

/* The sink, borrowed; valid until the progress is freed. */
struct event_sink *progress_sink(struct progress *p);

/* Takes the live part off the terminal; later events show nothing. */
void progress_end(struct progress *p);

/* Ends the display and frees. Cleanup for AUTO(). */
void progress_freep(struct progress **p);

#endif
