/* git's credential helpers, asked through `git credential fill` (gitcredentials(7)). */
#include "git/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cancel.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/strlist.h"

/* A helper may fetch a token over the network, and may hang. */
enum { HELPER_SECONDS = 60, ANSWER_MAX = 64 * 1024 };

extern char **environ;

/* Our environment without what points git to a repository or opens a window; nothing asks on the
 * terminal. */
static void helper_environment(struct strlist *out)
{
    static const char *const dropped[] = {"GIT_DIR=",     "GIT_WORK_TREE=", "GIT_TERMINAL_PROMPT=",
                                          "SSH_ASKPASS=", "GIT_TRACE",      "LC_ALL="};
    for (char **item = environ; *item; item++) {
        bool keep = true;
        for (size_t i = 0; i < ARRAY_LEN(dropped) && keep; i++) {
            keep = strncmp(*item, dropped[i], strlen(dropped[i])) != 0;
        }
        if (keep) {
            strlist_add(out, *item);
        }
    }
    strlist_add(out, "GIT_TERMINAL_PROMPT=0");
    strlist_add(out, "LC_ALL=C");
}

/* The question goes through a file in memory: a helper that does not read cannot hurt us by a
 * broken pipe. */
static int question(const struct git_url *url)
{
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    buf_printf(&text, "protocol=%s\nhost=%s", url->scheme == GIT_URL_HTTP ? "http" : "https",
               url->host);
    if (url->port) {
        buf_printf(&text, ":%u", url->port);
    }
    buf_printf(&text, "\npath=%s\n", url->path + (url->path[0] == '/'));
    if (url->user) {
        buf_printf(&text, "username=%s\n", url->user);
    }
    buf_puts(&text, "\n");
    AUTO(fd_closep) int fd = memfd_create("git-credential", MFD_CLOEXEC);
    struct error ignored = {0};
    if (fd < 0 || file_write_fd(fd, "question", text.data, text.len, &ignored) ||
        lseek(fd, 0, SEEK_SET) != 0) {
        return -1;
    }
    return fd_steal(&fd);
}

static pid_t start(int in, int out)
{
    static const char *const argv[] = {"git", "-C", "/", "credential", "fill", NULL};
    AUTO(strlist_release) struct strlist env = {0};
    helper_environment(&env);
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigset_t pipe_only;
    sigemptyset(&none);
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in, 0);
    posix_spawn_file_actions_adddup2(&actions, out, 1);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &pipe_only);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                              POSIX_SPAWN_SETPGROUP);
    pid_t pid = -1;
    if (posix_spawnp(&pid, "git", &actions, &attributes, (char *const *)argv, env.items)) {
        pid = -1;
    }
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return pid;
}

/* Reads the answer to its end. False where it took too long, was too much, or we are to stop. */
static bool read_answer(int fd, struct buf *out)
{
    for (;;) {
        struct pollfd fds[2] = {{.fd = fd, .events = POLLIN},
                                {.fd = cancel_fd(), .events = POLLIN}};
        int ready = poll(fds, 2, HELPER_SECONDS * 1000);
        if (ready < 0 && errno == EINTR && !cancel_requested()) {
            continue;
        }
        if (ready <= 0 || fds[1].revents) {
            return false;
        }
        char chunk[1024];
        ssize_t got = read(fd, chunk, sizeof chunk);
        if (got <= 0) {
            return got == 0;
        }
        if (!buf_try_append(out, chunk, (size_t)got)) {
            return false;
        }
    }
}

static char *answer_value(const char *text, const char *name)
{
    size_t len = strlen(name);
    while (*text) {
        size_t line = strcspn(text, "\n");
        if (line > len && strncmp(text, name, len) == 0 && text[len] == '=') {
            return mem_strndup(text + len + 1, line - len - 1);
        }
        text += line + (text[line] == '\n');
    }
    return NULL;
}

bool git_helper_find(const struct git_url *url, struct git_login *out)
{
    AUTO(fd_closep) int in = question(url);
    int ends[2];
    if (in < 0 || pipe2(ends, O_CLOEXEC)) {
        return false;
    }
    AUTO(fd_closep) int from = ends[0];
    AUTO(fd_closep) int to = ends[1];
    pid_t pid = start(in, to);
    if (pid < 0) {
        return false; /* no git program here */
    }
    fd_closep(&to);
    to = -1;
    AUTO(buf_release) struct buf answer = BUF_INIT(ANSWER_MAX);
    bool whole = read_answer(from, &answer);
    if (!whole) {
        kill(-pid, SIGKILL);
    }
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (!whole || status != 0) {
        return false;
    }
    out->user = answer_value(buf_text(&answer), "username");
    out->password = answer_value(buf_text(&answer), "password");
    if (out->user && out->password) {
        return true;
    }
    git_login_release(out);
    return false;
}
