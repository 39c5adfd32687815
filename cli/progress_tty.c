/*
 * The live display: what is finished stays as a line in the terminal's history, what runs is drawn
 * below it and drawn again ten times a second. The live part is never taller than the window, every
 * line of it is cut to the window's width, and erasing counts rows in the width that the window has
 * now, so that a resize leaves nothing behind.
 */
#include "cli/progress_internal.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/memory.h"
#include "cli/text.h"

enum { TAIL_LINES = 6, MAX_TRANSFERS = 32, MAX_LIVE = 64, LINE_COLUMNS = 400 };

struct tty_step {
    size_t index;           /* in progress.steps */
    char *tail[TAIL_LINES]; /* the last lines of output, oldest first */
    size_t tail_len;
};

struct tty_transfer {
    char name[96];
    enum event_direction direction;
    uint64_t current;
    uint64_t total;
};

struct tty_state {
    struct tty_step running[MAX_LIVE];
    size_t running_len;
    struct tty_transfer transfers[MAX_TRANSFERS];
    size_t transfers_len;
    size_t done;                                 /* steps */
    size_t widths[2 * MAX_LIVE + MAX_TRANSFERS]; /* columns of the lines drawn */
    size_t drawn;
    size_t rows;
    size_t columns;
};

static struct tty_state *state_of(struct progress *p)
{
    if (!p->state) {
        setlocale(LC_CTYPE, "C.UTF-8"); /* for wcwidth() */
        p->state = mem_calloc(1, sizeof(struct tty_state));
    }
    return p->state;
}

static void measure(struct progress *p, struct tty_state *s)
{
    struct winsize size = {0};
    bool known = ioctl(p->fd, TIOCGWINSZ, &size) == 0;
    s->rows = known && size.ws_row > 2 ? size.ws_row : 24;
    s->columns = known && size.ws_col > 10 ? size.ws_col : 80;
}

static void erase(struct progress *p, struct tty_state *s)
{
    size_t up = 0;
    measure(p, s);
    for (size_t i = 0; i < s->drawn; i++) {
        up += s->widths[i] == 0 ? 1 : (s->widths[i] + s->columns - 1) / s->columns;
    }
    if (up > 0) {
        /* Erasing down from the window's first place makes some terminals keep what is erased in
         * their history: the first line goes by itself. */
        buf_printf(&p->out, "\r\x1b[%zuA\x1b[2K\x1b[B\x1b[J\x1b[A", up);
    }
    s->drawn = 0;
}

/* Writes TEXT, cut to the window, in COLOR ("" for none), and a line feed; returns its columns. */
static size_t put_line(struct progress *p, const struct tty_state *s, const char *color,
                       const char *text)
{
    size_t fits = text_fit(text, s->columns - 1);
    AUTO(mem_freep) char *cut = mem_strndup(text, fits);
    bool colored = p->color && *color;
    buf_printf(&p->out, "%s%s%s\n", colored ? color : "", cut, colored ? "\x1b[0m" : "");
    return text_columns(cut);
}

static void put_live(struct progress *p, struct tty_state *s, const char *color, const char *text)
{
    if (s->drawn < ARRAY_LEN(s->widths) && s->drawn + 1 < s->rows) {
        s->widths[s->drawn] = put_line(p, s, color, text);
        s->drawn++;
    }
}

static void draw_transfer(struct progress *p, struct tty_state *s, const struct tty_transfer *t)
{
    char current[TEXT_SIZE_SIZE];
    char total[TEXT_SIZE_SIZE];
    AUTO(buf_release) struct buf line = BUF_INIT(0);
    buf_puts(&line, t->direction == TRANSFER_UP ? "   push " : "   pull ");
    text_clean(t->name, strnlen(t->name, 19), &line);
    buf_printf(&line, "  %s", text_bytes(t->current, current));
    if (t->total) {
        buf_printf(&line, " of %s", text_bytes(t->total, total));
    }
    put_live(p, s, "\x1b[34m", buf_text(&line));
}

