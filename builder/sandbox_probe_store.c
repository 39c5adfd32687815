/* Whether the upper folder of an overlay can lie in the store, tried out in a child. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "builder/sandbox.h"

/* In the child, in the folder that holds the four: the exit status is errno. */
static int try_mount(bool user_xattrs)
{
    const char *options = user_xattrs ? "lowerdir=lower,upperdir=upper,workdir=work,userxattr"
                                      : "lowerdir=lower,upperdir=upper,workdir=work";
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("overlay", "merged", "overlay", 0, options) != 0) {
        return errno;
    }
    /* Where attributes are missing, the mount works and removing something does not. */
    if (rmdir("merged/gone") != 0 || mkdir("merged/gone", 0700) != 0) {
        return errno;
    }
    return 0;
}

static int try_in_child(int dir, bool user_xattrs, int *status_out, struct error *err)
{
    pid_t child = fork();
    if (child == 0) {
        _exit(fchdir(dir) == 0 ? try_mount(user_xattrs) : errno);
    }
    int status = 0;
    pid_t got = -1;
    do {
        got = child < 0 ? -1 : waitpid(child, &status, 0);
    } while (got < 0 && child > 0 && errno == EINTR);
    if (got < 0) {
        return error_errno(err, ERR_ISOLATION, "make a process");
    }
    *status_out = WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
    return 0;
}

int sandbox_probe_store(struct store *store, enum sandbox_rung rung, char **why_out,
                        struct error *err)
{
    static const char *const folders[] = {"lower", "lower/gone", "upper", "work", "merged"};
    AUTO(mem_freep) char *temp = NULL;
    AUTO(fd_closep) int dir = -1;
    int status = 0;
    if (store_temp_dir(store, &temp, err) != 0 ||
        file_open(store_fd(store), temp, O_RDONLY | O_DIRECTORY, 0, &dir, err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        if (mkdirat(dir, folders[i], 0700) != 0) {
            return error_errno(err, ERR_STORE, "make folder '%s/%s'", temp, folders[i]);
        }
    }
    int result = try_in_child(dir, rung == RUNG_USERNS, &status, err);
    struct error ignored = {0};
    file_remove_tree(store_fd(store), temp, &ignored);
    if (result != 0) {
        return -1;
    }
    char text[128];
    *why_out = status ? mem_strdup(strerror_r(status, text, sizeof text)) : NULL;
    return 0;
}
