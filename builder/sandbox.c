/* The sandbox's door: starts the child, shows its output, brings back the outcome. */
#include "builder/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/memory.h"
#include "builder/sandbox_image.h"
#include "builder/sandbox_internal.h"
#include "builder/upper_diff.h"

enum { TAIL_BYTES = 16 * 1024, TAIL_LINES = 20 };

/* One RUN as its caller sees it. */
struct run {
    const struct sandbox_spec *spec;
    pid_t child;
    int control;
    int output;
    int view;
    bool signalled; /* the wish to stop was passed on */
    bool exited;
    int status;
    struct error error; /* what the child reported */
    struct buf tail;
};

static void run_release(struct run *run)
{
    fd_closep(&run->control);
    fd_closep(&run->output);
    fd_closep(&run->view);
    buf_release(&run->tail);
}

/* Puts copies above the places that are filled first, so that none is overwritten before it was
 * copied (and not further up: few descriptors may be allowed). */
static int add_descriptors(posix_spawn_file_actions_t *actions, const int *fds, size_t len,
                           int *copies, struct error *err)
{
    for (size_t i = 0; i < len; i++) {
        copies[i] = fds[i] < 0 ? -1 : fcntl(fds[i], F_DUPFD_CLOEXEC, SANDBOX_FDS);
        if (fds[i] >= 0 && copies[i] < 0) {
            return error_errno(err, ERR_ISOLATION, "start the sandbox");
        }
    }
    for (size_t i = 0; i < len; i++) {
        int failed =
            copies[i] < 0 ? 0 : posix_spawn_file_actions_adddup2(actions, copies[i], (int)i);
        if (failed) {
            errno = failed;
            return error_errno(err, ERR_ISOLATION, "start the sandbox");
        }
    }
    return 0;
}

int sandbox_spawn(const int *fds, size_t fds_len, const char *word, pid_t *pid_out,
                  struct error *err)
{
    char parent[24];
    snprintf(parent, sizeof parent, "%d", (int)getpid());
    char *argv[] = {(char *)"slipway", (char *)SANDBOX_COMMAND, parent, (char *)(uintptr_t)word,
                    NULL};
    char *env[] = {NULL};
    int copies[SANDBOX_FDS];
    for (size_t i = 0; i < SANDBOX_FDS; i++) {
        copies[i] = -1;
    }
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    int result = add_descriptors(&actions, fds, fds_len, copies, err);
    if (result == 0) {
        char path[SANDBOX_IMAGE_PATH_SIZE];
        int failed = posix_spawn(pid_out, sandbox_image_path(path), &actions, NULL, argv, env);
        if (failed) {
            errno = failed;
            result = error_errno(err, ERR_ISOLATION, "start the sandbox (%s)", path);
        }
    }
    posix_spawn_file_actions_destroy(&actions);
    for (size_t i = 0; i < SANDBOX_FDS; i++) {
        fd_closep(&copies[i]);
    }
    return result;
}

/* A file in memory with DATA, at its start. */
static int memory_file(const char *name, const void *data, size_t len, int *fd_out,
                       struct error *err)
{
    AUTO(fd_closep) int fd = memfd_create(name, MFD_CLOEXEC);
    if (fd < 0 || file_write_fd(fd, name, data, len, err) != 0 || lseek(fd, 0, SEEK_SET) != 0) {
        return err->code ? -1 : error_errno(err, ERR_ISOLATION, "make a file in memory");
    }
    *fd_out = fd_steal(&fd);
    return 0;
}

static int open_stdin(const struct sandbox_spec *spec, int *fd_out, struct error *err)
{
    if (spec->stdin_data) {
        return memory_file("stdin", spec->stdin_data, spec->stdin_len, fd_out, err);
    }
    return file_open(AT_FDCWD, "/dev/null", O_RDONLY, 0, fd_out, err);
}

static int start(const struct sandbox_job *job, struct run *run, struct error *err)
{
    AUTO(buf_release) struct buf bytes = BUF_INIT(0);
    AUTO(fd_closep) int job_fd = -1;
    AUTO(fd_closep) int in = -1;
    AUTO(fd_closep) int null = -1;
    int control[2];
    int output[2];
    sandbox_job_write(job, &bytes);
    if (memory_file("job", bytes.data, bytes.len, &job_fd, err) != 0 ||
        open_stdin(&job->spec, &in, err) != 0 ||
        file_open(AT_FDCWD, "/dev/null", O_RDWR, 0, &null, err) != 0) {
        return -1;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) != 0) {
        return error_errno(err, ERR_ISOLATION, "start the sandbox");
    }
    run->control = control[0];
    AUTO(fd_closep) int child_control = control[1];
    if (pipe2(output, O_CLOEXEC) != 0) {
        return error_errno(err, ERR_ISOLATION, "start the sandbox");
    }
    run->output = output[0];
    AUTO(fd_closep) int child_output = output[1];
    const int fds[SANDBOX_FDS] = {in, null, null, job_fd, child_control, child_output};
    return sandbox_spawn(fds, SANDBOX_FDS, NULL, &run->child, err);
}

