#include "base/event.h"

#include <stdarg.h>
#include <stdio.h>

void event_post(struct event_sink *sink, const struct event *event)
{
    if (sink) {
        sink->post(sink, event);
    }
}

void event_note(struct event_sink *sink, const char *format, ...)
{
    char text[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    event_post(sink, &(struct event){.type = EVENT_NOTE, .text = text});
}

void event_warning(struct event_sink *sink, const char *file, unsigned line, const char *format,
                   ...)
{
    char text[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    event_post(sink,
               &(struct event){.type = EVENT_WARNING, .text = text, .file = file, .line = line});
}
