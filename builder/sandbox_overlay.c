/*
 * Overlay mounts, by the mount interface of Linux 6.8 ("lowerdir+") or, on older kernels, by
 * mount(2) with short links in place of paths, as its options must fit in one page.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "builder/sandbox_internal.h"

/* Every option says off what would put more than plain files into the upper folder. xino keeps
 * inode numbers as they are on one file system; volatile: a layer is only kept once it was written
 * elsewhere, so that nothing here must survive a power cut. */
static const char *const common_options[] = {"index", "metacopy", "redirect_dir"};

/* What the kernel says about a failed mount, where it says anything. */
static int fail_config(int fs, const char *what, struct error *err)
{
    int saved = errno;
    char log[512];
    ssize_t got = read(fs, log, sizeof log - 1);
    errno = saved;
    if (got <= 2) {
        return error_errno(err, ERR_ISOLATION, "overlay: %s", what);
    }
    log[got] = '\0';
    log[strcspn(log, "\n")] = '\0';
    return error_errno(err, ERR_ISOLATION, "overlay: %s: %s", what, log + 2);
}

static int set_fd(int fs, const char *key, int fd)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return fsconfig(fs, FSCONFIG_SET_STRING, key, path, 0);
}

static int configure(int fs, const struct overlay_layers *layers, struct error *err)
{
    for (size_t i = 0; i < layers->lowers_len; i++) {
        if (set_fd(fs, "lowerdir+", layers->lowers[i]) != 0) {
            return fail_config(fs, "lowerdir+", err);
        }
    }
    /* With user attributes, redirect_dir is off and cannot be named. */
    size_t options = ARRAY_LEN(common_options) - (layers->user_xattrs ? 1 : 0);
    for (size_t i = 0; i < options; i++) {
        if (fsconfig(fs, FSCONFIG_SET_STRING, common_options[i], "off", 0) != 0) {
            return fail_config(fs, common_options[i], err);
        }
    }
    if (layers->user_xattrs && fsconfig(fs, FSCONFIG_SET_FLAG, "userxattr", NULL, 0) != 0) {
        return fail_config(fs, "userxattr", err);
    }
    if (layers->upper >= 0 &&
        (set_fd(fs, "upperdir", layers->upper) != 0 || set_fd(fs, "workdir", layers->work) != 0 ||
         fsconfig(fs, FSCONFIG_SET_FLAG, "volatile", NULL, 0) != 0)) {
        return fail_config(fs, "upperdir", err);
    }
    if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) != 0) {
        return fail_config(fs, "mount", err);
    }
    return 0;
}

/* Links 0, 1, ... in the folder DIR to the descriptors, which stay valid as /proc/self/fd/N. */
static int link_folders(int dir, const struct overlay_layers *layers, struct buf *options,
                        struct error *err)
{
    buf_puts(options, "lowerdir=");
    for (size_t i = 0; i < layers->lowers_len; i++) {
        char name[24];
        char target[48];
        snprintf(name, sizeof name, "%zu", i);
        snprintf(target, sizeof target, "/proc/self/fd/%d", layers->lowers[i]);
        if (symlinkat(target, dir, name) != 0) {
            return error_errno(err, ERR_ISOLATION, "overlay: link layer %zu", i);
        }
        buf_printf(options, "%s%s", i ? ":" : "", name);
    }
    if (layers->upper >= 0) {
        buf_printf(options, ",upperdir=/proc/self/fd/%d,workdir=/proc/self/fd/%d,volatile",
                   layers->upper, layers->work);
    }
    buf_printf(options, ",index=off,metacopy=off%s",
               layers->user_xattrs ? ",userxattr" : ",redirect_dir=off");
    return 0;
}

/* Mounts over the folder "m" in scratch and takes the mount away from there again. */
static int mount_by_options(const struct overlay_layers *layers, int *mount_out, struct error *err)
{
    AUTO(buf_release) struct buf options = BUF_INIT(64 * 1024);
    char name[17];
    file_random_name(name);
    AUTO(fd_closep) int dir = -1;
    if (mkdirat(layers->scratch, name, 0700) != 0) {
        return error_errno(err, ERR_ISOLATION, "overlay: make '%s'", name);
    }
    if (file_open(layers->scratch, name, O_PATH | O_DIRECTORY, 0, &dir, err) != 0 ||
        link_folders(dir, layers, &options, err) != 0) {
        return -1;
    }
    if (options.len >= 4096) {
        return error_set(err, ERR_ISOLATION,
                         "overlay: %zu layers are too many for this kernel: 6.8 and later take 500",
                         layers->lowers_len);
    }
    /* This process runs alone and uses no relative path. */
    if (mkdirat(dir, "m", 0700) != 0 || fchdir(dir) != 0 ||
        mount("overlay", "m", "overlay", 0, buf_text(&options)) != 0) {
        return error_errno(err, ERR_ISOLATION, "overlay: mount");
    }
    int result = open_tree(dir, "m", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (result < 0) {
        error_errno(err, ERR_ISOLATION, "overlay: take the mount");
    }
    umount2("m", MNT_DETACH);
    if (chdir("/") != 0 || result < 0) {
        return -1;
    }
    *mount_out = result;
    return 0;
}

/* Both ways were refused: what a person can do about it. */
static int explain_refusal(const struct overlay_layers *layers, const struct error *first,
                           struct error *err)
{
    struct statfs fs;
    if (layers->upper < 0 || fstatfs(layers->upper, &fs) != 0) {
        *err = *first;
        return -1;
    }
    const char *kind = fs.f_type == OVERLAYFS_SUPER_MAGIC ? "overlayfs"
                       : fs.f_type == NFS_SUPER_MAGIC     ? "NFS"
                       : fs.f_type == FUSE_SUPER_MAGIC    ? "FUSE"
                                                          : NULL;
    if (!kind) {
        *err = *first;
        return -1;
    }
    return error_set(
        err, ERR_ISOLATION,
        "the store lies on %s, which cannot hold what a RUN writes: set SLIPWAY_HOME to "
        "a folder on ext4, xfs, btrfs or tmpfs (in a container: a volume)",
        kind);
}

int overlay_mount(const struct overlay_layers *layers, int *mount_out, struct error *err)
{
    AUTO(fd_closep) int fs = fsopen("overlay", FSOPEN_CLOEXEC);
    if (fs < 0) {
        return error_errno(err, ERR_ISOLATION, "overlay: open the file system");
    }
    struct error first = {0};
    if (configure(fs, layers, &first) != 0) {
        /* EINVAL: from 6.5 to 6.7 at the option, before that only by the mount itself. */
        if (first.sys_errno != EINVAL) {
            *err = first;
            return -1;
        }
        if (mount_by_options(layers, mount_out, err) == 0) {
            return 0;
        }
        return err->sys_errno == EINVAL ? explain_refusal(layers, &first, err) : -1;
    }
    int mount = fsmount(fs, FSMOUNT_CLOEXEC, 0);
    if (mount < 0) {
        return error_errno(err, ERR_ISOLATION, "overlay: mount");
    }
    *mount_out = mount;
    return 0;
}
