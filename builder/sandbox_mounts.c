/* Everything that is mounted for a RUN but /dev: the overlay, /proc, /sys, single files, and what
 * the RUN asks for. */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/path.h"
#include "builder/sandbox_internal.h"

static int make_folder(int work, const char *name, int *fd_out, struct error *err)
{
    if (mkdirat(work, name, 0755) != 0) {
        return error_errno(err, ERR_ISOLATION, "make folder '%s'", name);
    }
    return file_open(work, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0, fd_out, err);
}

/* The folders of the job, open for the time of mounting. */
struct folders {
    int upper, overlay_work, scaffold, empty, scratch, mount_point;
    int *lowers; /* [0] is kept free for the scaffold; then topmost first */
    size_t lowers_len;
};

static void folders_release(struct folders *f)
{
    int *all[] = {&f->upper, &f->overlay_work, &f->scaffold,
                  &f->empty, &f->scratch,      &f->mount_point};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        fd_closep(all[i]);
    }
    for (size_t i = 0; i < f->lowers_len; i++) {
        fd_closep(&f->lowers[i + 1]);
    }
    free(f->lowers);
}

/* Whether the same layer lies above LOWER once more: it then says all that LOWER does, and
 * overlayfs takes each folder only once. */
static bool is_repeated(const struct sandbox_spec *spec, const char *const *lower)
{
    for (const char *const *above = lower + 1; above < spec->lowers + spec->lowers_len; above++) {
        if (strcmp(*above, *lower) == 0) {
            return true;
        }
    }
    return false;
}

static int open_folders(const struct sandbox_job *job, struct sandbox_root *root, struct folders *f,
                        struct error *err)
{
    AUTO(fd_closep) int store = -1;
    if (file_open(AT_FDCWD, job->store, O_PATH | O_DIRECTORY, 0, &store, err) != 0 ||
        file_open(store, job->work, O_PATH | O_DIRECTORY, 0, &root->work, err) != 0 ||
        make_folder(root->work, "upper", &f->upper, err) != 0 ||
        make_folder(root->work, "work", &f->overlay_work, err) != 0 ||
        make_folder(root->work, "scaffold", &f->scaffold, err) != 0 ||
        make_folder(root->work, "empty", &f->empty, err) != 0 ||
        make_folder(root->work, "scratch", &f->scratch, err) != 0 ||
        make_folder(root->work, "root", &f->mount_point, err) != 0) {
        return -1;
    }
    size_t count = job->spec.lowers_len;
    f->lowers = mem_calloc(count + 2, sizeof *f->lowers);
    for (size_t i = 0; i < count; i++) {
        const char *const *lower = &job->spec.lowers[count - 1 - i];
        if (is_repeated(&job->spec, lower)) {
            continue;
        }
        if (file_open(store, *lower, O_PATH | O_DIRECTORY, 0, &f->lowers[f->lowers_len + 1], err) !=
            0) {
            return -1;
        }
        f->lowers_len++;
    }
    return 0;
}

/* The lower layers alone: an overlay without upper folder needs two of them. */
static int mount_view(struct overlay_layers *layers, struct folders *f, int *view_out,
                      struct error *err)
{
    if (f->lowers_len == 0) {
        *view_out = fcntl(f->empty, F_DUPFD_CLOEXEC, 0);
        return 0;
    }
    layers->upper = -1;
    layers->lowers = f->lowers + 1;
    layers->lowers_len = f->lowers_len;
    if (f->lowers_len == 1) {
        f->lowers[2] = f->empty;
        layers->lowers_len = 2;
    }
    return overlay_mount(layers, view_out, err);
}

int sandbox_mount_root(const struct sandbox_job *job, struct sandbox_root *root, struct error *err)
{
    AUTO(folders_release)
    struct folders f = {-1, -1, -1, -1, -1, -1, NULL, 0};
    if (open_folders(job, root, &f, err) != 0) {
        return -1;
    }
    struct overlay_layers layers = {.user_xattrs = job->rung == RUNG_USERNS,
                                    .scratch = f.scratch,
                                    .upper = -1,
                                    .work = f.overlay_work};
    bool scaffold_used = false;
    if (mount_view(&layers, &f, &root->view, err) != 0 ||
        sandbox_copy_attributes(root->view, f.upper, err) != 0 ||
        sandbox_copy_attributes(root->view, f.scaffold, err) != 0 ||
        sandbox_make_targets(&job->spec, root, f.scaffold, &scaffold_used, err) != 0) {
        return -1;
    }
    f.lowers[0] = f.scaffold;
    bool with_scaffold = scaffold_used || f.lowers_len == 0;
    layers.upper = f.upper;
    layers.lowers = with_scaffold ? f.lowers : f.lowers + 1;
    layers.lowers_len = f.lowers_len + (with_scaffold ? 1 : 0);
    if (overlay_mount(&layers, &root->root, err) != 0) {
        return -1;
    }
    return mount_attach(root->root, f.mount_point, "root", err);
}

