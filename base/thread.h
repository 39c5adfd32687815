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

/* Cores this process may run on, at least 1. */
unsigned cpu_count(void);

#endif
