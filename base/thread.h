/*
 * Threads for long-lived work: a transfer, a stage. Short tasks go to a pool (base/pool.h).
 */
#ifndef SLIPWAY_BASE_THREAD_H
#define SLIPWAY_BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>

/* Starts a thread with all signals blocked that runs FN(ARG); join it with pthread_join. Returns
 * whether one could be started. */
bool thread_try_start(pthread_t *thread_out, void *(*fn)(void *arg), void *arg);

/* The same for work that cannot be done otherwise: a failure is told on standard error and ends the
 * process, as for memory. */
void thread_start(pthread_t *thread_out, void *(*fn)(void *arg), void *arg);

/* Makes up to COUNT threads that wait for the next thread_try_start() or thread_start(), for a time
 * in which none can be made: the C library makes no thread while it loads a library. Those that
 * nobody wants wait until the process ends. */
void thread_spare(unsigned count);

/* Cores this process may run on, at least 1. */
unsigned cpu_count(void);

#endif
