/* The mount calls that the sandbox is made of: new file systems, copies of mounts, attaching. */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "builder/sandbox_internal.h"

int mount_new(const char *type, const char *const *options, unsigned attributes, int *mount_out,
              struct error *err)
{
    AUTO(fd_closep) int fs = fsopen(type, FSOPEN_CLOEXEC);
    if (fs < 0) {
        return error_errno(err, ERR_ISOLATION, "mount %s", type);
    }
    for (size_t i = 0; options[i]; i += 2) {
        bool flag = !options[i + 1];
        if (fsconfig(fs, flag ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING, options[i], options[i + 1],
                     0) != 0) {
            return error_errno(err, ERR_ISOLATION, "mount %s: option %s=%s", type, options[i],
                               flag ? "" : options[i + 1]);
        }
        if (flag) {
            break;
        }
    }
    int mount = -1;
    if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0) {
        mount = fsmount(fs, FSMOUNT_CLOEXEC, attributes);
    }
    if (mount < 0) {
        return error_errno(err, ERR_ISOLATION, "mount %s", type);
    }
    *mount_out = mount;
    return 0;
}

int mount_attach(int mount, int target, const char *name, struct error *err)
{
    if (move_mount(mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0) {
        return error_errno(err, ERR_ISOLATION, "mount over '%s'", name);
    }
    return 0;
}

int mount_copy(int dirfd, const char *path, unsigned attributes, int *mount_out, struct error *err)
{
    unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (path[0] ? 0 : AT_EMPTY_PATH);
    AUTO(fd_closep) int mount = open_tree(dirfd, path, flags);
    if (mount < 0 && errno == EINVAL) {
        /* In a user namespace, mounts from outside show what lies below them or nothing. */
        mount = open_tree(dirfd, path, flags | AT_RECURSIVE);
    }
    if (mount < 0) {
        return error_errno(err, ERR_ISOLATION, "bind '%s'", path);
    }
    struct mount_attr attr = {.attr_set = attributes};
    if (attributes &&
        mount_setattr(mount, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof attr) != 0) {
        return error_errno(err, ERR_ISOLATION, "bind '%s'", path);
    }
    *mount_out = fd_steal(&mount);
    return 0;
}

int mount_open_target(int root, const char *path, int *fd_out, struct error *err)
{
    return file_open_in_root(root, path, O_PATH | O_NOFOLLOW, 0, fd_out, err);
}
