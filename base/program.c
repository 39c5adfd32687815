#include "base/program.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/memory.h"

extern char **environ;

/* A program at work: our end of the socket that is its stdin and stdout. */
struct running {
    pid_t pid;
    int fd;
    int pidfd; /* readable once it has ended */
    const struct program *program;
};

static int64_t now_s(void)
{
    struct timespec t = {0};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

/* A socket pair in place of pipes: writing to a helper that is gone gives EPIPE and no signal. */
static int start(struct running *h, struct error *err)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        return error_errno(err, h->program->code, "%s: socketpair", h->program->name);
    }
    AUTO(fd_closep) int ours = pair[0];
    AUTO(fd_closep) int theirs = pair[1];
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigset_t defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, theirs, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, theirs, STDOUT_FILENO);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    /* In our process group: a helper may ask on the terminal, and Ctrl-C is meant for it too. */
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    char *const *argv = h->program->argv;
    int rc = posix_spawnp(&h->pid, argv[0], &actions, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (rc != 0) {
        errno = rc;
        return error_errno(err, h->program->code, "cannot run %s", h->program->name);
    }
    h->fd = fd_steal(&ours);
    h->pidfd = pidfd_open(h->pid, 0);
    return 0;
}

static int send_input(struct running *h, struct error *err)
{
    const char *input = h->program->input ? h->program->input : "";
    size_t len = strlen(input);
    while (len > 0) {
        ssize_t sent = send(h->fd, input, len, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0 && (errno == EPIPE || errno == ECONNRESET)) {
            break; /* its answer and status say why it did not want it */
        }
        if (sent < 0) {
            return error_errno(err, h->program->code, "write to %s", h->program->name);
        }
        input += sent;
        len -= (size_t)sent;
    }
    shutdown(h->fd, SHUT_WR);
    return 0;
}

static int read_answer(struct running *h, struct buf *out, struct error *err)
{
    int64_t until = now_s() + h->program->timeout_s;
    bool closed = false;
    for (;;) {
        if (cancel_requested()) {
            return cancel_error(err);
        }
        if (now_s() >= until) {
            return error_set(err, h->program->code, "%s did not answer within %u seconds",
                             h->program->name, h->program->timeout_s);
        }
        /* Its exit counts, not the end of its output: a child that it leaves behind may keep that
         * open. */
        struct pollfd fds[] = {{.fd = closed ? -1 : h->fd, .events = POLLIN},
                               {.fd = h->pidfd, .events = POLLIN},
                               {.fd = cancel_fd(), .events = POLLIN}};
        if (poll(fds, ARRAY_LEN(fds), 1000) <= 0) {
            continue;
        }
        if (fds[0].revents == 0) {
            if (fds[1].revents != 0) {
                return 0;
            }
            continue;
        }
        char chunk[4096];
        ssize_t got = recv(h->fd, chunk, sizeof chunk, MSG_DONTWAIT);
        if (got < 0 && (errno == EINTR || errno == EAGAIN)) {
            continue;
        }
        if (got <= 0) {
            closed = true;
            continue;
        }
        if (out->len + (size_t)got > h->program->max_answer) {
            return error_set(err, h->program->code, "%s answers more than %zu bytes",
                             h->program->name, h->program->max_answer);
        }
        buf_append(out, chunk, (size_t)got);
    }
}

/* Ends it if need be and reaps it. */
static int finish(struct running *h, bool kill_it)
{
    close(h->fd);
    if (h->pidfd >= 0) {
        close(h->pidfd);
    }
    int status = 0;
    if (kill_it) {
        kill(h->pid, SIGKILL);
    }
    while (waitpid(h->pid, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int program_ask(const struct program *program, struct buf *out, int *status_out, struct error *err)
{
    struct running h = {.pid = -1, .fd = -1, .pidfd = -1, .program = program};
    if (start(&h, err) != 0) {
        return -1;
    }
    if (send_input(&h, err) != 0 || read_answer(&h, out, err) != 0) {
        finish(&h, true);
        return -1;
    }
    *status_out = finish(&h, false);
    return 0;
}
