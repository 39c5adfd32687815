#include "cli/signals.h"

#include <signal.h>
#include <stddef.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/memory.h"

static const int stopping[] = {SIGINT, SIGTERM, SIGHUP};

static volatile sig_atomic_t received;

static void on_signal(int signal)
{
    if (received) {
        _exit(128 + signal);
    }
    received = signal;
    cancel_request(signal);
}

void signals_install(void)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, NULL);
    for (size_t i = 0; i < ARRAY_LEN(stopping); i++) {
        struct sigaction action = {.sa_handler = on_signal};
        struct sigaction old = {0};
        sigemptyset(&action.sa_mask);
        sigaction(stopping[i], NULL, &old);
        if (old.sa_handler != SIG_IGN) {
            sigaction(stopping[i], &action, NULL);
        }
    }
}

int signals_received(void)
{
    return received;
}

void signals_reset(void)
{
    struct sigaction standard = {.sa_handler = SIG_DFL};
    sigset_t none;
    sigaction(SIGPIPE, &standard, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}
