#include "base/cancel.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

static atomic_int requested;
static atomic_int event_fd = -1;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_fd(void)
{
    atomic_store(&event_fd, eventfd(atomic_load(&requested) != 0, EFD_CLOEXEC | EFD_NONBLOCK));
}

void cancel_request(int signal)
{
    int saved = errno;
    int none = 0;
    atomic_compare_exchange_strong(&requested, &none, signal ? signal : SIGTERM);
    int fd = atomic_load(&event_fd);
    if (fd >= 0) {
        uint64_t more = 1;
        ssize_t ignored = write(fd, &more, sizeof more);
        (void)ignored;
    }
    errno = saved;
}

bool cancel_requested(void)
{
    return atomic_load_explicit(&requested, memory_order_relaxed) != 0;
}

int cancel_signal(void)
{
    return atomic_load(&requested);
}

int cancel_fd(void)
{
    pthread_once(&once, make_fd);
    return atomic_load(&event_fd);
}

int cancel_error(struct error *err)
{
    return error_set(err, ERR_CANCELLED, "stopped by signal %d", cancel_signal());
}
