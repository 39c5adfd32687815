#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/memory.h"
#include "registry/docker_config_internal.h"

enum { TIMEOUT_S = 60, ANSWER_MAX = 1024 * 1024 };

static const char NOT_FOUND[] = "credentials not found in native keychain";

extern char **environ;

/* A helper at work: our end of the socket that is its stdin and stdout. */
struct helper {
    pid_t pid;
    int fd;
    int pidfd; /* readable once it has ended */
    const char *program;
};

/* The name becomes part of a program's name: no paths. */
static bool is_name(const char *name)
{
    return *name &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
               strlen(name);
}

static int64_t now_s(void)
{
    struct timespec t = {0};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

/* A socket pair in place of pipes: writing to a helper that is gone gives EPIPE and no signal. */
static int start(struct helper *h, const char *action, struct error *err)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        return error_errno(err, ERR_AUTH, "%s: socketpair", h->program);
    }
    AUTO(fd_closep) int ours = pair[0];
    AUTO(fd_closep) int theirs = pair[1];
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigset_t defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, theirs, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, theirs, STDOUT_FILENO);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    /* In our process group: a helper may ask on the terminal, and Ctrl-C is meant for it too. */
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    char *argv[] = {(char *)h->program, (char *)action, NULL};
    int rc = posix_spawnp(&h->pid, h->program, &actions, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (rc != 0) {
        errno = rc;
        return error_errno(err, ERR_AUTH, "cannot run the credential helper '%s'", h->program);
    }
    h->fd = fd_steal(&ours);
    h->pidfd = pidfd_open(h->pid, 0);
    return 0;
}

static int send_input(struct helper *h, const char *input, struct error *err)
{
    size_t len = strlen(input);
    while (len > 0) {
        ssize_t sent = send(h->fd, input, len, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0 && (errno == EPIPE || errno == ECONNRESET)) {
            break; /* its answer and status say why it did not want it */
        }
        if (sent < 0) {
            return error_errno(err, ERR_AUTH, "write to '%s'", h->program);
        }
        input += sent;
        len -= (size_t)sent;
    }
    shutdown(h->fd, SHUT_WR);
    return 0;
}

static int read_answer(struct helper *h, struct buf *out, struct error *err)
{
    int64_t until = now_s() + TIMEOUT_S;
    bool closed = false;
    for (;;) {
        if (cancel_requested()) {
            return cancel_error(err);
        }
        if (now_s() >= until) {
            return error_set(err, ERR_AUTH,
                             "the credential helper '%s' did not answer within %d seconds",
                             h->program, TIMEOUT_S);
        }
        /* Its exit counts, not the end of its output: a child that it leaves behind may keep that
         * open. */
        struct pollfd fds[] = {{.fd = closed ? -1 : h->fd, .events = POLLIN},
                               {.fd = h->pidfd, .events = POLLIN},
                               {.fd = cancel_fd(), .events = POLLIN}};
        if (poll(fds, ARRAY_LEN(fds), 1000) <= 0) {
            continue;
        }
        if (fds[0].revents == 0) {
            if (fds[1].revents != 0) {
                return 0;
            }
            continue;
        }
        char chunk[4096];
        ssize_t got = recv(h->fd, chunk, sizeof chunk, MSG_DONTWAIT);
        if (got < 0 && (errno == EINTR || errno == EAGAIN)) {
            continue;
        }
        if (got <= 0) {
            closed = true;
            continue;
        }
        if (out->len + (size_t)got > ANSWER_MAX) {
            return error_set(err, ERR_AUTH, "the credential helper '%s' answers more than %d bytes",
                             h->program, ANSWER_MAX);
        }
        buf_append(out, chunk, (size_t)got);
    }
}