/* Makes PATH below the root inside another mount, where the scaffold could not hold it. */
static int make_in_mount(int root, const char *path, bool is_dir, struct error *err)
{
    AUTO(mem_freep) char *parent = path_parent(path);
    struct error missing = {0};
    AUTO(fd_closep) int dir = -1;
    if (file_open_in_root(root, parent, O_PATH | O_DIRECTORY, 0, &dir, &missing) != 0) {
        if (!parent[0] || make_in_mount(root, parent, true, err) != 0 ||
            file_open_in_root(root, parent, O_PATH | O_DIRECTORY, 0, &dir, err) != 0) {
            return -1;
        }
    }
    const char *name = path_name(path);
    if (is_dir) {
        return mkdirat(dir, name, 0755) == 0
                   ? 0
                   : error_errno(err, ERR_ISOLATION, "make mount point '/%s'", path);
    }
    AUTO(fd_closep) int fd = -1;
    return file_open(dir, name, O_WRONLY | O_CREAT | O_EXCL, 0644, &fd, err);
}

/* Attaches MOUNT (a folder's or a file's) at target INDEX. */
static int attach_at(const struct sandbox_root *root, size_t index, int mount, struct error *err)
{
    const char *path = root->targets.items[index];
    struct stat st;
    if (fstat(mount, &st) != 0) {
        return error_errno(err, ERR_ISOLATION, "mount at '/%s'", path);
    }
    struct error missing = {0};
    AUTO(fd_closep) int target = -1;
    if (mount_open_target(root->root, path, &target, &missing) != 0 &&
        (make_in_mount(root->root, path, S_ISDIR(st.st_mode), err) != 0 ||
         mount_open_target(root->root, path, &target, err) != 0)) {
        return -1;
    }
    return mount_attach(mount, target, path, err);
}

static int mount_proc(const struct sandbox_root *root, struct error *err)
{
    static const char *const options[] = {NULL};
    AUTO(fd_closep) int proc = -1;
    if (mount_new("proc", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, &proc,
                  err) != 0) {
        return error_wrap(err, "%s",
                          "a new /proc is refused where parts of the machine's own are "
                          "hidden (a container needs systempaths=unconfined)");
    }
    return attach_at(root, TARGET_PROC, proc, err);
}

/* A sysfs of the network namespace, else (it is not ours to mount) a copy of the machine's. */
static int mount_sys(const struct sandbox_root *root, struct error *err)
{
    static const char *const options[] = {NULL};
    unsigned attributes =
        MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
    struct error first = {0};
    AUTO(fd_closep) int sys = -1;
    if (mount_new("sysfs", options, attributes, &sys, &first) != 0 &&
        mount_copy(AT_FDCWD, "/sys", attributes, &sys, err) != 0) {
        return -1;
    }
    if (attach_at(root, TARGET_SYS, sys, err) != 0) {
        return -1;
    }
    /* Memory and processor limits are read there; a copy of /sys may have them already. */
    AUTO(fd_closep) int cgroup = -1;
    AUTO(fd_closep) int target = -1;
    AUTO(mem_freep) char *path = path_join(root->targets.items[TARGET_SYS], "fs/cgroup");
    if (mount_copy(AT_FDCWD, "/sys/fs/cgroup", attributes, &cgroup, &first) == 0 &&
        mount_open_target(root->root, path, &target, &first) == 0) {
        return mount_attach(cgroup, target, path, err);
    }
    return 0;
}

/* Hides PATH behind an empty folder or /dev/null. What is not there needs no hiding. */
static int mask_path(int root, const char *path, struct error *err)
{
    struct error missing = {0};
    struct stat st;
    AUTO(fd_closep) int target = -1;
    AUTO(fd_closep) int mount = -1;
    if (mount_open_target(root, path, &target, &missing) != 0 || fstat(target, &st) != 0) {
        return 0;
    }
    if (S_ISDIR(st.st_mode)) {
        static const char *const options[] = {"mode", "0555", "size", "4k", NULL};
        if (mount_new("tmpfs", options,
                      MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
                      &mount, err) != 0) {
            return -1;
        }
    } else if (mount_copy(AT_FDCWD, "/dev/null", 0, &mount, err) != 0) {
        return -1;
    }
    return mount_attach(mount, target, path, err);
}

