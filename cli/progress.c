#include "cli/progress_internal.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/thread.h"

int progress_parse(const char *text, enum progress_mode *out, struct error *err)
{
    static const struct {
        const char *name;
        enum progress_mode mode;
    } modes[] = {{"auto", PROGRESS_AUTO}, {"plain", PROGRESS_PLAIN},  {"tty", PROGRESS_TTY},
                 {"json", PROGRESS_JSON}, {"rawjson", PROGRESS_JSON}, {"quiet", PROGRESS_QUIET}};
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        if (strcmp(text, modes[i].name) == 0) {
            *out = modes[i].mode;
            return 0;
        }
    }
    return error_set(err, ERR_USAGE, "'%s' is none of auto, plain, tty, json, quiet", text);
}

double progress_now(const struct progress *p)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - p->began.tv_sec) + (double)(now.tv_nsec - p->began.tv_nsec) / 1e9;
}

const char *progress_visible(const char *text, size_t *len)
{
    size_t end = *len;
    while (end > 0 && text[end - 1] == '\r') {
        end--;
    }
    size_t start = end;
    while (start > 0 && text[start - 1] != '\r') {
        start--;
    }
    *len = end - start;
    return text + start;
}

/* A display that nobody reads must not stop a build: errors of writing are not looked at. */
static void flush_out(struct progress *p)
{
    const char *data = p->out.data;
    size_t left = p->out.len;
    while (left > 0) {
        ssize_t n = write(p->fd, data, left);
        if (n < 0 && errno == EAGAIN) {
            poll(&(struct pollfd){.fd = p->fd, .events = POLLOUT}, 1, 1000);
            continue;
        }
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            break;
        }
        data += n;
        left -= (size_t)n;
    }
    buf_clear(&p->out);
}

static struct progress_step *find_step(struct progress *p, uint64_t number)
{
    for (size_t i = p->steps_len; number != 0 && i > 0; i--) {
        if (p->steps[i - 1].number == number) {
            return &p->steps[i - 1];
        }
    }
    return NULL;
}

/* NAME on one line: an instruction may have several, and indentation in them. The caller's. */
static char *one_line(const char *name)
{
    static const char blanks[] = " \t\r\n";
    struct buf line = BUF_INIT(0);
    while (*name) {
        size_t blank = strspn(name, blanks);
        bool inside = blank > 0 && line.len > 0 && name[blank] != '\0';
        buf_puts(&line, inside ? " " : "");
        name += blank;
        size_t word = strcspn(name, blanks);
        buf_append(&line, name, word);
        name += word;
    }
    return buf_take(&line);
}

static struct progress_step *add_step(struct progress *p, const struct event *event)
{
    p->steps = mem_realloc(p->steps, p->steps_len + 1, sizeof *p->steps);
    struct progress_step *step = &p->steps[p->steps_len++];
    *step = (struct progress_step){.number = event->step,
                                   .name = one_line(event->name ? event->name : ""),
                                   .start = progress_now(p),
                                   .partial = BUF_INIT(0)};
    return step;
}

static void end_line(struct progress *p, struct progress_step *step)
{
    size_t len = step->partial.len;
    const char *text = progress_visible(buf_text(&step->partial), &len);
    p->ops->line(p, step, text, len);
    buf_clear(&step->partial);
}

static void add_output(struct progress *p, struct progress_step *step, const struct event *event)
{
    for (size_t i = 0; i < event->len; i++) {
        if (event->data[i] == '\n') {
            end_line(p, step);
            continue;
        }
        if (step->partial.len >= PROGRESS_LINE_MAX) {
            end_line(p, step);
        }
        buf_putc(&step->partial, event->data[i]);
    }
}

static void show(struct progress *p, const struct event *event)
{
    struct progress_step *step = find_step(p, event->step);
    /* Several platforms are built one after the other and count their steps anew. */
    if (event->type == EVENT_STEP_START && (!step || step->ended)) {
        step = add_step(p, event);
    }
    if (event->type == EVENT_STEP_OUTPUT && step) {
        add_output(p, step, event);
    } else if (event->type == EVENT_STEP_END && step && step->partial.len > 0) {
        end_line(p, step);
    }
    p->ops->event(p, event, step);
    if (event->type == EVENT_STEP_END && step) {
        step->ended = true;
    }
    flush_out(p);
}

static void post(struct event_sink *sink, const struct event *event)
{
    struct progress *p = (struct progress *)(void *)sink;
    pthread_mutex_lock(&p->lock);
    if (!p->ended) {
        show(p, event);
    }
    pthread_mutex_unlock(&p->lock);
}

static void post_nothing(struct event_sink *sink, const struct event *event)
{
    (void)sink;
    (void)event;
}

static void *tick(void *arg)
{
    struct progress *p = arg;
    struct pollfd wake = {.fd = p->wake_fd, .events = POLLIN};
    while (poll(&wake, 1, 100) <= 0) {
        pthread_mutex_lock(&p->lock);
        p->ops->tick(p);
        flush_out(p);
        pthread_mutex_unlock(&p->lock);
    }
    return NULL;
}

static bool can_steer(int fd)
{
    const char *term = getenv("TERM");
    return isatty(fd) && term && *term && strcmp(term, "dumb") != 0;
}

struct progress *progress_new(enum progress_mode mode, int fd)
{
    struct progress *p = mem_calloc(1, sizeof *p);
    const char *no_color = getenv("NO_COLOR");
    p->sink.post = mode == PROGRESS_QUIET ? post_nothing : post;
    p->fd = fd;
    p->terminal = isatty(fd);
    p->color = can_steer(fd) && !(no_color && *no_color);
    p->wake_fd = -1;
    pthread_mutex_init(&p->lock, NULL);
    clock_gettime(CLOCK_MONOTONIC, &p->began);
    bool live = (mode == PROGRESS_AUTO || mode == PROGRESS_TTY) && can_steer(fd);
    p->ops = mode == PROGRESS_JSON ? &progress_json_ops
             : live                ? &progress_tty_ops
                                   : &progress_plain_ops;
    return p;
}

/* The ticker starts with the sink and not with progress_new(): a process that
 * enters a user namespace must not have threads. */
struct event_sink *progress_sink(struct progress *p)
{
    if (p->ops->tick && !p->ticking && p->sink.post == post) {
        p->wake_fd = eventfd(0, EFD_CLOEXEC);
        p->ticking = p->wake_fd >= 0;
        if (p->ticking) {
            thread_start(&p->ticker, tick, p);
        }
    }
    return &p->sink;
}

static void stop_ticking(struct progress *p)
{
    if (p->ticking) {
        uint64_t one = 1;
        ssize_t ignored = write(p->wake_fd, &one, sizeof one);
        (void)ignored;
        pthread_join(p->ticker, NULL);
        p->ticking = false;
    }
    fd_closep(&p->wake_fd);
}

void progress_end(struct progress *p)
{
    stop_ticking(p);
    pthread_mutex_lock(&p->lock);
    if (p->ops->finish && p->sink.post == post && !p->ended) {
        p->ops->finish(p);
        flush_out(p);
    }
    p->ended = true;
    pthread_mutex_unlock(&p->lock);
}

void progress_freep(struct progress **pp)
{
    struct progress *p = *pp;
    if (!p) {
        return;
    }
    *pp = NULL;
    progress_end(p);
    for (size_t i = 0; i < p->steps_len; i++) {
        free(p->steps[i].name);
        buf_release(&p->steps[i].partial);
    }
    free(p->steps);
    free(p->state);
    buf_release(&p->out);
    pthread_mutex_destroy(&p->lock);
    free(p);
}
