#include "base/error.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 3, 0))) static void fill(struct error *err, enum error_code code,
                                                       const char *format, va_list args)
{
    error_clear(err);
    err->code = code;
    vsnprintf(err->text, sizeof err->text, format, args);
}

int error_set(struct error *err, enum error_code code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fill(err, code, format, args);
    va_end(args);
    return -1;
}

int error_errno(struct error *err, enum error_code code, const char *format, ...)
{
    int saved = errno;
    va_list args;
    va_start(args, format);
    fill(err, code, format, args);
    va_end(args);
    err->sys_errno = saved;
    size_t len = strlen(err->text);
    char words[128];
    snprintf(err->text + len, sizeof err->text - len, ": %s",
             strerror_r(saved, words, sizeof words));
    return -1;
}

int error_wrap(struct error *err, const char *format, ...)
{
    char front[ERROR_TEXT_SIZE / 2];
    va_list args;
    va_start(args, format);
    vsnprintf(front, sizeof front, format, args);
    va_end(args);
    char text[sizeof err->text];
    size_t len = strlen(front);
    memcpy(text, front, len);
    snprintf(text + len, sizeof text - len, ": %s", err->text);
    memcpy(err->text, text, sizeof err->text);
    return -1;
}

int error_locate(struct error *err, const char *file, unsigned line, unsigned column,
                 unsigned width)
{
    if (err->line == 0) {
        snprintf(err->file, sizeof err->file, "%s", file);
        err->line = line;
        err->column = column;
        err->width = width;
    }
    return -1;
}

void error_clear(struct error *err)
{
    memset(err, 0, offsetof(struct error, file));
    err->file[0] = '\0';
    err->text[0] = '\0';
}
