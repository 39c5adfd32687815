/* Plain lines, as docker's --progress=plain: "#3 [2/5] RUN make", "#3 0.123 text", "#3 DONE 0.4s".
 */
#include "cli/progress_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "cli/text.h"

enum { PLAIN_TRANSFERS = 64 };
static const double transfer_interval = 5.0; /* seconds between two lines about the same transfer */

/* Transfers that run, so that long ones say something now and then. */
struct plain_transfer {
    char name[96];
    double start;
    double shown;
};
struct plain_state {
    struct plain_transfer items[PLAIN_TRANSFERS];
};

static void add_text(struct progress *p, const char *text, size_t len)
{
    if (p->terminal) {
        text_clean_lines(text, len, &p->out);
    } else {
        buf_append(&p->out, text, len);
    }
}

static void add_string(struct progress *p, const char *text)
{
    add_text(p, text, strlen(text));
}

static void plain_line(struct progress *p, struct progress_step *step, const char *text, size_t len)
{
    buf_printf(&p->out, "#%llu %.3f ", (unsigned long long)step->number,
               progress_now(p) - step->start);
    add_text(p, text, len);
    buf_putc(&p->out, '\n');
}

static void end_step(struct progress *p, const struct event *event, struct progress_step *step)
{
    double took = progress_now(p) - step->start;
    buf_printf(&p->out, "#%llu ", (unsigned long long)step->number);
    switch (event->status) {
    case STATUS_CACHED:
        buf_puts(&p->out, "CACHED");
        break;
    case STATUS_FAILED:
        buf_puts(&p->out, "ERROR");
        break;
    case STATUS_CANCELLED:
        buf_puts(&p->out, "CANCELED");
        break;
    case STATUS_RUNNING:
    case STATUS_DONE:
    case STATUS_EXISTS:
    case STATUS_MOUNTED:
        buf_printf(&p->out, "DONE %.1fs", took);
        break;
    }
    if (event->text && *event->text) {
        buf_puts(&p->out, event->status == STATUS_FAILED ? ": " : " ");
        add_string(p, event->text);
    }
    buf_putc(&p->out, '\n');
}

/* The slot of the transfer NAME, else a free one, else NULL. */
static struct plain_transfer *find_transfer(struct progress *p, const char *name)
{
    if (!p->state) {
        p->state = mem_calloc(1, sizeof(struct plain_state));
    }
    struct plain_state *state = p->state;
    struct plain_transfer *empty = NULL;
    for (size_t i = 0; i < PLAIN_TRANSFERS; i++) {
        struct plain_transfer *item = &state->items[i];
        if (strncmp(item->name, name, sizeof item->name - 1) == 0 && *item->name) {
            return item;
        }
        if (!*item->name && !empty) {
            empty = item;
        }
    }
    if (empty) {
        snprintf(empty->name, sizeof empty->name, "%s", name);
        empty->start = progress_now(p);
        empty->shown = empty->start;
    }
    return empty;
}

static const char *transfer_verb(const struct event *event)
{
    switch (event->status) {
    case STATUS_EXISTS:
        return "exists";
    case STATUS_MOUNTED:
        return "mounted";
    case STATUS_FAILED:
        return "failed";
    case STATUS_CANCELLED:
        return "cancelled";
    case STATUS_CACHED:
        return "in the store";
    case STATUS_RUNNING:
    case STATUS_DONE:
        break;
    }
    bool done = event->status == STATUS_DONE;
    if (event->direction == TRANSFER_UP) {
        return done ? "pushed" : "pushing";
    }
    return done ? "pulled" : "pulling";
}

static void transfer(struct progress *p, const struct event *event)
{
    const char *name = event->name ? event->name : "";
    struct plain_transfer *item = find_transfer(p, name);
    double now = progress_now(p);
    bool running = event->status == STATUS_RUNNING;
    if (running && (!item || now - item->shown < transfer_interval)) {
        return;
    }
    char current[TEXT_SIZE_SIZE];
    char total[TEXT_SIZE_SIZE];
    buf_printf(&p->out, "%s ", transfer_verb(event));
    add_string(p, name);
    if (running && event->total) {
        buf_printf(&p->out, " %s of %s", text_bytes(event->current, current),
                   text_bytes(event->total, total));
    } else {
        uint64_t bytes = event->total > event->current ? event->total : event->current;
        if (bytes > 0) {
            buf_printf(&p->out, " %s", text_bytes(bytes, current));
        }
    }
    if (item && event->status == STATUS_DONE) {
        buf_printf(&p->out, " %.1fs", now - item->start);
    }
    buf_putc(&p->out, '\n');
    if (item) {
        item->shown = now;
    }
    if (item && !running) {
        item->name[0] = '\0';
    }
}

static void warning(struct progress *p, const struct event *event)
{
    buf_puts(&p->out, "WARNING: ");
    if (event->file) {
        add_string(p, event->file);
        if (event->line) {
            buf_printf(&p->out, ":%u", event->line);
        }
        buf_puts(&p->out, ": ");
    }
    add_string(p, event->text ? event->text : "");
    buf_putc(&p->out, '\n');
}

static void plain_event(struct progress *p, const struct event *event, struct progress_step *step)
{
    switch (event->type) {
    case EVENT_STEP_START:
        buf_printf(&p->out, "#%llu ", (unsigned long long)event->step);
        add_string(p, step ? step->name : "");
        buf_putc(&p->out, '\n');
        break;
    case EVENT_STEP_OUTPUT:
        break;
    case EVENT_STEP_END:
        if (step) {
            end_step(p, event, step);
        }
        break;
    case EVENT_TRANSFER:
        transfer(p, event);
        break;
    case EVENT_NOTE:
        add_string(p, event->text ? event->text : "");
        buf_putc(&p->out, '\n');
        break;
    case EVENT_WARNING:
        warning(p, event);
        break;
    }
}

const struct progress_ops progress_plain_ops = {.event = plain_event, .line = plain_line};