/* Docker's masked and read-only paths. */
static int protect(const struct sandbox_root *root, struct error *err)
{
    static const char *const masked[] = {
        "proc/acpi",       "proc/asound",        "proc/interrupts",  "proc/kcore",
        "proc/keys",       "proc/latency_stats", "proc/sched_debug", "proc/scsi",
        "proc/timer_list", "proc/timer_stats",   "sys/firmware",     "sys/devices/virtual/powercap",
    };
    static const char *const readonly[] = {
        "proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger",
    };
    for (size_t i = 0; i < ARRAY_LEN(masked); i++) {
        if (mask_path(root->root, masked[i], err) != 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(readonly); i++) {
        struct error missing = {0};
        AUTO(fd_closep) int target = -1;
        AUTO(fd_closep) int mount = -1;
        if (mount_open_target(root->root, readonly[i], &target, &missing) != 0) {
            continue;
        }
        if (mount_copy(target, "", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, &mount,
                       err) != 0 ||
            mount_attach(mount, target, readonly[i], err) != 0) {
            return -1;
        }
    }
    return 0;
}

/* A file that lives only in the tmpfs FILES: made, filled, and a mount of it alone. */
static int file_mount(int files, size_t index, const struct sandbox_mount *file, int *mount_out,
                      struct error *err)
{
    char name[32];
    snprintf(name, sizeof name, "%zu", index);
    AUTO(fd_closep) int fd = -1;
    if (file_open(files, name, O_WRONLY | O_CREAT | O_EXCL, 0600, &fd, err) != 0 ||
        file_write_fd(fd, file->target, file->data, file->data_len, err) != 0) {
        return -1;
    }
    if (fchown(fd, file->uid, file->gid) != 0 || fchmod(fd, file->mode & 07777) != 0) {
        return error_errno(err, ERR_ISOLATION, "mount '%s' for uid %u", file->target, file->uid);
    }
    /* A script of a here-document is a file to execute; all others are data. */
    unsigned attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
    attributes |= file->readonly ? MOUNT_ATTR_RDONLY : 0;
    attributes |= file->mode & 0111 ? 0 : MOUNT_ATTR_NOEXEC;
    return mount_copy(files, name, attributes, mount_out, err);
}

/* Mounts a copy of the machine's file PATH with EXTRA behind it. */
static int mount_host_file(const struct sandbox_root *root, int files, size_t index,
                           const char *extra, struct error *err)
{
    static const char *const sources[] = {
        [TARGET_RESOLV] = "/etc/resolv.conf", [TARGET_HOSTS] = "/etc/hosts"};
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    bool found = false;
    if (file_read(AT_FDCWD, sources[index], LIMIT_TEXT_FILE_BYTES, &text, &found, err) != 0) {
        return -1;
    }
    if (text.len > 0 && text.data[text.len - 1] != '\n') {
        buf_putc(&text, '\n');
    }
    buf_puts(&text, extra);
    struct sandbox_mount file = {
        .target = sources[index], .data = buf_text(&text), .data_len = text.len, .mode = 0644};
    AUTO(fd_closep) int mount = -1;
    if (file_mount(files, index, &file, &mount, err) != 0) {
        return -1;
    }
    return attach_at(root, index, mount, err);
}

static int mount_host_files(const struct sandbox_spec *spec, const struct sandbox_root *root,
                            int files, struct error *err)
{
    AUTO(buf_release) struct buf hosts = BUF_INIT(0);
    buf_puts(&hosts, "127.0.0.1\t" SANDBOX_HOSTNAME "\n");
    for (size_t i = 0; i < spec->add_hosts->len; i++) {
        const char *item = spec->add_hosts->items[i];
        const char *colon = strchr(item, ':');
        if (!colon) {
            return error_set(err, ERR_USAGE, "--add-host '%s': write NAME:IP", item);
        }
        buf_printf(&hosts, "%s\t%.*s\n", colon + 1, (int)(colon - item), item);
    }
    if (mount_host_file(root, files, TARGET_RESOLV, "", err) != 0) {
        return -1;
    }
    return mount_host_file(root, files, TARGET_HOSTS, buf_text(&hosts), err);
}

/* The rights of a new tmpfs at target INDEX: those of the folder that the layers have there, else
 * everybody's (runc). */
static unsigned tmpfs_mode(const struct sandbox_root *root, size_t index)
{
    struct error ignored = {0};
    struct stat st;
    AUTO(fd_closep) int fd = -1;
    const char *path = root->targets.items[index];
    bool there = file_open_in_root(root->view, path, O_PATH | O_DIRECTORY, 0, &fd, &ignored) == 0 &&
                 fstat(fd, &st) == 0;
    return there ? st.st_mode & 07777u : 01777;
}

static int new_tmpfs(const struct sandbox_mount *mount, unsigned rights, int *mount_out,
                     struct error *err)
{
    char size[32];
    char mode[16];
    char uid[16];
    char gid[16];
    snprintf(size, sizeof size, "%llu", (unsigned long long)mount->size_bytes);
    snprintf(mode, sizeof mode, "%o", mount->mode ? mount->mode & 07777 : rights);
    snprintf(uid, sizeof uid, "%u", mount->uid);
    snprintf(gid, sizeof gid, "%u", mount->gid);
    const char *const options[] = {"mode", mode, "uid", uid, "gid", gid, "size", size, NULL};
    return mount_new("tmpfs", options,
                     (mount->readonly ? MOUNT_ATTR_RDONLY : 0) | MOUNT_ATTR_NOSUID |
                         MOUNT_ATTR_NODEV,
                     mount_out, err);
}

/* One mount of the RUN's own. */
static int mount_one(const struct sandbox_root *root, int files, const struct sandbox_mount *mount,
                     size_t index, struct error *err)
{
    AUTO(fd_closep) int fd = -1;
    int result = -1;
    switch (mount->type) {
    case SANDBOX_BIND:
        result =
            mount_copy(AT_FDCWD, mount->source, mount->readonly ? MOUNT_ATTR_RDONLY : 0, &fd, err);
        break;
    case SANDBOX_TMPFS:
        result = new_tmpfs(mount, tmpfs_mode(root, index), &fd, err);
        break;
    case SANDBOX_FILE:
        result = file_mount(files, index, mount, &fd, err);
        break;
    }
    if (result != 0 || attach_at(root, index, fd, err) != 0) {
        return error_wrap(err, "mount target '%s'", mount->target);
    }
    return 0;
}

/* The tmpfs for single files, which must not reach a swap device where that can be had. It is
 * attached outside of the new root: only then can parts of it be copied. */
static int mount_files(const struct sandbox_root *root, int *files_out, struct error *err)
{
    static const char *const best[] = {"mode", "0700", "noswap", NULL, NULL};
    static const char *const plain[] = {"mode", "0700", NULL};
    unsigned attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
    struct error first = {0};
    AUTO(fd_closep) int target = -1;
    AUTO(fd_closep) int files = -1;
    if (file_open(root->work, "scratch", O_PATH | O_DIRECTORY, 0, &target, err) != 0 ||
        (mount_new("tmpfs", best, attributes, &files, &first) != 0 &&
         mount_new("tmpfs", plain, attributes, &files, err) != 0) ||
        mount_attach(files, target, "scratch", err) != 0) {
        return -1;
    }
    *files_out = fd_steal(&files);
    return 0;
}

int sandbox_mount_all(const struct sandbox_job *job, struct sandbox_root *root, struct error *err)
{
    const struct sandbox_spec *spec = &job->spec;
    AUTO(fd_closep) int files = -1;
    AUTO(fd_closep) int dev = -1;
    if (mount_files(root, &files, err) != 0 || mount_proc(root, err) != 0 ||
        mount_sys(root, err) != 0 || protect(root, err) != 0 ||
        mount_open_target(root->root, root->targets.items[TARGET_DEV], &dev, err) != 0 ||
        sandbox_mount_dev(dev, err) != 0 || mount_host_files(spec, root, files, err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < spec->mounts_len; i++) {
        if (mount_one(root, files, &spec->mounts[i], TARGETS_FIXED + i, err) != 0) {
            return -1;
        }
    }
    return 0;
}

int sandbox_pivot(const struct sandbox_root *root, struct error *err)
{
    if (fchdir(root->root) != 0) {
        return error_errno(err, ERR_ISOLATION, "enter the new root");
    }
    if (syscall(SYS_pivot_root, ".", ".") == 0) {
        /* The old root lies over the new one now. */
        if (umount2(".", MNT_DETACH) != 0) {
            return error_errno(err, ERR_ISOLATION, "leave the machine's root");
        }
    } else if (mount(".", "/", NULL, MS_MOVE, NULL) != 0 || chroot(".") != 0) {
        /* EINVAL where the machine's root is its initial ram disk. */
        return error_errno(err, ERR_ISOLATION, "make the layers the root");
    }
    return chdir("/") == 0 ? 0 : error_errno(err, ERR_ISOLATION, "enter the new root");
}