/* Keeps the end of what was written. */
static void keep_tail(struct buf *tail, const char *data, size_t len)
{
    if (len > TAIL_BYTES) {
        data += len - TAIL_BYTES;
        len = TAIL_BYTES;
    }
    if (tail->len + len > 2 * (size_t)TAIL_BYTES) {
        size_t keep = TAIL_BYTES;
        memmove(tail->data, tail->data + tail->len - keep, keep);
        tail->len = keep;
    }
    buf_append(tail, data, len);
}

/* The last lines of what was kept. */
static char *last_lines(const struct buf *tail)
{
    const char *text = buf_text(tail);
    size_t end = tail->len;
    while (end > 0 && text[end - 1] == '\n') {
        end--;
    }
    size_t begin = end;
    for (int lines = 0; begin > 0; begin--) {
        if (text[begin - 1] == '\n') {
            lines++;
        }
        if (lines == TAIL_LINES || end - begin >= TAIL_BYTES) {
            break;
        }
    }
    return mem_strndup(text + begin, end - begin);
}

/* Takes one chunk of output. *OPEN_OUT is false at its end. */
static int take_output(struct run *run, bool *open_out, struct error *err)
{
    char chunk[32 * 1024];
    ssize_t got = read(run->output, chunk, sizeof chunk);
    if (got < 0 && errno != EINTR) {
        return error_errno(err, ERR_ISOLATION, "read the output of RUN");
    }
    if (got > 0) {
        keep_tail(&run->tail, chunk, (size_t)got);
        struct event event = {
            .type = EVENT_STEP_OUTPUT, .step = run->spec->step, .data = chunk, .len = (size_t)got};
        event_post(run->spec->events, &event);
    }
    *open_out = got != 0;
    return 0;
}

/* Once: it is the same for all RUNs that have the machine's network. */
static void warn_unguarded(const struct sandbox_spec *spec, const struct error *why)
{
    static atomic_flag said = ATOMIC_FLAG_INIT;
    if (spec->network == NETWORK_DEFAULT && !atomic_flag_test_and_set(&said)) {
        event_warning(spec->events, NULL, 0,
                      "a RUN can reach the addresses where AWS hands out keys (%s): --network none "
                      "keeps it from that",
                      why->text);
    }
}

static int take_message(struct run *run, bool *open_out, struct error *err)
{
    struct sandbox_message message;
    int fd = -1;
    if (sandbox_receive(run->control, &message, &fd, open_out, err) != 0) {
        return -1;
    }
    if (!*open_out) {
        return 0;
    }
    if (fd >= 0) {
        fd_closep(&run->view);
        run->view = fd;
    }
    if (message.type == SANDBOX_UNGUARDED) {
        warn_unguarded(run->spec, &message.error);
    } else if (message.type == SANDBOX_FAILED && !run->error.code) {
        run->error = message.error;
    } else if (message.type == SANDBOX_EXITED) {
        run->exited = true;
        run->status = message.status;
    }
    return 0;
}

/* Until every process of the RUN has closed its output and the control socket. */
static int follow(struct run *run, struct error *err)
{
    bool output_open = true;
    bool control_open = true;
    while (output_open || control_open) {
        struct pollfd polled[] = {
            {.fd = output_open ? run->output : -1, .events = POLLIN},
            {.fd = control_open ? run->control : -1, .events = POLLIN},
            {.fd = run->signalled ? -1 : cancel_fd(), .events = POLLIN},
        };
        if (poll(polled, ARRAY_LEN(polled), -1) < 0 && errno != EINTR) {
            return error_errno(err, ERR_ISOLATION, "wait for RUN");
        }
        if (polled[2].revents && !run->signalled) {
            run->signalled = true;
            kill(run->child, cancel_signal() == SIGINT ? SIGINT : SIGTERM);
        }
        if ((polled[0].revents && take_output(run, &output_open, err) != 0) ||
            (polled[1].revents && take_message(run, &control_open, err) != 0)) {
            return -1;
        }
    }
    return 0;
}

