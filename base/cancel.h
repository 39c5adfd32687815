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

/* Asks everything to stop because the work failed, not because of a signal; cancel_withdraw() takes
 * it back once all have stopped. A signal that came meanwhile stays. */
void cancel_work(void);

/* Takes cancel_work() back; a signal stays. */
void cancel_withdraw(void);

/* Whether it was asked to stop. */
bool cancel_requested(void);

/* The signal of the first request, 0 if there was none (or only cancel_work()). */
int cancel_signal(void);

/* A descriptor that is readable once it was asked to stop. Borrowed; never read from it. */
int cancel_fd(void);

/* Sets ERR_CANCELLED. Returns -1. */
int cancel_error(struct error *err);

#endif
