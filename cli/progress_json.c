/* One JSON object a line for every event, for programs. */
#include "cli/progress_internal.h"

#include <string.h>
#include <time.h>

#include "cli/text.h"

static const char *status_name(enum event_status status)
{
    switch (status) {
    case STATUS_RUNNING:
        return "running";
    case STATUS_DONE:
        return "done";
    case STATUS_CACHED:
        return "cached";
    case STATUS_FAILED:
        return "failed";
    case STATUS_CANCELLED:
        return "cancelled";
    case STATUS_EXISTS:
        return "exists";
    case STATUS_MOUNTED:
        return "mounted";
    }
    return "running";
}

static const char *type_name(enum event_type type)
{
    switch (type) {
    case EVENT_STEP_START:
        return "step_start";
    case EVENT_STEP_OUTPUT:
        return "step_output";
    case EVENT_STEP_END:
        return "step_end";
    case EVENT_TRANSFER:
        return "transfer";
    case EVENT_NOTE:
        return "note";
    case EVENT_WARNING:
        return "warning";
    }
    return "note";
}

static void set_text(json_t *object, const char *key, const char *text, size_t len)
{
    struct buf valid = BUF_INIT(0);
    text_utf8(text, len, &valid);
    json_object_set_new(object, key, json_stringn(buf_text(&valid), valid.len));
    buf_release(&valid);
}

static void set_string(json_t *object, const char *key, const char *text)
{
    if (text) {
        set_text(object, key, text, strlen(text));
    }
}

/* {"time":"2026-01-15T12:34:56.789Z","type":TYPE} */
static json_t *new_object(enum event_type type)
{
    struct timespec now;
    struct tm parts;
    char seconds[32];
    char stamp[48];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(stamp, sizeof stamp, "%s.%03ldZ", seconds, now.tv_nsec / 1000000);
    json_t *object = json_object();
    json_object_set_new(object, "time", json_string(stamp));
    json_object_set_new(object, "type", json_string(type_name(type)));
    return object;
}

static void write_object(struct progress *p, json_t *object)
{
    json_render(object, &p->out);
    buf_putc(&p->out, '\n');
    json_decref(object);
}

static void json_line(struct progress *p, struct progress_step *step, const char *text, size_t len)
{
    json_t *object = new_object(EVENT_STEP_OUTPUT);
    json_object_set_new(object, "step", json_integer((json_int_t)step->number));
    set_text(object, "text", text, len);
    write_object(p, object);
}

static void set_transfer(json_t *object, const struct event *event)
{
    static const char *const directions[] = {"none", "down", "up"};
    json_object_set_new(object, "direction", json_string(directions[event->direction]));
    json_object_set_new(object, "current", json_integer((json_int_t)event->current));
    json_object_set_new(object, "total", json_integer((json_int_t)event->total));
}

static void json_event(struct progress *p, const struct event *event, struct progress_step *step)
{
    if (event->type == EVENT_STEP_OUTPUT) {
        return;
    }
    json_t *object = new_object(event->type);
    if (event->step) {
        json_object_set_new(object, "step", json_integer((json_int_t)event->step));
    }
    set_string(object, "name", event->name);
    if (event->type == EVENT_STEP_END || event->type == EVENT_TRANSFER) {
        json_object_set_new(object, "status", json_string(status_name(event->status)));
    }
    if (event->type == EVENT_STEP_END && step) {
        json_object_set_new(object, "seconds", json_real(progress_now(p) - step->start));
    }
    if (event->type == EVENT_TRANSFER) {
        set_transfer(object, event);
    }
    set_string(object, "file", event->file);
    if (event->line) {
        json_object_set_new(object, "line", json_integer(event->line));
    }
    set_string(object, "text", event->text);
    write_object(p, object);
}

const struct progress_ops progress_json_ops = {.event = json_event, .line = json_line};
