/* The hidden command: namespaces, the overlay, process 1, and waiting for it. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/memory.h"
#include "builder/sandbox_internal.h"

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
    int flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS;
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

/* A first signal goes to the command, which gets a second to end by itself. */
static int wait_for_init(pid_t init, const sigset_t *signals)
{
    for (;;) {
        int status = 0;
        pid_t ended = waitpid(init, &status, WNOHANG);
        if (ended == init || (ended < 0 && errno != EINTR)) {
            return ended == init && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
        }
        int signal = sigwaitinfo(signals, NULL);
        if (signal == SIGALRM) {
            kill(init, SIGKILL);
        } else if (signal > 0 && signal != SIGCHLD) {
            kill(init, signal);
            alarm(1);
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

static int run_job(void)
{
    AUTO(buf_release) struct buf bytes = BUF_INIT(0);
    struct error err = {0};
    struct sandbox_job job = {0};
    struct sandbox_root root = {.work = -1, .view = -1, .root = -1};
    struct sandbox_guard guard = SANDBOX_GUARD_NONE;
    sigset_t signals;
    sigemptyset(&signals);
    const int watched[] = {SIGCHLD, SIGALRM, SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};
    for (size_t i = 0; i < ARRAY_LEN(watched); i++) {
        sigaddset(&signals, watched[i]);
    }
    sigprocmask(SIG_SETMASK, &signals, NULL);
    if (prepare(&bytes, &job, &root, &err) != 0) {
        return fail(&err);
    }
    /* With --network host the machine's network is asked for as it is. */
    if (job.spec.network == NETWORK_DEFAULT) {
        sandbox_guard_open(&guard);
    }
    pid_t init = sandbox_guard_fork(&guard);
    if (init < 0) {
        error_errno(&err, ERR_ISOLATION, "fork");
        sandbox_guard_close(&guard);
        return fail(&err);
    }
    if (init == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        sandbox_init(&job, &root);
    }
    close(SANDBOX_FD_OUTPUT);
    close(SANDBOX_FD_CONTROL);
    close(root.view);
    int status = wait_for_init(init, &signals);
    sandbox_guard_close(&guard);
    return status;
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
