/*
 * Signals of the whole program: SIGINT, SIGTERM and SIGHUP ask everything to stop (base/cancel.h),
 * so that it cleans up; a second one ends at once. SIGPIPE is ignored: writes say so themselves.
 */
#ifndef SLIPWAY_CLI_SIGNALS_H
#define SLIPWAY_CLI_SIGNALS_H

/* Sets the handlers. A signal that was ignored when the program started (nohup) stays ignored. */
void signals_install(void);

/* Gives a re-executed child a clean slate: SIGPIPE as usual, nothing blocked. */
void signals_reset(void);

#endif