/* Runs the job to its end: afterwards no process of it is left. */
static int run_job(const struct sandbox_job *job, struct run *run, struct error *err)
{
    if (start(job, run, err) != 0) {
        return -1;
    }
    int result = follow(run, err);
    if (result != 0) {
        kill(run->child, SIGKILL);
    }
    int status = 0;
    while (waitpid(run->child, &status, 0) < 0 && errno == EINTR) {
    }
    if (result != 0) {
        return -1;
    }
    if (cancel_requested() && run->signalled) {
        return cancel_error(err);
    }
    if (run->error.code) {
        *err = run->error;
        return -1;
    }
    if (!run->exited) {
        return error_set(err, ERR_ISOLATION, "the sandbox ended without a word (%s %d)",
                         WIFSIGNALED(status) ? "signal" : "status",
                         WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
    return 0;
}

/* The stamps of the lower layers (oci/unpack.h): which times in them stand for volatile ones. */
static int read_stamps(struct store *store, const struct sandbox_spec *spec, int64_t *stamps,
                       struct error *err)
{
    for (size_t i = 0; i < spec->lowers_len; i++) {
        if (unpack_stamp(store, spec->lowers[i], &stamps[i], err) != 0) {
            return -1;
        }
    }
    return 0;
}

static int read_diff(struct store *store, const struct run *run, const struct timespec *started,
                     const char *upper_path, struct tree **out, struct error *err)
{
    AUTO(fd_closep) int upper = -1;
    AUTO(mem_freep) int64_t *stamps = mem_calloc(run->spec->lowers_len + 1, sizeof *stamps);
    if (read_stamps(store, run->spec, stamps, err) != 0 ||
        file_open(store_fd(store), upper_path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, &upper,
                  err) != 0) {
        return -1;
    }
    struct upper_diff diff = {.upper = upper,
                              .view = run->view,
                              .start = *started,
                              .stamps = stamps,
                              .stamps_len = run->spec->lowers_len};
    return upper_diff(&diff, out, err);
}

/* *NOTE_OUT (the caller's): what makes this rung weaker than it could be, or NULL. */
static int check_rung(enum sandbox_rung *rung_out, char **note_out, struct error *err)
{
    AUTO(mem_freep) char *why = NULL;
    if (sandbox_probe(rung_out, &why, err) != 0) {
        return -1;
    }
    if (*rung_out == RUNG_NONE || geteuid() != 0) {
        return error_set(err, ERR_ISOLATION, "no isolation for RUN: %s",
                         why ? why : "not inside a user namespace");
    }
    *note_out = MEM_STEAL(why);
    return 0;
}

/* Runs in the folder WORK and brings the difference back. */
static int run_in(struct store *store, const struct sandbox_job *job, struct sandbox_result *result,
                  struct error *err)
{
    AUTO(run_release)
    struct run run = {
        .spec = &job->spec, .control = -1, .output = -1, .view = -1, .tail = BUF_INIT(0)};
    AUTO(mem_freep) char *upper = mem_printf("%s/upper", job->work);
    AUTO(tree_unrefp) struct tree *diff = NULL;
    struct timespec started;
    /* The clock that files' times come from. */
    clock_gettime(CLOCK_REALTIME_COARSE, &started);
    if (run_job(job, &run, err) != 0) {
        return -1;
    }
    if (run.status == 0 && read_diff(store, &run, &started, upper, &diff, err) != 0) {
        return -1;
    }
    result->exit_status = run.status;
    result->tail = last_lines(&run.tail);
    result->diff = MEM_STEAL(diff);
    result->upper = MEM_STEAL(upper);
    return 0;
}

int sandbox_run(struct store *store, const struct sandbox_spec *spec, struct sandbox_result *result,
                struct error *err)
{
    static const struct strlist no_hosts = {0};
    AUTO(mem_freep) char *work = NULL;
    struct sandbox_job job = {.store = store_path(store), .spec = *spec};
    if (cancel_requested()) {
        return cancel_error(err);
    }
    AUTO(mem_freep) char *note = NULL;
    if (check_rung(&job.rung, &note, err) != 0 ||
        sandbox_filter_program(&job.filter, &job.filter_len, err) != 0 ||
        store_temp_dir(store, &work, err) != 0) {
        return -1;
    }
    job.work = work;
    job.spec.add_hosts = spec->add_hosts ? spec->add_hosts : &no_hosts;
    if (run_in(store, &job, result, err) != 0) {
        struct error ignored = {0};
        file_remove_tree(store_fd(store), work, &ignored);
        return -1;
    }
    if (result->exit_status != 0 && note) {
        /* Likely the reason: a chown or setuid that only this rung refuses. */
        AUTO(mem_freep) char *tail = result->tail;
        result->tail = mem_printf("%s%sslipway: note: %s", tail, tail[0] ? "\n" : "", note);
    }
    return 0;
}

void sandbox_result_release(struct store *store, struct sandbox_result *result)
{
    if (result->upper) {
        AUTO(mem_freep)
        char *work = mem_strndup(result->upper, strlen(result->upper) - strlen("/upper"));
        store_remove_later(store, work);
    }
    tree_unref(result->diff);
    free(result->tail);
    free(result->upper);
    *result = (struct sandbox_result){0};
}
