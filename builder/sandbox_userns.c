/*
 * As an ordinary user: the whole program runs again as root of a user namespace, so that unpacking,
 * RUN and reading back see the same owners. Subordinate ids come from newuidmap and newgidmap
 * (package uidmap); without them only our own id exists, as 0.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
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

extern char **environ;

/* What parent and child say to each other, one byte each. */
enum word { WORD_READY = 'r', WORD_MAPPED = 'm', WORD_MAP_ONE = 'o' };

static bool say(int fd, enum word word)
{
    char byte = (char)word;
    return write(fd, &byte, 1) == 1;
}

/* 0 where the other side is gone. */
static char hear(int fd)
{
    char byte = 0;
    ssize_t got = 0;
    do {
        got = read(fd, &byte, 1);
    } while (got < 0 && errno == EINTR);
    return got == 1 ? byte : (char)0;
}

/* ---- the parent: who gets which ids ---- */

/* Adds "INSIDE OUTSIDE COUNT" for every range of /etc/subuid or /etc/subgid that is ours. Returns
 * whether there is one. */
static bool add_ranges(const char *file, const char *user, uid_t uid, struct strlist *args)
{
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    struct error ignored = {0};
    bool found = false;
    if (file_read(AT_FDCWD, file, LIMIT_TEXT_FILE_BYTES, &text, &found, &ignored) != 0 || !found) {
        return false;
    }
    unsigned long inside = 1;
    char *rest = NULL;
    for (char *line = strtok_r(text.data, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char name[256];
        char number[24];
        unsigned long start = 0;
        unsigned long count = 0;
        snprintf(number, sizeof number, "%u", uid);
        if (sscanf(line, "%255[^:]:%lu:%lu", name, &start, &count) != 3 || count == 0 ||
            (strcmp(name, number) != 0 && (!user || strcmp(name, user) != 0))) {
            continue;
        }
        strlist_addf(args, "%lu", inside);
        strlist_addf(args, "%lu", start);
        strlist_addf(args, "%lu", count);
        inside += count;
    }
    return inside > 1;
}

static bool run_tool(const struct strlist *args)
{
    pid_t child = -1;
    int status = 1;
    if (posix_spawnp(&child, args->items[0], NULL, NULL, args->items, environ) != 0) {
        return false;
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return status == 0;
}

/* Runs newuidmap or newgidmap for CHILD. */
static bool map_range(const char *tool, const char *file, pid_t child, unsigned own)
{
    AUTO(strlist_release) struct strlist args = {0};
    const struct passwd *user = getpwuid(getuid());
    strlist_add(&args, tool);
    strlist_addf(&args, "%d", (int)child);
    strlist_add(&args, "0");
    strlist_addf(&args, "%u", own);
    strlist_add(&args, "1");
    return add_ranges(file, user ? user->pw_name : NULL, getuid(), &args) && run_tool(&args);
}

/* ---- the child ---- */

static bool write_text(const char *path, const char *text)
{
    struct error ignored = {0};
    AUTO(fd_closep) int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd >= 0 && file_write_fd(fd, path, text, strlen(text), &ignored) == 0;
}

static bool map_own(uid_t uid, gid_t gid)
{
    char uids[48];
    char gids[48];
    snprintf(uids, sizeof uids, "0 %u 1\n", uid);
    snprintf(gids, sizeof gids, "0 %u 1\n", gid);
    return write_text("/proc/self/setgroups", "deny") && write_text("/proc/self/uid_map", uids) &&
           write_text("/proc/self/gid_map", gids);
}

static _Noreturn void enter(int parent, char **argv)
{
    uid_t uid = getuid();
    gid_t gid = getgid();
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0 || !say(parent, WORD_READY)) {
        _exit(127);
    }
    /* After unshare, which clears it as every change of credentials does. */
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    char word = hear(parent);
    if ((word != WORD_MAPPED && word != WORD_MAP_ONE) ||
        (word == WORD_MAP_ONE && !map_own(uid, gid)) ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        _exit(127);
    }
    if (word == WORD_MAPPED && setgroups(0, NULL) != 0) {
        errno = 0; /* groups that are not mapped stay as nobody's */
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setenv(SANDBOX_INSIDE, word == WORD_MAPPED ? "ids" : "one", 1);
    if (!say(parent, WORD_READY)) {
        _exit(127);
    }
    execv("/proc/self/exe", argv);
    _exit(127);
}

/* Passes on what somebody sent to us alone; what a terminal sends reaches the child by itself. */
static int wait_for(pid_t child, const sigset_t *signals)
{
    for (;;) {
        int status = 0;
        siginfo_t info;
        if (waitpid(child, &status, WNOHANG) == child) {
            return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        }
        int signal = sigwaitinfo(signals, &info);
        if (signal > 0 && signal != SIGCHLD && info.si_code != SI_KERNEL) {
            kill(child, signal);
        }
    }
}

static void abandon(pid_t child)
{
    kill(child, SIGKILL);
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {
    }
}

bool sandbox_enter(int argc, char **argv, int *status_out)
{
    (void)argc;
    int pair[2];
    if (getenv(SANDBOX_INSIDE)) {
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        return false;
    }
    if (geteuid() == 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        return false;
    }
    AUTO(fd_closep) int mine = pair[0];
    AUTO(fd_closep) int theirs = pair[1];
    sigset_t signals;
    sigset_t before;
    const int passed[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};
    sigemptyset(&signals);
    for (size_t i = 0; i < ARRAY_LEN(passed); i++) {
        sigaddset(&signals, passed[i]);
    }
    sigprocmask(SIG_BLOCK, &signals, &before);
    pid_t child = fork();
    if (child == 0) {
        enter(theirs, argv);
    }
    fd_closep(&theirs);
    theirs = -1;
    bool entered = false;
    if (child > 0 && hear(mine) == WORD_READY) {
        bool mapped = map_range("newuidmap", "/etc/subuid", child, getuid()) &&
                      map_range("newgidmap", "/etc/subgid", child, getgid());
        entered = say(mine, mapped ? WORD_MAPPED : WORD_MAP_ONE) && hear(mine) == WORD_READY;
    }
    if (entered) {
        *status_out = wait_for(child, &signals);
    } else if (child > 0) {
        abandon(child);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    return entered;
}
