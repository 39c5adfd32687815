/* What progress.c and the kinds of display share. */
#ifndef SLIPWAY_CLI_PROGRESS_INTERNAL_H
#define SLIPWAY_CLI_PROGRESS_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/json.h"
#include "cli/progress.h"

enum { PROGRESS_LINE_MAX = 8192 }; /* bytes of one line of output; longer ones are cut in pieces */

/* A step that was started. */
struct progress_step {
    uint64_t number;
    char *name;
    double start;       /* seconds since the display began */
    struct buf partial; /* output without a line feed yet */
    bool ended;
};

struct progress;

struct progress_ops {
    /* All are called with the lock held. STEP is NULL where the event names none that is known. */
    void (*event)(struct progress *p, const struct event *event, struct progress_step *step);
    void (*line)(struct progress *p, struct progress_step *step, const char *text, size_t len);
    /* May be NULL: about ten times a second. */
    void (*tick)(struct progress *p);
    /* May be NULL: the last call. */
    void (*finish)(struct progress *p);
};

struct progress {
    struct event_sink sink;
    const struct progress_ops *ops;
    pthread_mutex_t lock;
    int fd;
    bool terminal; /* FD is a terminal: nothing that steers it may get there from outside */
    bool color;
    struct timespec began;
    struct progress_step *steps;
    size_t steps_len;
    struct buf out; /* what the current event writes */
    void *state;    /* the display's own; freed by free() after `finish` */
    pthread_t ticker;
    bool ticking;
    bool ended;
    int wake_fd; /* eventfd that ends the ticker */
};

extern const struct progress_ops progress_plain_ops;
extern const struct progress_ops progress_tty_ops;
extern const struct progress_ops progress_json_ops;

/* Seconds since the display began. */
double progress_now(const struct progress *p);

/* The last line of TEXT that a carriage return did not overwrite: its start, and *LEN gets its
 * length. */
const char *progress_visible(const char *text, size_t *len);

#endif
