#include "base/err.h"

#include <stdio.h>
#include <string.h>

static void _printf_(4, 0)
    err_vset(struct err *e, int code, int status, const char *fmt, va_list ap)
{
    e->code = code;
    e->status = status;
    (void)vsnprintf(e->text, sizeof(e->text), fmt, ap);
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
    va_list ap;

    if (!e)
        return code;
    va_start(ap, fmt);
    err_vset(e, code, 0, fmt, ap);
    va_end(ap);
    return code;
}

int err_set_status(struct err *e, int code, int status, const char *fmt, ...)
{
    va_list ap;

    if (!e)
        return code;
    va_start(ap, fmt);
    err_vset(e, code, status, fmt, ap);
    va_end(ap);
    return code;
}

int err_wrap(struct err *e, int code, const char *fmt, ...)
{
    char cause[ERR_TEXT_MAX];
    va_list ap;
    size_t n;

    if (!e)
        return code;
    memcpy(cause, e->text, sizeof(cause));
    va_start(ap, fmt);
    err_vset(e, code, e->status, fmt, ap);
    va_end(ap);
    n = strlen(e->text);
    if (cause[0])
        (void)snprintf(e->text + n, sizeof(e->text) - n, ": %s", cause);
    return code;
}

int err_errno(struct err *e, int code, const char *fmt, ...)
{
    va_list ap;
    size_t n;

    if (!e)
        return code;
    va_start(ap, fmt);
    err_vset(e, code, 0, fmt, ap);
    va_end(ap);
    n = strlen(e->text);
    (void)snprintf(e->text + n, sizeof(e->text) - n, ": %s", strerror(-code));
    return code;
}
