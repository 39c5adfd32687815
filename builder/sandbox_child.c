/* The hidden command: namespaces, the overlay, process 1, and waiting for it. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/memory.h"
#include "builder/sandbox_internal.h"

enum { INIT_STACK = 1024 * 1024 };

int sandbox_send(int control, const struct sandbox_message *message, int fd, struct error *err)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)message, .iov_len = sizeof *message};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } extra = {0};
    struct msghdr packet = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd >= 0) {
        packet.msg_control = &extra;
        packet.msg_controllen = sizeof extra;
        extra.header = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(&extra.header), &fd, sizeof fd);
    }
    if (sendmsg(control, &packet, MSG_NOSIGNAL) != (ssize_t)sizeof *message) {
        return error_errno(err, ERR_ISOLATION, "speak to the sandbox");
    }
    return 0;
}

int sandbox_tell_unguarded(const char *why, struct error *err)
{
    struct sandbox_message message = {.type = SANDBOX_UNGUARDED};
    error_set(&message.error, ERR_ISOLATION, "%s", why);
    return sandbox_send(SANDBOX_FD_CONTROL, &message, -1, err);
}

int sandbox_receive(int control, struct sandbox_message *message, int *fd_out, bool *more_out,
                    struct error *err)
{
    struct iovec part = {.iov_base = message, .iov_len = sizeof *message};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } extra = {0};
    struct msghdr packet = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &extra, .msg_controllen = sizeof extra};
    ssize_t got = -1;
    do {
        got = recvmsg(control, &packet, MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    if (got != 0 && got != (ssize_t)sizeof *message) {
        return error_errno(err, ERR_ISOLATION, "listen to the sandbox");
    }
    *fd_out = -1;
    *more_out = got > 0;
    struct cmsghdr *header = CMSG_FIRSTHDR(&packet);
    if (got > 0 && header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
        memcpy(fd_out, CMSG_DATA(header), sizeof *fd_out);
    }
    return 0;
}

static int read_job(struct buf *bytes, struct sandbox_job *job, struct error *err)
{
    if (file_read_fd(SANDBOX_FD_JOB, "the sandbox's job", 64 * MIB, bytes, err) != 0) {
        return -1;
    }
    close(SANDBOX_FD_JOB);
    return sandbox_job_read(bytes->data, bytes->len, job, err);
}

static int make_namespaces(const struct sandbox_spec *spec, struct error *err)
{
    int flags = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS;
    if (spec->network == NETWORK_NONE) {
        flags |= CLONE_NEWNET;
    }
    if (unshare(flags) != 0) {
        return error_errno(err, ERR_ISOLATION, "make namespaces for RUN");
    }
    /* First of all: nothing that is mounted from here on may reach the machine. */
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        return error_errno(err, ERR_ISOLATION, "make the mounts private");
    }
    unshare(CLONE_NEWCGROUP); /* only hides names: old kernels lack it */
    if (sethostname(SANDBOX_HOSTNAME, strlen(SANDBOX_HOSTNAME)) != 0) {
        return error_errno(err, ERR_ISOLATION, "set the host name");
    }
    return 0;
}

static int prepare(struct buf *bytes, struct sandbox_job *job, struct sandbox_root *root,
                   struct error *err)
{
    if (read_job(bytes, job, err) != 0 || make_namespaces(&job->spec, err) != 0 ||
        sandbox_mount_root(job, root, err) != 0) {
        return -1;
    }
    struct sandbox_message message = {.type = SANDBOX_VIEW};
    return sandbox_send(SANDBOX_FD_CONTROL, &message, root->view, err);
}

/* What the outer process waits for; -1 where nothing more can come. */
struct watch {
    int signals;
    int channel; /* the listener comes through it */
    int listener;
    int proc; /* the root, and with it /proc, becomes RUN's */
};

static void watch_release(struct watch *watch)
{
    fd_closep(&watch->signals);
    fd_closep(&watch->channel);
    fd_closep(&watch->listener);
    fd_closep(&watch->proc);
}

static void take_listener(struct watch *watch)
{
    struct sandbox_message message;
    struct error ignored = {0};
    bool more = false;
    if (sandbox_receive(watch->channel, &message, &watch->listener, &more, &ignored) != 0 ||
        !more || watch->listener >= 0) {
        close(watch->channel);
        watch->channel = -1;
    }
}

/* A first signal goes to the command, which gets a second to end by itself. */
static void take_signal(const struct watch *watch, pid_t init)
{
    struct signalfd_siginfo info;
    if (read(watch->signals, &info, sizeof info) != (ssize_t)sizeof info) {
        return;
    }
    if (info.ssi_signo == SIGALRM) {
        kill(init, SIGKILL);
    } else if (info.ssi_signo != SIGCHLD) {
        kill(init, (int)info.ssi_signo);
        alarm(1);
    }
}

/* At the first question; most RUNs have none. */
static void answer(struct watch *watch)
{
    if (!sandbox_answer(watch->listener, watch->proc)) {
        sleep(1); /* no process can be had: a fork bomb's connections can wait */
        return;
    }
    fd_closep(&watch->listener);
    watch->listener = -1;
}

