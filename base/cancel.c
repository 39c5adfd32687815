#include "base/cancel.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Stands for a request without a signal. */
enum { WORK_FAILED = -1 };

static atomic_int requested;
static atomic_int event_fd = -1;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_fd(void)
{
    atomic_store(&event_fd, eventfd(atomic_load(&requested) != 0, EFD_CLOEXEC | EFD_NONBLOCK));
}

static void raise_request(int signal)
{
    int saved = errno;
    int none = 0;
    if (!atomic_compare_exchange_strong(&requested, &none, signal) && none == WORK_FAILED &&
        signal != WORK_FAILED) {
        atomic_store(&requested, signal);
    }
    int fd = atomic_load(&event_fd);
    if (fd >= 0) {
        uint64_t more = 1;
        ssize_t ignored = write(fd, &more, sizeof more);
        (void)ignored;
    }
    errno = saved;
}

void cancel_request(int signal)
{
    raise_request(signal > 0 ? signal : SIGTERM);
}

void cancel_work(void)
{
    raise_request(WORK_FAILED);
}

void cancel_withdraw(void)
{
    int work = WORK_FAILED;
    uint64_t count = 0;
    int fd = atomic_load(&event_fd);
    if (atomic_compare_exchange_strong(&requested, &work, 0) && fd >= 0) {
        ssize_t ignored = read(fd, &count, sizeof count);
        (void)ignored;
    }
}

bool cancel_requested(void)
{
    return atomic_load_explicit(&requested, memory_order_relaxed) != 0;
}

int cancel_signal(void)
{
    int signal = atomic_load(&requested);
    return signal > 0 ? signal : 0;
}

int cancel_fd(void)
{
    pthread_once(&once, make_fd);
    return atomic_load(&event_fd);
}

int cancel_error(struct error *err)
{
    int signal = cancel_signal();
    if (signal == 0) {
        return error_set(err, ERR_CANCELLED, "stopped, as other work failed");
    }
    return error_set(err, ERR_CANCELLED, "stopped by signal %d", signal);
}
