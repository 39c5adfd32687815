/*
 * Mount points. What a mount needs and the layers lack is made in a layer of its own on top of them
 * (the scaffold), below the upper folder: the command sees it, and the difference never does.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/path.h"
#include "builder/sandbox_internal.h"

static const char *const fixed_targets[TARGETS_FIXED] = {
    [TARGET_PROC] = "/proc",       [TARGET_SYS] = "/sys",
    [TARGET_DEV] = "/dev",         [TARGET_RESOLV] = "/etc/resolv.conf",
    [TARGET_HOSTS] = "/etc/hosts",
};

/* What tree_resolve_with() asks about the view. */
struct view {
    int fd;
    struct entry entry;
    char link[LIMIT_LINK_BYTES + 1];
};

static const struct entry *find_in_view(void *ctx, const char *path)
{
    struct view *view = ctx;
    struct error ignored = {0};
    struct stat st;
    AUTO(fd_closep) int fd = -1;
    if (file_open_no_links(view->fd, path, O_PATH, 0, &fd, &ignored) != 0 || fstat(fd, &st) != 0) {
        return NULL;
    }
    view->entry = (struct entry){.path = path, .type = ENTRY_FILE};
    if (S_ISDIR(st.st_mode)) {
        view->entry.type = ENTRY_DIR;
    } else if (S_ISLNK(st.st_mode)) {
        ssize_t len = readlinkat(fd, "", view->link, sizeof view->link - 1);
        view->link[len > 0 ? len : 0] = '\0';
        view->entry.type = ENTRY_SYMLINK;
        view->entry.link = view->link;
    }
    return &view->entry;
}

static int copy_xattr(const char *from, const char *to, const char *name, struct error *err)
{
    AUTO(mem_freep) char *value = mem_alloc(LIMIT_XATTR_BYTES);
    ssize_t size = getxattr(from, name, value, LIMIT_XATTR_BYTES);
    if (size < 0 || setxattr(to, name, value, (size_t)size, 0) != 0) {
        if (errno == ENOTSUP || errno == ENODATA || errno == EPERM) {
            return 0;
        }
        return error_errno(err, ERR_ISOLATION, "copy the attribute %s of a folder", name);
    }
    return 0;
}

static int copy_xattrs(int from, int to, struct error *err)
{
    char from_path[48];
    char to_path[48];
    snprintf(from_path, sizeof from_path, "/proc/self/fd/%d", from);
    snprintf(to_path, sizeof to_path, "/proc/self/fd/%d", to);
    AUTO(mem_freep) char *names = mem_alloc(LIMIT_XATTR_BYTES);
    ssize_t len = listxattr(from_path, names, LIMIT_XATTR_BYTES);
    for (ssize_t at = 0; at < len; at += (ssize_t)strlen(names + at) + 1) {
        const char *name = names + at;
        if (strncmp(name, "trusted.overlay.", 16) != 0 && strncmp(name, "user.overlay.", 13) != 0 &&
            copy_xattr(from_path, to_path, name, err) != 0) {
            return -1;
        }
    }
    return 0;
}

int sandbox_copy_attributes(int from, int to, struct error *err)
{
    struct stat st;
    if (fstat(from, &st) != 0) {
        return error_errno(err, ERR_ISOLATION, "look at a folder of the layers");
    }
    char path[48];
    snprintf(path, sizeof path, "/proc/self/fd/%d", to);
    const struct timespec times[2] = {st.st_atim, st.st_mtim};
    /* An owner that is not mapped in this user namespace cannot be copied. */
    if (chown(path, st.st_uid, st.st_gid) != 0 && errno != EINVAL && errno != EPERM) {
        return error_errno(err, ERR_ISOLATION, "copy a folder's owner");
    }
    if (chmod(path, st.st_mode & 07777) != 0 || copy_xattrs(from, to, err) != 0 ||
        utimensat(AT_FDCWD, path, times, 0) != 0) {
        return err->code ? -1 : error_errno(err, ERR_ISOLATION, "copy a folder's attributes");
    }
    return 0;
}

/* Makes folder PATH in the scaffold. */
static int make_folder(int scaffold, const char *path, struct error *err)
{
    if (mkdirat(scaffold, path, 0755) != 0 && errno != EEXIST) {
        return error_errno(err, ERR_ISOLATION, "make mount point '/%s'", path);
    }
    return 0;
}

