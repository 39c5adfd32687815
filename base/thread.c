#include "base/thread.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

unsigned cpu_count(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) {
        return 1;
    }
    int n = CPU_COUNT(&set);
    return n > 0 ? (unsigned)n : 1;
}

bool thread_try_start(pthread_t *thread_out, void *(*fn)(void *arg), void *arg)
{
    sigset_t all;
    sigset_t old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int failed = pthread_create(thread_out, NULL, fn, arg);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return failed == 0;
}

void thread_start(pthread_t *thread_out, void *(*fn)(void *arg), void *arg)
{
    static const char text[] = "slipway: no thread can be started: the limit of processes "
                               "(ulimit -u, pids of the cgroup) or of memory is reached\n";
    if (!thread_try_start(thread_out, fn, arg)) {
        ssize_t ignored = write(STDERR_FILENO, text, sizeof text - 1);
        (void)ignored;
        abort();
    }
}
