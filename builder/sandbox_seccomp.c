/*
 * Which system calls a RUN may use: what Docker's default profile forbids a container with the
 * default capabilities is forbidden here, with the same error. And calls that only wait for a disk
 * succeed at once: what a RUN writes is a cache until its layer is written, and package managers
 * call them for every file.
 */
#include <errno.h>
#include <linux/net.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "builder/sandbox_internal.h"

enum {
    FILTER_MAX = 64 * 1024,
    SOCKET_TYPE_MASK = 0xf,
    LEVEL_OF_NOTIFICATIONS = 5, /* of libseccomp's interface: where the kernel can ask a process */
};

/* Names, as libseccomp knows those that an architecture lacks (and skips them there). */
static const char *const forbidden[] = {
    "acct",
    "add_key",
    "bpf",
    "clock_adjtime",
    "clock_adjtime64",
    "clock_settime",
    "clock_settime64",
    "create_module",
    "delete_module",
    "fanotify_init",
    "finit_module",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "get_kernel_syms",
    "get_mempolicy",
    "init_module",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "ioperm",
    "iopl",
    "kcmp",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "lookup_dcookie",
    "mbind",
    "mount",
    "mount_setattr",
    "move_mount",
    "move_pages",
    "migrate_pages",
    "nfsservctl",
    "open_by_handle_at",
    "open_tree",
    "perf_event_open",
    "pidfd_getfd",
    "pivot_root",
    "process_madvise",
    "query_module",
    "quotactl",
    "quotactl_fd",
    "reboot",
    "request_key",
    "set_mempolicy",
    "set_mempolicy_home_node",
    "setdomainname",
    "sethostname",
    "setns",
    "settimeofday",
    "stime",
    "swapoff",
    "swapon",
    "_sysctl",
    "sysfs",
    "syslog",
    "umount",
    "umount2",
    "unshare",
    "uselib",
    "userfaultfd",
    "ustat",
    "vhangup",
    "vm86",
    "vm86old",
    "vserver",
};

/* clone3 hides its flags behind a pointer: libraries fall back to clone. */
static const char *const unknown[] = {"clone3"};

static const char *const without_effect[] = {"fsync",  "fdatasync",       "sync",
                                             "syncfs", "sync_file_range", "sync_file_range2"};

static void free_filter(scmp_filter_ctx *filter)
{
    if (*filter) {
        seccomp_release(*filter);
    }
}

/* Sets errno and returns -1 where a rule cannot be made. */
static int add_all(scmp_filter_ctx filter, uint32_t action, const char *const *names, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        int number = seccomp_syscall_resolve_name(names[i]);
        if (number == __NR_SCMP_ERROR) {
            continue; /* younger than this libseccomp */
        }
        int result = seccomp_rule_add(filter, action, number, 0);
        /* EDOM: no architecture here has it. */
        if (result != 0 && result != -EDOM) {
            errno = -result;
            return -1;
        }
    }
    return 0;
}

/* Rules that look at arguments. Returns 0 or a negative errno. */
static int add_conditional(scmp_filter_ctx filter)
{
    static const unsigned namespaces[] = {CLONE_NEWNS,  CLONE_NEWUTS, CLONE_NEWIPC,   CLONE_NEWUSER,
                                          CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWCGROUP};
    int result = 0;
    for (size_t i = 0; i < ARRAY_LEN(namespaces) && result == 0; i++) {
        result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                                  SCMP_A0(SCMP_CMP_MASKED_EQ, namespaces[i], namespaces[i]));
    }
    if (result == 0) {
        /* Only the waiting kind: some libraries use MS_ASYNC to ask what is mapped. */
        result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(0), SCMP_SYS(msync), 1,
                                  SCMP_A2(SCMP_CMP_EQ, MS_SYNC));
    }
    return result;
}

/* Sockets of other networks that are the machine's. HIDDEN: 32-bit programs say by socketcall()
 * what they want, in their memory, which no rule can look at. */
