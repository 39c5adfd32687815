/*
 * Signals of the whole program: SIGINT, SIGTERM and SIGHUP ask everything to stop (base/cancel.h),
 * so that it cleans up; a second one ends at once. SIGPIPE is ignored: writes say so themselves.
 */
#ifndef SLIPWAY_CLI_SIGNALS_H
#define SLIPWAY_CLI_SIGNALS_H

/* Sets the handlers. A signal that was ignored when the program started (nohup) stays ignored. */
void signals_install(void);

/* The signal that asked to stop, 0 if none did. (Others may ask for it too, by base/cancel.h: a
 * stage that failed.) */
int signals_received(void);

/* Gives a re-executed child a clean slate: SIGPIPE as usual, nothing blocked. */
void signals_reset(void);

#endif