static int wait_for_init(pid_t init, struct watch *watch)
{
    for (;;) {
        int status = 0;
        pid_t ended = waitpid(-1, &status, WNOHANG);
        if (ended == init || (ended < 0 && errno != EINTR)) {
            return ended == init && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
        }
        if (ended > 0) {
            continue; /* it answered questions */
        }
        struct pollfd polled[] = {{.fd = watch->signals, .events = POLLIN},
                                  {.fd = watch->channel, .events = POLLIN},
                                  {.fd = watch->listener, .events = POLLIN}};
        if (poll(polled, ARRAY_LEN(polled), -1) < 0) {
            continue;
        }
        if (polled[0].revents) {
            take_signal(watch, init);
        }
        if (polled[1].revents) {
            take_listener(watch);
        }
        if (polled[2].revents) {
            answer(watch);
        }
    }
}

static int fail(const struct error *err)
{
    struct sandbox_message message = {.type = SANDBOX_FAILED, .error = *err};
    struct error ignored = {0};
    sandbox_send(SANDBOX_FD_CONTROL, &message, -1, &ignored);
    return 1;
}

/* Signals come through a descriptor from here on. */
static int open_watch(struct watch *watch, struct error *err)
{
    const int watched[] = {SIGCHLD, SIGALRM, SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};
    sigset_t signals;
    sigemptyset(&signals);
    for (size_t i = 0; i < ARRAY_LEN(watched); i++) {
        sigaddset(&signals, watched[i]);
    }
    sigprocmask(SIG_SETMASK, &signals, NULL);
    watch->signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    return watch->signals < 0 ? error_errno(err, ERR_ISOLATION, "start the sandbox") : 0;
}

/* A channel through which the listener comes, unless nothing is to be watched or can be. */
static int open_channel(const struct sandbox_spec *spec, struct watch *watch, int *theirs_out,
                        struct error *err)
{
    int pair[2];
    /* With --network host the machine's network is asked for as it is. */
    if (spec->network == NETWORK_HOST) {
        return 0;
    }
    const char *lacking = sandbox_cannot_guard(NULL);
    if (lacking) {
        return sandbox_tell_unguarded(lacking, err);
    }
    if (file_open(AT_FDCWD, "/proc", O_PATH | O_DIRECTORY, 0, &watch->proc, err) != 0) {
        return -1;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        return error_errno(err, ERR_ISOLATION, "start the sandbox");
    }
    watch->channel = pair[0];
    *theirs_out = pair[1];
    return 0;
}

struct birth {
    const struct sandbox_job *job;
    struct sandbox_root *root;
    struct watch *watch;
    int channel;
};

static int be_init(void *data)
{
    struct birth *birth = data;
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    watch_release(birth->watch);
    sandbox_init(birth->job, birth->root, birth->channel);
}

/* Init alone is in the new pid namespace: later children of ours are out of its sight and reach. */
static pid_t start_init(struct birth *birth)
{
    static char stack[INIT_STACK] __attribute__((aligned(64)));
    return clone(be_init, stack + sizeof stack, CLONE_NEWPID | SIGCHLD, birth);
}

static int run_job(void)
{
    AUTO(buf_release) struct buf bytes = BUF_INIT(0);
    AUTO(watch_release)
    struct watch watch = {.signals = -1, .channel = -1, .listener = -1, .proc = -1};
    AUTO(fd_closep) int channel = -1;
    struct error err = {0};
    struct sandbox_job job = {0};
    struct sandbox_root root = {.work = -1, .view = -1, .root = -1};
    if (open_watch(&watch, &err) != 0 || prepare(&bytes, &job, &root, &err) != 0 ||
        open_channel(&job.spec, &watch, &channel, &err) != 0) {
        return fail(&err);
    }
    struct birth birth = {.job = &job, .root = &root, .watch = &watch, .channel = channel};
    pid_t init = start_init(&birth);
    if (init < 0) {
        error_errno(&err, ERR_ISOLATION, "make namespaces for RUN");
        return fail(&err);
    }
    close(SANDBOX_FD_OUTPUT);
    close(SANDBOX_FD_CONTROL);
    close(root.view);
    fd_closep(&channel);
    channel = -1;
    return wait_for_init(init, &watch);
}

int sandbox_main(int argc, char **argv)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (argc < 3 || strtol(argv[2], NULL, 10) != (long)getppid()) {
        return 2; /* called by hand, or our parent died before it could take us along */
    }
    if (argc > 3 && strcmp(argv[3], SANDBOX_PROBE) == 0) {
        _exit(sandbox_probe_main());
    }
    for (int fd = SANDBOX_FD_JOB; fd < SANDBOX_FDS; fd++) {
        if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
            return 2;
        }
    }
    close_range(SANDBOX_FDS, ~0U, 0);
    /* Nothing is left to be written, and what runs at a normal exit may want threads, which a
     * process that left its pid namespace cannot have. */
    _exit(run_job());
}