static int refuse_sockets(scmp_filter_ctx filter, bool hidden)
{
    static const int domains[] = {AF_VSOCK, AF_SMC};
    int result = 0;
    for (size_t i = 0; i < ARRAY_LEN(domains) && result == 0 && !hidden; i++) {
        result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 1,
                                  SCMP_A0(SCMP_CMP_EQ, domains[i]));
    }
    return result;
}

/* Sockets with which a program could speak TCP by itself; of the HIDDEN ones all. */
static int ask_about_sockets(scmp_filter_ctx filter, bool hidden)
{
    const struct scmp_arg_cmp packets = SCMP_A0(SCMP_CMP_EQ, AF_PACKET);
    const struct scmp_arg_cmp old = SCMP_A1(SCMP_CMP_MASKED_EQ, SOCKET_TYPE_MASK, SOCK_PACKET);
    const struct scmp_arg_cmp raw = SCMP_A1(SCMP_CMP_MASKED_EQ, SOCKET_TYPE_MASK, SOCK_RAW);
    const struct scmp_arg_cmp tcp = SCMP_A2(SCMP_CMP_EQ, IPPROTO_TCP);
    if (hidden) {
        return seccomp_rule_add(filter, SCMP_ACT_NOTIFY, SCMP_SYS(socket), 0);
    }
    int result = seccomp_rule_add(filter, SCMP_ACT_NOTIFY, SCMP_SYS(socket), 1, packets);
    if (result == 0) {
        result = seccomp_rule_add(filter, SCMP_ACT_NOTIFY, SCMP_SYS(socket), 1, old);
    }
    return result == 0 ? seccomp_rule_add(filter, SCMP_ACT_NOTIFY, SCMP_SYS(socket), 2, raw, tcp)
                       : result;
}

/* And what else sandbox_connect.c has to see. */
static int add_sockets(scmp_filter_ctx filter, bool hidden)
{
    int result = refuse_sockets(filter, hidden);
    if (result != 0 || seccomp_api_get() < LEVEL_OF_NOTIFICATIONS) {
        return result;
    }
    result = ask_about_sockets(filter, hidden);
    if (result == 0) {
        result = seccomp_rule_add(filter, SCMP_ACT_NOTIFY, SCMP_SYS(connect), 0);
    }
    /* The other way to connect. Programs try it first and then do without. */
    const struct {
        int call;
        struct scmp_arg_cmp flag;
    } fast[] = {{SCMP_SYS(sendto), SCMP_A3(SCMP_CMP_MASKED_EQ, MSG_FASTOPEN, MSG_FASTOPEN)},
                {SCMP_SYS(sendmsg), SCMP_A2(SCMP_CMP_MASKED_EQ, MSG_FASTOPEN, MSG_FASTOPEN)},
                {SCMP_SYS(sendmmsg), SCMP_A3(SCMP_CMP_MASKED_EQ, MSG_FASTOPEN, MSG_FASTOPEN)}};
    for (size_t i = 0; i < ARRAY_LEN(fast) && result == 0; i++) {
        result = seccomp_rule_add(filter, SCMP_ACT_NOTIFY, fast[i].call, 1, fast[i].flag);
    }
    /* Those have none of these calls there; resolvers use others. */
    static const unsigned long long senders[] = {SYS_SENDTO, SYS_SENDMSG, SYS_SENDMMSG};
    for (size_t i = 0; i < ARRAY_LEN(senders) && result == 0 && hidden; i++) {
        result = seccomp_rule_add(filter, SCMP_ACT_NOTIFY, SCMP_SYS(socketcall), 1,
                                  SCMP_A0(SCMP_CMP_EQ, senders[i]));
    }
    return result;
}

/* Ways in that have no filter end with ENOSYS. Returns 0 or a negative errno. */
static int set_up(scmp_filter_ctx filter)
{
    int result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0);
    if (result == 0) {
        result = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
    }
    if (result == 0) {
        /* Without it, older kernels slow the whole process down. */
        result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1);
    }
    return result;
}