static void draw_step(struct progress *p, struct tty_state *s, const struct tty_step *step,
                      size_t tail)
{
    const struct progress_step *info = &p->steps[step->index];
    AUTO(buf_release) struct buf line = BUF_INIT(0);
    buf_printf(&line, "%6.1fs ", progress_now(p) - info->start);
    text_clean(info->name, strlen(info->name), &line);
    put_live(p, s, "", buf_text(&line));
    size_t first = step->tail_len > tail ? step->tail_len - tail : 0;
    for (size_t i = first; i < step->tail_len; i++) {
        AUTO(mem_freep) char *text = mem_printf("        | %s", step->tail[i]);
        put_live(p, s, "\x1b[2m", text);
    }
}

static void draw(struct progress *p, struct tty_state *s)
{
    size_t heads = s->running_len + s->transfers_len + 1;
    size_t room = s->rows > heads + 1 ? s->rows - heads - 1 : 0;
    size_t tail = s->running_len ? room / s->running_len : 0;
    if (s->running_len + s->transfers_len == 0) {
        return;
    }
    for (size_t i = 0; i < s->running_len; i++) {
        draw_step(p, s, &s->running[i], tail < TAIL_LINES ? tail : TAIL_LINES);
    }
    for (size_t i = 0; i < s->transfers_len; i++) {
        draw_transfer(p, s, &s->transfers[i]);
    }
    AUTO(mem_freep)
    char *sum = mem_printf("%6.1fs %zu step%s done, %zu running", progress_now(p), s->done,
                           s->done == 1 ? "" : "s", s->running_len);
    put_live(p, s, "\x1b[1m", sum);
}

static void tty_tick(struct progress *p)
{
    struct tty_state *s = state_of(p);
    erase(p, s);
    draw(p, s);
}

/* A line that stays. Longer than the window it is wrapped by the terminal. */
static void put_forever(struct progress *p, const char *color, const char *text)
{
    struct tty_state *s = state_of(p);
    bool colored = p->color && *color;
    erase(p, s);
    buf_printf(&p->out, "%s%s%s\n", colored ? color : "", text, colored ? "\x1b[0m" : "");
    draw(p, s);
}

static struct tty_step *find_running(struct tty_state *s, const struct progress *p, uint64_t number)
{
    for (size_t i = 0; i < s->running_len; i++) {
        if (p->steps[s->running[i].index].number == number) {
            return &s->running[i];
        }
    }
    return NULL;
}

static void tty_line(struct progress *p, struct progress_step *step, const char *text, size_t len)
{
    struct tty_state *s = state_of(p);
    struct tty_step *running = find_running(s, p, step->number);
    if (!running) {
        return;
    }
    struct buf line = BUF_INIT(0);
    text_clean(text, len < LINE_COLUMNS ? len : LINE_COLUMNS, &line);
    if (running->tail_len == TAIL_LINES) {
        free(running->tail[0]);
        memmove(running->tail, running->tail + 1, sizeof running->tail - sizeof running->tail[0]);
        running->tail_len--;
    }
    running->tail[running->tail_len++] = buf_take(&line);
}

static void remove_running(struct tty_state *s, struct tty_step *step)
{
    for (size_t i = 0; i < step->tail_len; i++) {
        free(step->tail[i]);
    }
    size_t index = (size_t)(step - s->running);
    memmove(step, step + 1, (s->running_len - index - 1) * sizeof *step);
    s->running_len--;
}

static void end_step(struct progress *p, const struct event *event, struct progress_step *step)
{
    struct tty_state *s = state_of(p);
    struct tty_step *running = find_running(s, p, step->number);
    AUTO(buf_release) struct buf line = BUF_INIT(0);
    const char *color = "";
    if (running) {
        remove_running(s, running);
    }
    s->done++;
    if (event->status == STATUS_CACHED) {
        buf_puts(&line, " cached ");
        color = "\x1b[36m";
    } else if (event->status == STATUS_FAILED) {
        buf_puts(&line, " FAILED ");
        color = "\x1b[31m";
    } else if (event->status == STATUS_CANCELLED) {
        buf_puts(&line, "stopped ");
        color = "\x1b[33m";
    } else {
        buf_printf(&line, "%6.1fs ", progress_now(p) - step->start);
        color = "\x1b[32m";
    }
    text_clean(step->name, strlen(step->name), &line);
    if (event->text && *event->text) {
        buf_puts(&line, "  ");
        text_clean(event->text, strlen(event->text), &line);
    }
    put_forever(p, color, buf_text(&line));
}

