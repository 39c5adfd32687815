/* Which rung this process gets, tried out in a child that leaves nothing behind. */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/memory.h"
#include "builder/sandbox_internal.h"

/* Whether all ids are those of the machine: then trusted attributes work. */
static bool in_first_namespace(void)
{
    AUTO(buf_release) struct buf map = BUF_INIT(0);
    struct error ignored = {0};
    unsigned long inside = 1;
    unsigned long outside = 1;
    unsigned long count = 0;
    return file_read(AT_FDCWD, "/proc/self/uid_map", LIMIT_TEXT_FILE_BYTES, &map, NULL, &ignored) ==
               0 &&
           sscanf(buf_text(&map), "%lu %lu %lu", &inside, &outside, &count) == 3 && inside == 0 &&
           outside == 0 && count == 4294967295UL;
}

/* ---- the child ---- */

/* Two empty folders as an overlay. */
static int try_overlay(bool user_xattrs, struct error *err)
{
    static const char *const options[] = {NULL};
    AUTO(fd_closep) int files = -1;
    AUTO(fd_closep) int top = -1;
    AUTO(fd_closep) int mount = -1;
    int lowers[2] = {-1, -1};
    if (file_open(AT_FDCWD, "/", O_PATH | O_DIRECTORY, 0, &top, err) != 0 ||
        mount_new("tmpfs", options, 0, &files, err) != 0 ||
        mount_attach(files, top, "/", err) != 0) {
        return -1;
    }
    if (mkdirat(files, "a", 0700) != 0 || mkdirat(files, "b", 0700) != 0 ||
        mkdirat(files, "s", 0700) != 0) {
        return error_errno(err, ERR_ISOLATION, "make folders");
    }
    AUTO(fd_closep) int scratch = openat(files, "s", O_PATH | O_CLOEXEC);
    lowers[0] = openat(files, "a", O_PATH | O_CLOEXEC);
    lowers[1] = openat(files, "b", O_PATH | O_CLOEXEC);
    struct overlay_layers layers = {.lowers = lowers,
                                    .lowers_len = 2,
                                    .upper = -1,
                                    .work = -1,
                                    .scratch = scratch,
                                    .user_xattrs = user_xattrs};
    return overlay_mount(&layers, &mount, err);
}

/* A new /proc is only allowed in a pid namespace of one's own, by a process inside of it. */
static int try_proc(struct error *err)
{
    static const char *const options[] = {NULL};
    pid_t child = fork();
    if (child == 0) {
        int mount = -1;
        _exit(mount_new("proc", options, 0, &mount, err) == 0 ? 0 : 1);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child) {
        return error_errno(err, ERR_ISOLATION, "make a process");
    }
    if (status != 0) {
        return error_set(err, ERR_ISOLATION,
                         "a new /proc is refused, as parts of the one here are hidden: give this "
                         "container --security-opt systempaths=unconfined");
    }
    return 0;
}

static int try_namespaces(struct error *err)
{
    bool first = geteuid() == 0 && in_first_namespace();
    int user = geteuid() == 0 ? 0 : CLONE_NEWUSER;
    if (unshare(user | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS) != 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        if (user) {
            return error_errno(err, ERR_ISOLATION,
                               "user namespaces are refused (sysctl user.max_user_namespaces, "
                               "kernel.unprivileged_userns_clone, "
                               "kernel.apparmor_restrict_unprivileged_userns; in a container: "
                               "--security-opt seccomp=unconfined)");
        }
        return error_errno(err, ERR_ISOLATION,
                           "namespaces and mounts are refused: give this container --privileged, "
                           "or run as an ordinary user where user namespaces are allowed");
    }
    return try_overlay(!first, err) == 0 ? try_proc(err) : -1;
}

int sandbox_probe_main(void)
{
    struct error err = {0};
    if (try_namespaces(&err) == 0) {
        return 0;
    }
    struct error ignored = {0};
    file_write_fd(STDOUT_FILENO, "answer", err.text, strlen(err.text), &ignored);
    return 1;
}

/* ---- the parent ---- */

static pthread_mutex_t probing = PTHREAD_MUTEX_INITIALIZER;
static bool probed;
static enum sandbox_rung rung;
static char *reason;

/* Asks the child. *REASON_OUT is NULL where everything worked. */
static int ask(char **reason_out, struct error *err)
{
    AUTO(buf_release) struct buf answer = BUF_INIT(0);
    int output[2];
    pid_t child = -1;
    if (pipe2(output, O_CLOEXEC) != 0) {
        return error_errno(err, ERR_ISOLATION, "make a pipe");
    }
    AUTO(fd_closep) int from = output[0];
    AUTO(fd_closep) int to = output[1];
    AUTO(fd_closep) int null = -1;
    if (file_open(AT_FDCWD, "/dev/null", O_RDWR, 0, &null, err) != 0) {
        return -1;
    }
    const int fds[] = {null, to, null};
    if (sandbox_spawn(fds, ARRAY_LEN(fds), SANDBOX_PROBE, &child, err) != 0) {
        return -1;
    }
    fd_closep(&to);
    to = -1;
    int result = file_read_fd(from, "the probe's answer", LIMIT_TEXT_FILE_BYTES, &answer, err);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (result != 0) {
        return -1;
    }
    if (status != 0) {
        *reason_out = mem_strdup(answer.len ? buf_text(&answer) : "the probe was killed");
    }
    return 0;
}

static int probe_once(struct error *err)
{
    char *why = NULL;
    if (ask(&why, err) != 0) {
        return -1;
    }
    const char *inside = getenv(SANDBOX_INSIDE);
    if (why) {
        rung = RUNG_NONE;
    } else if (geteuid() == 0 && in_first_namespace()) {
        rung = RUNG_OVERLAY;
    } else {
        rung = RUNG_USERNS;
        why = inside && strcmp(inside, "one") == 0 ? mem_strdup(SANDBOX_ONE_ID_HINT) : NULL;
    }
    reason = why;
    probed = true;
    return 0;
}

int sandbox_probe(enum sandbox_rung *rung_out, char **why_out, struct error *err)
{
    pthread_mutex_lock(&probing);
    int result = probed ? 0 : probe_once(err);
    if (result == 0) {
        *rung_out = rung;
        if (why_out) {
            *why_out = mem_strdup(reason);
        }
    }
    pthread_mutex_unlock(&probing);
    return result;
}

enum unpack_style sandbox_style(enum sandbox_rung of)
{
    return of == RUNG_USERNS ? UNPACK_OVERLAY_USER : UNPACK_OVERLAY;
}
