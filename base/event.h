/*
 * What happens while working, told to whoever shows it. Only cli/ prints; all other rooms post
 * events.
 *
 * A sink is passed down; its function may be called from any thread and must do its own locking.
 * Strings in an event are borrowed for the call. A NULL sink is fine.
 */
#ifndef SLIPWAY_BASE_EVENT_H
#define SLIPWAY_BASE_EVENT_H

#include <stddef.h>
#include <stdint.h>

enum event_type {
    EVENT_STEP_START,  /* a vertex of the build begins: step, name */
    EVENT_STEP_OUTPUT, /* output of a RUN: step, data, len (raw bytes, may end mid-line) */
    EVENT_STEP_END,    /* step, status, text: a word more, e.g. the layer's size or why it was not
                          cached; may be NULL */
    EVENT_TRANSFER,    /* a blob's progress: id, name (its digest or what it is), current, total (0:
                          unknown), status */
    EVENT_NOTE,        /* text: something worth a line */
    EVENT_WARNING,     /* text, file, line: something the user should change */
};

enum event_status {
    STATUS_RUNNING,
    STATUS_DONE,
    STATUS_CACHED,
    STATUS_FAILED,
    STATUS_CANCELLED,
    STATUS_EXISTS,  /* a blob that the registry has already */
    STATUS_MOUNTED, /* a blob mounted from another repository */
};

enum event_direction { TRANSFER_NONE, TRANSFER_DOWN, TRANSFER_UP };

struct event {
    enum event_type type;
    uint64_t step;    /* number of the step (from 1), the same in all its events; 0: none */
    const char *name; /* STEP_START: "[stage 2/5] RUN make"; TRANSFER: the digest or name */
    const char *text;
    const char *data;
    size_t len;
    enum event_status status;
    enum event_direction direction;
    uint64_t current; /* bytes done */
    uint64_t total;   /* bytes in all, 0: unknown */
    const char *file; /* WARNING: where */
    unsigned line;
};

struct event_sink {
    void (*post)(struct event_sink *sink, const struct event *event);
};

/* Posts EVENT to SINK, which may be NULL. */
void event_post(struct event_sink *sink, const struct event *event);

/* Posts a note or a warning made as by printf. */
void event_note(struct event_sink *sink, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Posts a warning about LINE (0: none) of FILE (NULL: none), made as by printf. SINK may be
 * NULL. */
void event_warning(struct event_sink *sink, const char *file, unsigned line, const char *format,
                   ...) __attribute__((format(printf, 4, 5)));

#endif
