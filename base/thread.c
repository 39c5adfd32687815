#include "base/thread.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/memory.h"

/* A thread that waits for its work. */
struct spare {
    pthread_t thread;
    pthread_cond_t wake;
    void *(*fn)(void *arg); /* NULL: none yet */
    void *arg;
    struct spare *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct spare *spares; /* under `lock` */

unsigned cpu_count(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) {
        return 1;
    }
    int n = CPU_COUNT(&set);
    return n > 0 ? (unsigned)n : 1;
}

static bool create(pthread_t *thread_out, void *(*fn)(void *arg), void *arg)
{
    sigset_t all;
    sigset_t old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int failed = pthread_create(thread_out, NULL, fn, arg);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return failed == 0;
}

static void *wait_for_work(void *arg)
{
    struct spare *spare = arg;
    pthread_mutex_lock(&lock);
    while (!spare->fn) {
        pthread_cond_wait(&spare->wake, &lock);
    }
    pthread_mutex_unlock(&lock);
    struct spare work = *spare;
    pthread_cond_destroy(&spare->wake);
    free(spare);
    return work.fn(work.arg);
}

/* Gives FN(ARG) to a thread that waits for work; false where there is none. */
static bool use_spare(pthread_t *thread_out, void *(*fn)(void *arg), void *arg)
{
    pthread_mutex_lock(&lock);
    struct spare *spare = spares;
    if (spare) {
        spares = spare->next;
        *thread_out = spare->thread;
        spare->arg = arg;
        spare->fn = fn;
        pthread_cond_signal(&spare->wake);
    }
    pthread_mutex_unlock(&lock);
    return spare != NULL;
}

bool thread_try_start(pthread_t *thread_out, void *(*fn)(void *arg), void *arg)
{
    return use_spare(thread_out, fn, arg) || create(thread_out, fn, arg);
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

void thread_spare(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct spare *spare = mem_calloc(1, sizeof *spare);
        pthread_cond_init(&spare->wake, NULL);
        if (!create(&spare->thread, wait_for_work, spare)) {
            pthread_cond_destroy(&spare->wake);
            free(spare);
            return;
        }
        pthread_mutex_lock(&lock);
        spare->next = spares;
        spares = spare;
        pthread_mutex_unlock(&lock);
    }
}
