/*
 * A RUN's connect() is made for it by a child of the sandbox's outer process, which the kernel asks
 * what to do (seccomp_unotify(2)): not to the endpoints that hand out keys. Needs no rights over
 * the machine's network, so it works for every user.
 *
 * The program could change the address while it is looked at, or put another socket in the place of
 * its own. So the call is never let through: its address is copied, and the connection is made with
 * the copy, on the very socket that was looked at. What may take minutes, or has to be done as who
 * asks, gets a process of its own. All of them are out of the RUN's sight. The ways around
 * connect() end here, too: connections that come with the first bytes sent (fast open), and sockets
 * with which a program could speak TCP by itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/net.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/memory.h"
#include "builder/sandbox_internal.h"

/* SECCOMP_IOCTL_NOTIF_SET_FLAGS and its flag, which older headers lack. */
#define NOTIF_SET_FLAGS _IOW('!', 4, uint64_t)
enum { SYNC_WAKE_UP = 1 };

/* Numbers of other kinds of programs. Those of I386_SOCKETCALL have their arguments in their
 * memory.
 */
enum {
    I386_SOCKETCALL = 102,
    I386_SOCKET = 359,
    I386_CONNECT = 362,
    ARM_SOCKET = 281,
    ARM_CONNECT = 283,
    X32_BIT = 0x40000000,
};

enum { SOCKET_TYPE_MASK = 0xf };

/* The numbers behind NAME in STATUS, at most MAX; returns how many. */
static size_t read_numbers(const char *status, const char *name, unsigned *out, size_t max)
{
    const char *line = strstr(status, name);
    size_t len = 0;
    if (!line) {
        return 0;
    }
    line += strlen(name);
    while (len < max && *line && *line != '\n') {
        char *end = NULL;
        unsigned long number = strtoul(line, &end, 10);
        if (end == line) {
            break;
        }
        out[len++] = (unsigned)number;
        line = end + strspn(end, " \t");
    }
    return len;
}

static int read_memory(uint32_t pid, uint64_t address, void *out, size_t len)
{
    struct iovec here = {.iov_base = out, .iov_len = len};
    struct iovec there = {.iov_base = (void *)(uintptr_t)address, .iov_len = len};
    ssize_t got = process_vm_readv((pid_t)pid, &here, 1, &there, 1, 0);
    return got == (ssize_t)len ? 0 : -1;
}

/* The arguments of connect() or socket(). */
static int find_arguments(const struct seccomp_notif *asked, uint64_t out[3])
{
    const struct seccomp_data *call = &asked->data;
    uint32_t words[3];
    if (call->arch != AUDIT_ARCH_I386 || call->nr != I386_SOCKETCALL) {
        memcpy(out, call->args, 3 * sizeof out[0]);
        return 0;
    }
    if (read_memory(asked->pid, call->args[1], words, sizeof words) != 0) {
        return -1;
    }
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        out[i] = words[i];
    }
    return 0;
}

static int read_status(int proc, uint32_t pid, struct buf *out)
{
    char path[64];
    struct error ignored = {0};
    snprintf(path, sizeof path, "%u/status", pid);
    buf_clear(out);
    return file_read(proc, path, LIMIT_TEXT_FILE_BYTES, out, NULL, &ignored);
}

/* A thread may ask; its process has the descriptors. */
static int open_process(int proc, uint32_t pid, struct buf *room)
{
    unsigned process = 0;
    int pidfd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
    if (pidfd >= 0 || read_status(proc, pid, room) != 0 ||
        read_numbers(buf_text(room), "\nTgid:", &process, 1) != 1) {
        return pidfd;
    }
    return (int)syscall(SYS_pidfd_open, (pid_t)process, 0);
}

/* Sockets in the file system: names mean what they mean to the asker, and who listens may ask who
 * came. */