/* The folders from the root to PATH's parent look like those of the view, once everything is made
 * (deepest last seen does not matter: making things changes only times). */
static int dress_parents(int view, int scaffold, const char *path, struct error *err)
{
    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        AUTO(mem_freep) char *parent = mem_strndup(path, (size_t)(slash - path));
        struct error missing = {0};
        AUTO(fd_closep) int from = -1;
        AUTO(fd_closep) int to = -1;
        if (file_open_no_links(view, parent, O_PATH | O_DIRECTORY, 0, &from, &missing) != 0) {
            return 0;
        }
        if (file_open_no_links(scaffold, parent, O_PATH | O_DIRECTORY, 0, &to, err) != 0 ||
            sandbox_copy_attributes(from, to, err) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Makes PATH (tree form, without links) and its parents in the scaffold. */
static int make_target(int scaffold, const char *path, bool is_dir, struct error *err)
{
    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        AUTO(mem_freep) char *parent = mem_strndup(path, (size_t)(slash - path));
        if (make_folder(scaffold, parent, err) != 0) {
            return -1;
        }
    }
    if (is_dir) {
        return make_folder(scaffold, path, err);
    }
    AUTO(fd_closep) int fd = -1;
    return file_open(scaffold, path, O_WRONLY | O_CREAT | O_NOFOLLOW, 0644, &fd, err);
}

/* Whether mount INDEX of all is a folder. */
static int target_is_dir(const struct sandbox_spec *spec, size_t index, bool *dir_out,
                         struct error *err)
{
    *dir_out = index < TARGET_RESOLV;
    if (index < TARGETS_FIXED) {
        return 0;
    }
    const struct sandbox_mount *mount = &spec->mounts[index - TARGETS_FIXED];
    struct stat st = {.st_mode = S_IFDIR};
    if (mount->type == SANDBOX_BIND && stat(mount->source, &st) != 0) {
        return error_errno(err, ERR_ISOLATION, "mount '%s' at '%s'", mount->source, mount->target);
    }
    *dir_out = mount->type != SANDBOX_FILE && S_ISDIR(st.st_mode);
    return 0;
}

/* Whether PATH lies below one of the targets so far: it is then made inside that mount. */
static bool is_inside_mount(const struct strlist *targets, const char *path)
{
    for (size_t i = 0; i < targets->len; i++) {
        if (path_is_below(path, targets->items[i])) {
            return true;
        }
    }
    return false;
}

/* Compares what is there with what the mount needs. */
static int check_kind(const struct entry *found, const char *target, bool is_dir, struct error *err)
{
    if ((found->type == ENTRY_DIR) != is_dir) {
        return error_set(err, ERR_ISOLATION, "mount target '%s' is %s", target,
                         is_dir ? "not a folder" : "a folder");
    }
    return 0;
}

int sandbox_make_targets(const struct sandbox_spec *spec, struct sandbox_root *root, int scaffold,
                         bool *used_out, struct error *err)
{
    AUTO(mem_freep) struct view *view = mem_calloc(1, sizeof *view);
    AUTO(strlist_release) struct strlist made = {0};
    view->fd = root->view;
    for (size_t i = 0; i < TARGETS_FIXED + spec->mounts_len; i++) {
        const char *target =
            i < TARGETS_FIXED ? fixed_targets[i] : spec->mounts[i - TARGETS_FIXED].target;
        AUTO(mem_freep) char *clean = path_clean(target);
        AUTO(mem_freep) char *path = NULL;
        bool is_dir = false;
        if (target_is_dir(spec, i, &is_dir, err) != 0 ||
            tree_resolve_with(find_in_view, view, clean, true, &path, err) != 0) {
            return error_wrap(err, "mount target '%s'", target);
        }
        const struct entry *found = path[0] ? find_in_view(view, path) : NULL;
        if (!path[0] || (found && check_kind(found, target, is_dir, err) != 0)) {
            return path[0] ? -1
                           : error_set(err, ERR_ISOLATION, "mount target '%s' is the root", target);
        }
        if (!found && !is_inside_mount(&root->targets, path)) {
            if (make_target(scaffold, path, is_dir, err) != 0) {
                return -1;
            }
            strlist_add(&made, path);
        }
        strlist_add(&root->targets, path);
    }
    for (size_t i = 0; i < made.len; i++) {
        if (dress_parents(root->view, scaffold, made.items[i], err) != 0) {
            return -1;
        }
    }
    *used_out = made.len > 0;
    return 0;
}