/* Ends it if need be and reaps it. */
static int finish(struct helper *h, bool kill_it)
{
    close(h->fd);
    if (h->pidfd >= 0) {
        close(h->pidfd);
    }
    int status = 0;
    if (kill_it) {
        kill(h->pid, SIGKILL);
    }
    while (waitpid(h->pid, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int credential_helper_run(const char *name, const char *action, const char *input, struct buf *out,
                          int *status_out, struct error *err)
{
    if (!is_name(name)) {
        return error_set(err, ERR_AUTH, "'%.100s' is no name of a credential helper", name);
    }
    AUTO(mem_freep) char *program = mem_printf("docker-credential-%s", name);
    struct helper h = {.pid = -1, .fd = -1, .pidfd = -1, .program = program};
    if (start(&h, action, err) != 0) {
        return -1;
    }
    if (send_input(&h, input, err) != 0 || read_answer(&h, out, err) != 0) {
        finish(&h, true);
        return -1;
    }
    *status_out = finish(&h, false);
    return 0;
}

/* What the helper said, on one line. */
static int refused(const char *name, const char *action, const struct buf *answer, int status,
                   struct error *err)
{
    AUTO(mem_freep) char *words = mem_strdup(buf_text(answer));
    words[strcspn(words, "\r\n")] = '\0';
    return error_set(err, ERR_AUTH, "docker-credential-%s %s: %.500s", name, action,
                     *words          ? words
                     : status == 127 ? "not found"
                                     : "failed without a word");
}

static bool says_not_found(const struct buf *answer)
{
    return strncmp(buf_text(answer), NOT_FOUND, sizeof NOT_FOUND - 1) == 0;
}

int credential_helper_get(const char *name, const char *host, struct credentials *out,
                          struct error *err)
{
    AUTO(buf_release) struct buf answer = BUF_INIT(0);
    int status = 0;
    if (credential_helper_run(name, "get", auth_file_key(host), &answer, &status, err) != 0) {
        return error_wrap(err, "credentials for %s", host);
    }
    if (status != 0) {
        if (says_not_found(&answer)) {
            return 0;
        }
        refused(name, "get", &answer, status, err);
        return error_wrap(err, "credentials for %s", host);
    }
    AUTO(json_freep) json_t *root = NULL;
    AUTO(mem_freep) char *source = mem_printf("docker-credential-%s", name);
    if (json_parse(answer.data, answer.len, ANSWER_MAX, source, ERR_AUTH, &root, err) != 0) {
        /* The parser's words could quote the secret. */
        return error_set(err, ERR_AUTH, "credentials for %s: %s get: the answer is not JSON", host,
                         source);
    }
    const char *user = json_get_string(root, "Username");
    const char *secret = json_get_string(root, "Secret");
    if (!secret || !*secret) {
        return 0;
    }
    if (user && strcmp(user, "<token>") == 0) {
        out->identity_token = mem_strdup(secret);
    } else {
        out->user = mem_strdup(user ? user : "");
        out->password = mem_strdup(secret);
    }
    out->source = MEM_STEAL(source);
    return 0;
}

int credential_helper_store(const char *name, const char *host, const char *user,
                            const char *password, struct error *err)
{
    AUTO(json_freep)
    json_t *root = json_pack("{s:s, s:s, s:s}", "ServerURL", auth_file_key(host), "Username", user,
                             "Secret", password);
    if (!root) {
        return error_set(err, ERR_USAGE, "user name or password is not UTF-8");
    }
    AUTO(buf_release) struct buf text = BUF_INIT(0);
    AUTO(buf_release) struct buf answer = BUF_INIT(0);
    int status = 0;
    json_render(root, &text);
    if (credential_helper_run(name, "store", buf_text(&text), &answer, &status, err) != 0) {
        return -1;
    }
    return status == 0 ? 0 : refused(name, "store", &answer, status, err);
}

int credential_helper_erase(const char *name, const char *host, bool *found_out, struct error *err)
{
    AUTO(buf_release) struct buf answer = BUF_INIT(0);
    int status = 0;
    if (credential_helper_run(name, "erase", auth_file_key(host), &answer, &status, err) != 0) {
        return -1;
    }
    *found_out = status == 0;
    return status == 0 || says_not_found(&answer) ? 0
                                                  : refused(name, "erase", &answer, status, err);
}