static int become_asker(int proc, uint32_t pid, struct buf *room)
{
    unsigned uids[2] = {0}; /* real, effective */
    unsigned gids[2] = {0};
    char path[64];
    if (read_status(proc, pid, room) != 0 || read_numbers(buf_text(room), "\nUid:", uids, 2) != 2 ||
        read_numbers(buf_text(room), "\nGid:", gids, 2) != 2) {
        errno = ESRCH;
        return -1;
    }
    AUTO(mem_freep) gid_t *groups = mem_calloc(NGROUPS_MAX, sizeof *groups);
    size_t groups_len = read_numbers(buf_text(room), "\nGroups:", groups, NGROUPS_MAX);
    snprintf(path, sizeof path, "%u/cwd", pid);
    AUTO(fd_closep) int cwd = openat(proc, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    snprintf(path, sizeof path, "%u/root", pid);
    AUTO(fd_closep) int root = openat(proc, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (cwd < 0 || root < 0 || fchdir(root) != 0 || chroot(".") != 0 || fchdir(cwd) != 0) {
        return -1;
    }
    /* Without subordinate ids there is only one, and no groups. */
    if (setgroups(groups_len, groups) != 0 && errno != EPERM) {
        return -1;
    }
    if (setresgid(gids[1], gids[1], gids[1]) != 0 || setresuid(uids[1], uids[1], uids[1]) != 0) {
        return -1;
    }
    /* Which a change of credentials takes away. */
    return prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
}

/* One connect(), as it was asked for. */
struct question {
    struct seccomp_notif asked;
    struct buf room; /* for what /proc says of who asks */
    struct sockaddr_storage address;
    socklen_t len;
    int fd; /* the socket, ours too; -1: none */
    int domain;
};

/* Returns 0 or the errno that connect() is to end with. */
static int understand(int proc, struct question *q)
{
    uint64_t arguments[3];
    socklen_t size = sizeof q->domain;
    if (find_arguments(&q->asked, arguments) != 0) {
        return EFAULT;
    }
    /* In the kernel's order of errors. */
    AUTO(fd_closep) int process = open_process(proc, q->asked.pid, &q->room);
    if (process < 0) {
        return ESRCH;
    }
    q->fd = (int)syscall(SYS_pidfd_getfd, process, (int)arguments[0], 0);
    if (q->fd < 0) {
        return errno;
    }
    q->len = (socklen_t)arguments[2];
    if (q->len > sizeof q->address) {
        return EINVAL;
    }
    if (read_memory(q->asked.pid, arguments[1], &q->address, q->len) != 0) {
        return EFAULT;
    }
    if (getsockopt(q->fd, SOL_SOCKET, SO_DOMAIN, &q->domain, &size) != 0) {
        return errno;
    }
    return q->domain == AF_VSOCK || sandbox_is_endpoint(&q->address, q->len) ? EPERM : 0;
}

/* Most of what programs ask for: a name service's socket, which no image has. */
static bool is_missing(int proc, const struct question *q)
{
    const struct sockaddr_un *local = (const struct sockaddr_un *)&q->address;
    const size_t head = offsetof(struct sockaddr_un, sun_path);
    char root_path[64];
    if (q->len <= head || q->len > sizeof *local || local->sun_family != AF_UNIX) {
        return false;
    }
    AUTO(mem_freep) char *path = mem_strndup(local->sun_path, q->len - head);
    snprintf(root_path, sizeof root_path, "%u/root", q->asked.pid);
    AUTO(fd_closep) int root = openat(proc, root_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
    if (root < 0 || path[0] != '/') {
        return false;
    }
    AUTO(fd_closep) int found = (int)syscall(SYS_openat2, root, path, &how, sizeof how);
    return found < 0 && errno == ENOENT;
}

static bool returns_at_once(const struct question *q)
{
    int type = 0;
    socklen_t size = sizeof type;
    return (fcntl(q->fd, F_GETFL) & O_NONBLOCK) ||
           (getsockopt(q->fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_DGRAM);
}

/* 0 or an errno. */
static int make_connection(const struct question *q)
{
    return connect(q->fd, (const struct sockaddr *)&q->address, q->len) == 0 ? 0 : errno;
}

static void reply(int listener, const struct question *q, int error)
{
    struct seccomp_notif_resp said = {.id = q->asked.id, .error = -error};
    /* Whoever asked may be gone, or have been interrupted. */
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &said);
}

/* By a process of its own. */
static void connect_apart(int listener, int proc, struct question *q)
{
    pid_t child = fork();
    if (child < 0) {
        reply(listener, q, errno);
    } else if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        bool lost = q->domain == AF_UNIX && become_asker(proc, q->asked.pid, &q->room) != 0;
        reply(listener, q, lost ? errno : make_connection(q));
        _exit(0);
    }
}

static void give_connection(int listener, int proc, struct question *q)
{
    int error = understand(proc, q);
    if (error) {
        reply(listener, q, error);
    } else if (q->domain == AF_UNIX && is_missing(proc, q)) {
        reply(listener, q, ENOENT);
    } else if (q->domain != AF_UNIX && returns_at_once(q)) {
        reply(listener, q, make_connection(q));
    } else {
        connect_apart(listener, proc, q);
    }
}

/* What sandbox_seccomp.c has asked about. */
enum wish { WISH_CONNECTION, WISH_SOCKET, WISH_FAST_OPEN };

static enum wish wish_of(const struct seccomp_data *call)
{
    int number = call->nr & ~X32_BIT;
    int socket_number = SYS_socket;
    int connect_number = SYS_connect;
    if (call->arch == AUDIT_ARCH_I386 && number == I386_SOCKETCALL) {
        number = (int)call->args[0];
        socket_number = SYS_SOCKET;
        connect_number = SYS_CONNECT;
    } else if (call->arch == AUDIT_ARCH_I386) {
        socket_number = I386_SOCKET;
        connect_number = I386_CONNECT;
    } else if (call->arch == AUDIT_ARCH_ARM) {
        socket_number = ARM_SOCKET;
        connect_number = ARM_CONNECT;
    }
    return number == socket_number    ? WISH_SOCKET
           : number == connect_number ? WISH_CONNECTION
                                      : WISH_FAST_OPEN;
}

/* The others: of networks that are the machine's, with which a program could speak TCP by itself,
 * or that it may lack the rights for which we have. */
static bool may_have(int domain, int type)
{
    bool internet = domain == AF_INET || domain == AF_INET6;
    return domain == AF_UNIX || domain == AF_NETLINK ||
           (internet && (type == SOCK_STREAM || type == SOCK_DGRAM));
}

/* A socket of ours becomes the asker's. What it asked for cannot be let through, as it may change
 * after it was looked at. */
static void give_socket(int listener, struct question *q)
{
    uint64_t arguments[3];
    if (find_arguments(&q->asked, arguments) != 0) {
        reply(listener, q, EFAULT);
        return;
    }
    int type = (int)arguments[1];
    if (!may_have((int)arguments[0], type & SOCKET_TYPE_MASK)) {
        reply(listener, q, EPERM);
        return;
    }
    q->fd = socket((int)arguments[0], type | SOCK_CLOEXEC, (int)arguments[2]);
    if (q->fd < 0) {
        reply(listener, q, errno);
        return;
    }
    struct seccomp_notif_addfd given = {.id = q->asked.id,
                                        .srcfd = (uint32_t)q->fd,
                                        .newfd_flags = type & SOCK_CLOEXEC ? O_CLOEXEC : 0};
    int number = ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &given);
    if (number < 0) {
        reply(listener, q, errno); /* before Linux 5.9 it has none */
        return;
    }
    struct seccomp_notif_resp said = {.id = q->asked.id, .val = number};
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &said);
}

