/*
 * The wish to stop, set by a signal handler, seen by every loop that can last.
 *
 * A signal handler calls cancel_request(); loops ask cancel_requested() and return cancel_error();
 * what sleeps in poll() adds cancel_fd(), which becomes readable for good.
 */
#ifndef SLIPWAY_BASE_CANCEL_H
#define SLIPWAY_BASE_CANCEL_H

#include <stdbool.h>

#include "base/error.h"

/* Asks everything to stop; SIGNAL is remembered. Safe in a signal handler. */
void cancel_request(int signal);

/* Whether it was asked to stop. */
bool cancel_requested(void);

/* The signal of the first request, 0 if there was none. */
int cancel_signal(void);

/* A descriptor that is readable once it was asked to stop. Borrowed; never read from it. */
int cancel_fd(void);

/* Sets ERR_CANCELLED. Returns -1. */
int cancel_error(struct error *err);

#endif