/* What was moved and is large enough to be worth a line. */
static void put_transferred(struct progress *p, const struct event *event)
{
    enum { WORTH_A_LINE = 100000 };
    char size[TEXT_SIZE_SIZE];
    AUTO(buf_release) struct buf line = BUF_INIT(0);
    uint64_t bytes = event->total > event->current ? event->total : event->current;
    if (event->status != STATUS_DONE || bytes < WORTH_A_LINE) {
        return;
    }
    buf_puts(&line, event->direction == TRANSFER_UP ? " pushed " : " pulled ");
    text_clean(event->name ? event->name : "", event->name ? strlen(event->name) : 0, &line);
    buf_printf(&line, "  %s", text_bytes(bytes, size));
    put_forever(p, "\x1b[34m", buf_text(&line));
}

static void transfer(struct progress *p, const struct event *event)
{
    struct tty_state *s = state_of(p);
    const char *name = event->name ? event->name : "";
    size_t i = 0;
    while (i < s->transfers_len &&
           (strncmp(s->transfers[i].name, name, sizeof s->transfers[i].name - 1) != 0 ||
            s->transfers[i].direction != event->direction)) {
        i++;
    }
    if (event->status != STATUS_RUNNING) {
        if (i < s->transfers_len) {
            s->transfers[i] = s->transfers[--s->transfers_len];
        }
        put_transferred(p, event);
        return;
    }
    if (i == MAX_TRANSFERS) {
        return;
    }
    struct tty_transfer *item = &s->transfers[i];
    s->transfers_len = i == s->transfers_len ? i + 1 : s->transfers_len;
    snprintf(item->name, sizeof item->name, "%s", name);
    item->direction = event->direction;
    item->current = event->current;
    item->total = event->total;
}

static void put_words(struct progress *p, const struct event *event)
{
    AUTO(buf_release) struct buf line = BUF_INIT(0);
    bool warning = event->type == EVENT_WARNING;
    if (warning) {
        buf_puts(&line, "warning: ");
    }
    if (warning && event->file) {
        text_clean(event->file, strlen(event->file), &line);
        if (event->line) {
            buf_printf(&line, ":%u", event->line);
        }
        buf_puts(&line, ": ");
    }
    const char *text = event->text ? event->text : "";
    text_clean_lines(text, strlen(text), &line);
    put_forever(p, warning ? "\x1b[33m" : "", buf_text(&line));
}

static void tty_event(struct progress *p, const struct event *event, struct progress_step *step)
{
    struct tty_state *s = state_of(p);
    switch (event->type) {
    case EVENT_STEP_START:
        if (step && s->running_len < MAX_LIVE && !find_running(s, p, step->number)) {
            s->running[s->running_len++] = (struct tty_step){.index = (size_t)(step - p->steps)};
        }
        break;
    case EVENT_STEP_OUTPUT:
        break;
    case EVENT_STEP_END:
        if (step && !step->ended) {
            end_step(p, event, step);
        }
        break;
    case EVENT_TRANSFER:
        transfer(p, event);
        break;
    case EVENT_NOTE:
    case EVENT_WARNING:
        put_words(p, event);
        break;
    }
}

static void tty_finish(struct progress *p)
{
    struct tty_state *s = state_of(p);
    erase(p, s);
    while (s->running_len > 0) {
        remove_running(s, &s->running[0]);
    }
}

const struct progress_ops progress_tty_ops = {
    .event = tty_event, .line = tty_line, .tick = tty_tick, .finish = tty_finish};
