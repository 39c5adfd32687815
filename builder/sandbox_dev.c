/* A private /dev: the nodes every program counts on, and nothing of the machine's devices. */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "builder/sandbox_internal.h"

static const struct {
    const char *name;
    unsigned minor;
    unsigned major;
} nodes[] = {
    {"null", 3, 1},   {"zero", 5, 1},    {"full", 7, 1},
    {"random", 8, 1}, {"urandom", 9, 1}, {"tty", 0, 5},
};

static const struct {
    const char *name;
    const char *target;
} links[] = {
    {"fd", "/proc/self/fd"},       {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"},
    {"stderr", "/proc/self/fd/2"}, {"ptmx", "pts/ptmx"},         {"core", "/proc/kcore"},
};

/* The machine's own node NAME over an empty file, where nodes cannot be made (a user namespace). */
static int bind_node(int dev, const char *name, struct error *err)
{
    char path[32];
    snprintf(path, sizeof path, "/dev/%s", name);
    AUTO(fd_closep) int mount = -1;
    AUTO(fd_closep) int target = -1;
    if (file_open(dev, name, O_WRONLY | O_CREAT | O_EXCL, 0666, &target, err) != 0 ||
        mount_copy(AT_FDCWD, path, 0, &mount, err) != 0) {
        return -1;
    }
    return mount_attach(mount, target, path, err);
}

static int make_nodes(int dev, struct error *err)
{
    for (size_t i = 0; i < ARRAY_LEN(nodes); i++) {
        const char *name = nodes[i].name;
        if (mknodat(dev, name, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)) != 0) {
            if (errno != EPERM) {
                return error_errno(err, ERR_ISOLATION, "make /dev/%s", name);
            }
            if (bind_node(dev, name, err) != 0) {
                return -1;
            }
        } else if (fchmodat(dev, name, 0666, 0) != 0) {
            return error_errno(err, ERR_ISOLATION, "make /dev/%s", name);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(links); i++) {
        if (symlinkat(links[i].target, dev, links[i].name) != 0) {
            return error_errno(err, ERR_ISOLATION, "make /dev/%s", links[i].name);
        }
    }
    return 0;
}

static int attach_below(int dev, const char *name, int mount, struct error *err)
{
    AUTO(fd_closep) int target = -1;
    if (mkdirat(dev, name, 0755) != 0) {
        return error_errno(err, ERR_ISOLATION, "make /dev/%s", name);
    }
    if (file_open(dev, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0, &target, err) != 0) {
        return -1;
    }
    return mount_attach(mount, target, name, err);
}

static int mount_pts(int dev, struct error *err)
{
    /* Group 5 is tty; it may not exist in a user namespace. */
    static const char *const with_group[] = {"ptmxmode", "0666", "mode", "0620", "gid", "5", NULL};
    static const char *const plain[] = {"ptmxmode", "0666", "mode", "0620", NULL};
    unsigned attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;
    struct error first = {0};
    AUTO(fd_closep) int mount = -1;
    if (mount_new("devpts", with_group, attributes, &mount, &first) != 0 &&
        mount_new("devpts", plain, attributes, &mount, err) != 0) {
        return -1;
    }
    return attach_below(dev, "pts", mount, err);
}

static int mount_shm(int dev, struct error *err)
{
    static const char *const options[] = {"mode", "1777", "size", "64m", NULL};
    AUTO(fd_closep) int mount = -1;
    if (mount_new("tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
                  &mount, err) != 0) {
        return -1;
    }
    return attach_below(dev, "shm", mount, err);
}

static int mount_mqueue(int dev, struct error *err)
{
    static const char *const options[] = {NULL};
    struct error missing = {0};
    AUTO(fd_closep) int mount = -1;
    if (mount_new("mqueue", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
                  &mount, &missing) != 0) {
        return 0; /* a kernel without POSIX message queues */
    }
    return attach_below(dev, "mqueue", mount, err);
}

int sandbox_mount_dev(int target, struct error *err)
{
    static const char *const options[] = {"mode", "0755", "size", "64m", NULL};
    AUTO(fd_closep) int dev = -1;
    if (mount_new("tmpfs", options, MOUNT_ATTR_NOSUID, &dev, err) != 0 ||
        mount_attach(dev, target, "/dev", err) != 0) {
        return -1;
    }
    if (make_nodes(dev, err) != 0 || mount_pts(dev, err) != 0 || mount_shm(dev, err) != 0) {
        return -1;
    }
    return mount_mqueue(dev, err);
}
