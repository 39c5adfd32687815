/*
 * What a RUN must not reach although its network is the machine's: the addresses at which AWS hands
 * out the keys of the machine, task or build (link-local, so they are nobody else's).
 *
 * The RUN's processes are put into a control group of their own, to which two small programs for
 * the kernel are attached that refuse to connect there. That takes rights that only root of the
 * machine has; without them the addresses stay within reach (as they are for every process of
 * whoever builds), which README says.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "builder/sandbox_internal.h"

enum {
    PROGRAM_MAX = 64,
    ATTEMPTS = 3, /* between its birth and its lock a group may be taken for an old one */
};

static const char PREFIX[] = "slipway-";

/* EC2's metadata service; the endpoints of ECS (CodeBuild, Fargate) and of EKS Pod Identity. */
static const uint32_t addresses4[] = {0xA9FEA9FE, 0xA9FEAA02, 0xA9FEAA17};
/* fd00:ec2::254 and fd00:ec2::23 */
static const uint32_t addresses6[] = {0x254, 0x23};
enum { UNIQUE_LOCAL = 0xFD000EC2, MAPPED = 0xFFFF };

struct program {
    struct bpf_insn items[PROGRAM_MAX];
    size_t len;
};

/* Register 2 becomes the 32 bits at OFFSET of struct bpf_sock_addr. */
static void load(struct program *p, size_t offset)
{
    p->items[p->len++] = (struct bpf_insn){.code = BPF_LDX | BPF_MEM | BPF_W,
                                           .dst_reg = BPF_REG_2,
                                           .src_reg = BPF_REG_1,
                                           .off = (int16_t)offset};
}

/* Leaves the next SKIP instructions out where register 2 is not VALUE, in network order. */
static void unless(struct program *p, uint32_t value, int16_t skip)
{
    p->items[p->len++] = (struct bpf_insn){.code = BPF_JMP32 | BPF_JNE | BPF_K,
                                           .dst_reg = BPF_REG_2,
                                           .off = skip,
                                           .imm = (int32_t)htonl(value)};
}

/* 1: go on; 0: EPERM. */
static void answer(struct program *p, int verdict)
{
    p->items[p->len++] = (struct bpf_insn){
        .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = verdict};
    p->items[p->len++] = (struct bpf_insn){.code = BPF_JMP | BPF_EXIT};
}

static void refuse4(struct program *p)
{
    for (size_t i = 0; i < ARRAY_LEN(addresses4); i++) {
        unless(p, addresses4[i], 2);
        answer(p, 0);
    }
}

/* Jumps of a block of comparisons that ends at TARGET. */
static void point(struct program *p, size_t from, size_t target)
{
    p->items[from].off = (int16_t)(target - from - 1);
}

static size_t word6(int index)
{
    return offsetof(struct bpf_sock_addr, user_ip6) + 4 * (size_t)index;
}

static void make4(struct program *p)
{
    load(p, offsetof(struct bpf_sock_addr, user_ip4));
    refuse4(p);
    answer(p, 1);
}

/* Native addresses, and those of version 4 written as ::ffff:a.b.c.d. */
static void make6(struct program *p)
{
    const uint32_t local[] = {UNIQUE_LOCAL, 0, 0};
    const uint32_t mapped[] = {0, 0, MAPPED};
    const uint32_t *const starts[] = {local, mapped};
    for (size_t s = 0; s < ARRAY_LEN(starts); s++) {
        size_t jumps[3];
        for (int i = 0; i < 3; i++) {
            load(p, word6(i));
            jumps[i] = p->len;
            unless(p, starts[s][i], 0);
        }
        load(p, word6(3));
        if (starts[s] == mapped) {
            refuse4(p);
        } else {
            for (size_t i = 0; i < ARRAY_LEN(addresses6); i++) {
                unless(p, addresses6[i], 2);
                answer(p, 0);
            }
        }
        for (int i = 0; i < 3; i++) {
            point(p, jumps[i], p->len);
        }
    }
    answer(p, 1);
}

static int load_program(void (*make)(struct program *), uint32_t type)
{
    struct program p = {.len = 0};
    static const char license[] = "Dual MIT/GPL";
    make(&p);
    union bpf_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.prog_type = BPF_PROG_TYPE_CGROUP_SOCK_ADDR;
    attributes.expected_attach_type = type;
    attributes.insns = (uintptr_t)p.items;
    attributes.insn_cnt = (uint32_t)p.len;
    attributes.license = (uintptr_t)license;
    return (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof attributes);
}

static bool attach(int group, void (*make)(struct program *), uint32_t type)
{
    AUTO(fd_closep) int program = load_program(make, type);
    if (program < 0) {
        return false;
    }
    union bpf_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.target_fd = (uint32_t)group;
    attributes.attach_bpf_fd = (uint32_t)program;
    attributes.attach_type = type;
    attributes.attach_flags = BPF_F_ALLOW_MULTI;
    return syscall(SYS_bpf, BPF_PROG_ATTACH, &attributes, sizeof attributes) == 0;
}

/* Removes groups whose owner was killed: nobody holds their lock. */
static void sweep(int folder)
{
    AUTO(fd_closep) int again = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = again >= 0 ? fdopendir(again) : NULL;
    if (!list) {
        return;
    }
    fd_steal(&again); /* the list's now */
    for (struct dirent *entry = readdir(list); entry; entry = readdir(list)) {
        if (strncmp(entry->d_name, PREFIX, sizeof PREFIX - 1) != 0) {
            continue;
        }
        AUTO(fd_closep)
        int group = openat(folder, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (group >= 0 && flock(group, LOCK_EX | LOCK_NB) == 0) {
            unlinkat(folder, entry->d_name, AT_REMOVEDIR);
        }
    }
    closedir(list);
}

static bool make_group(struct sandbox_guard *guard)
{
    char random[17];
    file_random_name(random);
    snprintf(guard->name, sizeof guard->name, "%s%s", PREFIX, random);
    if (mkdirat(guard->folder, guard->name, 0755) != 0) {
        return false;
    }
    guard->group = openat(guard->folder, guard->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return guard->group >= 0 && flock(guard->group, LOCK_SH | LOCK_NB) == 0 &&
           attach(guard->group, make4, BPF_CGROUP_INET4_CONNECT) &&
           attach(guard->group, make6, BPF_CGROUP_INET6_CONNECT);
}

bool sandbox_guard_open(struct sandbox_guard *guard)
{
    static const char *const options[] = {NULL};
    AUTO(fd_closep)
    int probe = load_program(make4, BPF_CGROUP_INET4_CONNECT);
    for (int i = 0; probe >= 0 && i < ATTEMPTS; i++) {
        struct error ignored = {0};
        if (mount_new("cgroup2", options, 0, &guard->folder, &ignored) != 0) {
            return false;
        }
        sweep(guard->folder);
        if (make_group(guard)) {
            return true;
        }
        sandbox_guard_close(guard);
    }
    return false;
}

pid_t sandbox_guard_fork(const struct sandbox_guard *guard)
{
    /* Born there: moving a process from one group to another takes the kernel milliseconds. */
    struct clone_args arguments = {
        .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (uint64_t)guard->group};
    pid_t child = guard->group < 0 ? -1 : (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
    return child >= 0 ? child : fork();
}

void sandbox_guard_close(struct sandbox_guard *guard)
{
    if (guard->group >= 0) {
        close(guard->group);
    }
    if (guard->folder >= 0) {
        unlinkat(guard->folder, guard->name, AT_REMOVEDIR);
        close(guard->folder);
    }
    *guard = SANDBOX_GUARD_NONE;
}