static void answer(int listener, int proc, struct question *q)
{
    switch (wish_of(&q->asked.data)) {
    case WISH_CONNECTION:
        give_connection(listener, proc, q);
        break;
    case WISH_SOCKET:
        give_socket(listener, q);
        break;
    case WISH_FAST_OPEN:
        reply(listener, q, EOPNOTSUPP); /* programs connect in the common way then */
    }
}

static _Noreturn void answer_all(int listener, int proc)
{
    const struct sigaction leave = {.sa_handler = SIG_IGN}; /* no child has to be waited for */
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    sigaction(SIGCHLD, &leave, NULL);
    ioctl(listener, NOTIF_SET_FLAGS, SYNC_WAKE_UP); /* faster; from Linux 6.6 on */
    struct question q = {.room = BUF_INIT(0)};
    for (;;) {
        struct pollfd polled = {.fd = listener, .events = POLLIN};
        q.asked = (struct seccomp_notif){0};
        q.fd = -1;
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &q.asked) == 0) {
            answer(listener, proc, &q);
            fd_closep(&q.fd);
        } else if (poll(&polled, 1, 0) == 1 && !(polled.revents & POLLIN)) {
            _exit(0); /* nobody is left who could ask; else one did not wait for the answer */
        }
    }
}

bool sandbox_answer(int listener, int proc)
{
    pid_t child = fork();
    if (child == 0) {
        answer_all(listener, proc);
    }
    return child > 0;
}

const char *sandbox_cannot_guard(const char **setting_out)
{
    AUTO(buf_release) struct buf scope = BUF_INIT(0);
    struct error ignored = {0};
    const char *setting = NULL;
    const char *why = NULL;
    if (!sandbox_may_trace()) {
        why = "CAP_SYS_PTRACE is missing";
        setting = "give this container --cap-add SYS_PTRACE";
    } else if (file_read(AT_FDCWD, "/proc/sys/kernel/yama/ptrace_scope", LIMIT_TEXT_FILE_BYTES,
                         &scope, NULL, &ignored) == 0 &&
               buf_text(&scope)[0] == '3') {
        why = "kernel.yama.ptrace_scope is 3";
        setting = "boot with kernel.yama.ptrace_scope=2 or less";
    }
    if (setting_out) {
        *setting_out = setting;
    }
    return why;
}
