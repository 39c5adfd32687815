/*
 * Process 1 of a RUN, and the step from it to the command.
 *
 * Init holds capabilities that the command must not reach: it is not dumpable, so that the command,
 * without CAP_SYS_PTRACE, can neither trace it nor read its /proc folder's links.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "builder/sandbox_internal.h"

int sandbox_loopback_up(struct error *err)
{
    AUTO(fd_closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {.ifr_name = "lo"};
    if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) != 0) {
        return error_errno(err, ERR_ISOLATION, "bring up the loopback interface");
    }
    request.ifr_flags = (short)(request.ifr_flags | IFF_UP | IFF_RUNNING);
    if (ioctl(fd, SIOCSIFFLAGS, &request) != 0) {
        return error_errno(err, ERR_ISOLATION, "bring up the loopback interface");
    }
    return 0;
}

/* Makes the folder that the command starts in. */
static int enter_folder(const char *cwd, struct error *err)
{
    if (chdir(cwd) == 0) {
        return 0;
    }
    AUTO(mem_freep) char *clean = path_clean(cwd);
    if (errno != ENOENT || file_make_dirs(AT_FDCWD, clean, 0755, err) != 0 || chdir(cwd) != 0) {
        return err->code ? -1 : error_errno(err, ERR_ISOLATION, "enter '%s'", cwd);
    }
    return 0;
}

/* Limits that do not depend on who called us: many programs close every descriptor up to the
 * limit, and a core file would end up in the layer. */
static void set_limits(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        rlim_t most = 1024 * 1024;
        files.rlim_max = files.rlim_max < most ? files.rlim_max : most;
        files.rlim_cur = files.rlim_max < 65536 ? files.rlim_max : 65536;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    struct rlimit core;
    if (getrlimit(RLIMIT_CORE, &core) == 0) {
        core.rlim_cur = 0;
        setrlimit(RLIMIT_CORE, &core);
    }
}

static _Noreturn void fail(struct error *err)
{
    struct sandbox_message message = {.type = SANDBOX_FAILED, .error = *err};
    struct error ignored = {0};
    sandbox_send(SANDBOX_FD_CONTROL, &message, -1, &ignored);
    _exit(1);
}

/* argv[0] as the shell would find it. Returns only where nothing could be executed. */
static void execute(const struct sandbox_spec *spec)
{
    char *const *argv = (char *const *)spec->argv;
    char *const *env = (char *const *)spec->env;
    if (strchr(argv[0], '/')) {
        execve(argv[0], argv, env);
        return;
    }
    const char *path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    for (size_t i = 0; spec->env[i]; i++) {
        if (strncmp(spec->env[i], "PATH=", 5) == 0) {
            path = spec->env[i] + 5;
        }
    }
    int seen = ENOENT;
    while (*path) {
        size_t len = strcspn(path, ":");
        AUTO(mem_freep) char *file = mem_printf("%.*s/%s", (int)len, len ? path : ".", argv[0]);
        execve(file, argv, env);
        seen = errno == ENOENT || errno == ENOTDIR ? seen : errno;
        path += len + (path[len] == ':');
    }
    errno = seen;
}

/* Puts the filter in force; the outer process, which answers its questions, gets them through
 * CHANNEL (-1: there are none). */
static int filter_calls(const struct sandbox_job *job, int channel, struct error *err)
{
    AUTO(fd_closep) int listener = -1;
    if (sandbox_filter_calls(job, channel >= 0, &listener, err) != 0) {
        return -1;
    }
    struct sandbox_message message = {.type = SANDBOX_LISTENER};
    if (listener >= 0) {
        return sandbox_send(channel, &message, listener, err);
    }
    return channel >= 0 ? sandbox_tell_unguarded(strerror(errno), err) : 0;
}

_Noreturn void sandbox_exec(const struct sandbox_job *job, int channel)
{
    const struct sandbox_spec *spec = &job->spec;
    struct error err = {0};
    sigset_t none;
    sigemptyset(&none);
    setsid();
    umask(022);
    set_limits();
    /* A command that is not root may open /dev/stdout only if the pipe is its own. */
    if (fchown(SANDBOX_FD_OUTPUT, spec->uid, spec->gid) != 0) {
        errno = 0;
    }
    int in = spec->stdin_data ? STDIN_FILENO : open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (in < 0 || (in != STDIN_FILENO && dup2(in, STDIN_FILENO) < 0)) {
        error_errno(&err, ERR_ISOLATION, "open /dev/null");
        fail(&err);
    }
    if (enter_folder(spec->cwd, &err) != 0 || filter_calls(job, channel, &err) != 0 ||
        sandbox_become(spec, &err) != 0) {
        fail(&err);
    }
    dup2(SANDBOX_FD_OUTPUT, STDOUT_FILENO);
    dup2(SANDBOX_FD_OUTPUT, STDERR_FILENO);
    for (int signal = 1; signal < NSIG; signal++) {
        struct sigaction normal = {.sa_handler = SIG_DFL};
        sigaction(signal, &normal, NULL);
    }
    sigprocmask(SIG_SETMASK, &none, NULL);
    execute(spec);
    int reason = errno;
    dprintf(STDERR_FILENO, "slipway: cannot execute '%s': %s%s\n", spec->argv[0], strerror(reason),
            reason == ENOEXEC ? " (made for another architecture, or a script without #! line)"
                              : "");
    _exit(reason == ENOENT || reason == ENOTDIR ? 127 : 126);
}

/* Waits for COMMAND, reaping whatever else ends, and passing signals on to its session. */
static int wait_for(pid_t command, const sigset_t *signals)
{
    for (;;) {
        int status = 0;
        pid_t ended = waitpid(-1, &status, WNOHANG);
        if (ended == command) {
            return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        }
        if (ended > 0) {
            continue;
        }
        int signal = sigwaitinfo(signals, NULL);
        if (signal > 0 && signal != SIGCHLD) {
            kill(-command, signal);
        }
    }
}

static int set_up(const struct sandbox_job *job, struct sandbox_root *root, struct error *err)
{
    if (sandbox_mount_all(job, root, err) != 0) {
        return -1;
    }
    if (job->spec.network == NETWORK_NONE && sandbox_loopback_up(err) != 0) {
        return -1;
    }
    return sandbox_pivot(root, err);
}

_Noreturn void sandbox_init(const struct sandbox_job *job, struct sandbox_root *root, int channel)
{
    struct error err = {0};
    sigset_t signals;
    sigemptyset(&signals);
    const int passed[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};
    for (size_t i = 0; i < ARRAY_LEN(passed); i++) {
        sigaddset(&signals, passed[i]);
    }
    sigprocmask(SIG_BLOCK, &signals, NULL);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    setsid();
    if (set_up(job, root, &err) != 0) {
        fail(&err);
    }
    close(root->work);
    close(root->view);
    close(root->root);
    pid_t command = fork();
    if (command < 0) {
        error_errno(&err, ERR_ISOLATION, "fork");
        fail(&err);
    }
    if (command == 0) {
        sandbox_exec(job, channel);
    }
    /* The output ends when the last process of the RUN does. */
    close(SANDBOX_FD_OUTPUT);
    fd_closep(&channel);
    struct sandbox_message message = {.type = SANDBOX_EXITED};
    message.status = wait_for(command, &signals);
    kill(-1, SIGKILL);
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR) {
    }
    _exit(sandbox_send(SANDBOX_FD_CONTROL, &message, -1, &err) == 0 ? 0 : 1);
}