/* The rules for ARCHITECTURE alone. */
static int make_filter(scmp_filter_ctx filter, uint32_t architecture, bool hidden,
                       struct error *err)
{
    int result = set_up(filter);
    if (result == 0 && architecture != seccomp_arch_native()) {
        result = seccomp_arch_add(filter, architecture);
        if (result == 0) {
            result = seccomp_arch_remove(filter, seccomp_arch_native());
        }
    }
    if (result == 0) {
        result = add_conditional(filter);
    }
    if (result == 0) {
        result = add_sockets(filter, hidden);
    }
    if (result != 0) {
        errno = -result;
        return error_errno(err, ERR_ISOLATION, "seccomp: make the filter");
    }
    if (add_all(filter, SCMP_ACT_ERRNO(EPERM), forbidden, ARRAY_LEN(forbidden)) != 0 ||
        add_all(filter, SCMP_ACT_ERRNO(ENOSYS), unknown, ARRAY_LEN(unknown)) != 0 ||
        add_all(filter, SCMP_ACT_ERRNO(0), without_effect, ARRAY_LEN(without_effect)) != 0) {
        return error_errno(err, ERR_ISOLATION, "seccomp: make the filter");
    }
    /* Fewer comparisons for the many calls that are allowed. */
    seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    return 0;
}

/* Adds the rules for a further kind of program that runs on this machine. */
static int add_kind(scmp_filter_ctx filter, uint32_t architecture, bool hidden, struct error *err)
{
    AUTO(free_filter) scmp_filter_ctx other = seccomp_init(SCMP_ACT_ALLOW);
    if (!other) {
        return error_set(err, ERR_ISOLATION, "seccomp: out of memory");
    }
    if (make_filter(other, architecture, hidden, err) != 0) {
        return -1;
    }
    int result = seccomp_merge(filter, other);
    if (result != 0) {
        errno = -result;
        return error_errno(err, ERR_ISOLATION, "seccomp: make the filter");
    }
    other = NULL; /* it is the filter's now */
    return 0;
}

static int make_whole(scmp_filter_ctx filter, struct error *err)
{
    if (make_filter(filter, seccomp_arch_native(), false, err) != 0) {
        return -1;
    }
#if defined(__x86_64__)
    return add_kind(filter, SCMP_ARCH_X86, true, err) != 0
               ? -1
               : add_kind(filter, SCMP_ARCH_X32, false, err);
#elif defined(__aarch64__)
    return add_kind(filter, SCMP_ARCH_ARM, false, err);
#else
    return 0;
#endif
}

/* libseccomp gives the program only into a file. */
static int export_filter(struct buf *out, struct error *err)
{
    AUTO(free_filter) scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    AUTO(fd_closep) int fd = memfd_create("seccomp", MFD_CLOEXEC);
    if (!filter || fd < 0) {
        return error_set(err, ERR_ISOLATION, "seccomp: out of memory");
    }
    if (make_whole(filter, err) != 0) {
        return -1;
    }
    int result = seccomp_export_bpf(filter, fd);
    if (result != 0 || lseek(fd, 0, SEEK_SET) != 0) {
        errno = result != 0 ? -result : errno;
        return error_errno(err, ERR_ISOLATION, "seccomp: write the filter");
    }
    return file_read_fd(fd, "seccomp filter", FILTER_MAX, out, err);
}

int sandbox_filter_program(const void **data_out, size_t *len_out, struct error *err)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static struct buf program = BUF_INIT(0);
    int result = 0;
    pthread_mutex_lock(&lock);
    if (program.len == 0) {
        struct buf made = BUF_INIT(0);
        result = export_filter(&made, err);
        if (result == 0) {
            program = made;
        } else {
            buf_release(&made);
        }
    }
    pthread_mutex_unlock(&lock);
    *data_out = program.data;
    *len_out = program.len;
    return result;
}
