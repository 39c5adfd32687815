/*
 * Which system calls a RUN may use: what Docker's default profile forbids a container with the
 * default capabilities is forbidden here, with the same error. And calls that only wait for a disk
 * succeed at once: what a RUN writes is a cache until its layer is written, and package managers
 * call them for every file.
 */
#include <errno.h>
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

enum { FILTER_MAX = 64 * 1024 };

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
        result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 1,
                                  SCMP_A0(SCMP_CMP_EQ, AF_VSOCK));
    }
    if (result == 0) {
        /* Only the waiting kind: some libraries use MS_ASYNC to ask what is mapped. */
        result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(0), SCMP_SYS(msync), 1,
                                  SCMP_A2(SCMP_CMP_EQ, MS_SYNC));
    }
    return result;
}

/* 32-bit programs are filtered too; other ways in end with ENOSYS. */
static int set_up(scmp_filter_ctx filter)
{
#if defined(__x86_64__)
    static const uint32_t others[] = {SCMP_ARCH_X86, SCMP_ARCH_X32};
#elif defined(__aarch64__)
    static const uint32_t others[] = {SCMP_ARCH_ARM};
#else
    static const uint32_t others[] = {SCMP_ARCH_NATIVE};
#endif
    int result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0);
    if (result == 0) {
        result = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
    }
    if (result == 0) {
        /* Without it, older kernels slow the whole process down. */
        result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1);
    }
    for (size_t i = 0; i < ARRAY_LEN(others) && result == 0; i++) {
        result = seccomp_arch_add(filter, others[i]);
        result = result == -EEXIST ? 0 : result;
    }
    return result;
}

static int make_filter(scmp_filter_ctx filter, struct error *err)
{
    int result = set_up(filter);
    if (result == 0) {
        result = add_conditional(filter);
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

/* libseccomp gives the program only into a file. */
static int export_filter(struct buf *out, struct error *err)
{
    AUTO(free_filter) scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    AUTO(fd_closep) int fd = memfd_create("seccomp", MFD_CLOEXEC);
    if (!filter || fd < 0) {
        return error_set(err, ERR_ISOLATION, "seccomp: out of memory");
    }
    if (make_filter(filter, err) != 0) {
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
