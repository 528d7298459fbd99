#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static size_t torture_countdown;

static void out_of_memory(void)
{
    static const char text[] = "out of memory\n";

    (void)!write(STDERR_FILENO, text, sizeof(text) - 1);
    abort();
}

void *xcalloc(size_t n, size_t size)
{
    void *p;

    if (n == 0 || size == 0)
        n = size = 1;
    p = calloc(n, size);
    if (!p)
        out_of_memory();
    return p;
}

void *xrealloc(void *p, size_t n, size_t size)
{
    size_t total;

    if (__builtin_mul_overflow(n, size, &total))
        out_of_memory();
    p = realloc(p, total ? total : 1);
    if (!p)
        out_of_memory();
    return p;
}

char *xstrdup(const char *s)
{
    return s ? xstrndup(s, strlen(s)) : NULL;
}

char *xstrndup(const char *s, size_t n)
{
    char *p = xcalloc(n + 1, 1);

    if (n > 0)
        memcpy(p, s, n);
    return p;
}

void *xmemdup(const void *src, size_t n)
{
    return xstrndup(src, n);
}

char *xvasprintf(const char *fmt, va_list ap)
{
    char *p = NULL;

    if (vasprintf(&p, fmt, ap) < 0)
        out_of_memory();
    return p;
}

char *xasprintf(const char *fmt, ...)
{
    va_list ap;
    char *p;

    va_start(ap, fmt);
    p = xvasprintf(fmt, ap);
    va_end(ap);
    return p;
}

void mem_torture(size_t nth)
{
    torture_countdown = nth;
}

static bool torture_strikes(void)
{
    return torture_countdown > 0 && --torture_countdown == 0;
}

void *try_alloc(size_t n)
{
    return torture_strikes() ? NULL : malloc(n ? n : 1);
}

void *try_realloc(void *p, size_t n)
{
    return torture_strikes() ? NULL : realloc(p, n ? n : 1);
}

void mem_freep(void *pp)
{
    void *p;

    memcpy(&p, pp, sizeof(p));
    free(p);
}

int fd_close(int fd)
{
    int saved = errno;

    if (fd >= 0)
        (void)close(fd);
    errno = saved;
    return -1;
}

void mem_closep(int *fd)
{
    *fd = fd_close(*fd);
}

void str_set(char **p, const char *s)
{
    char *copy = xstrdup(s);

    free(*p);
    *p = copy;
}
