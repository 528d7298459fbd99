#include "tests/support/captured.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ARGS_MAX = 32 };

void captured_done(struct captured *c)
{
    free(c->out);
    free(c->err);
    *c = (struct captured){0};
}

static char *take_text(int fd)
{
    off_t n = lseek(fd, 0, SEEK_END);
    char *text = xcalloc((size_t)n + 1, 1);

    if (n < 0 || pread(fd, text, (size_t)n, 0) != n)
        abort();
    (void)fd_close(fd);
    return text;
}

void captured_run(struct captured *c, int (*fn)(int argc, char **argv), const char *const *args,
                  size_t n)
{
    char *argv[ARGS_MAX] = {(char *)(uintptr_t) "program"};
    int caught[2], saved[2];

    captured_done(c);
    if (n + 2 > ARGS_MAX)
        abort();
    for (size_t i = 0; i < n; i++)
        argv[i + 1] = (char *)(uintptr_t)args[i];
    (void)fflush(stdout);
    (void)fflush(stderr);
    for (int i = 0; i < 2; i++) {
        caught[i] = memfd_create("output", MFD_CLOEXEC);
        saved[i] = dup(1 + i);
        if (caught[i] < 0 || saved[i] < 0 || dup2(caught[i], 1 + i) < 0)
            abort();
    }
    c->status = fn((int)n + 1, argv);
    (void)fflush(stdout);
    (void)fflush(stderr);
    for (int i = 0; i < 2; i++) {
        if (dup2(saved[i], 1 + i) < 0)
            abort();
        (void)fd_close(saved[i]);
    }
    c->out = take_text(caught[0]);
    c->err = take_text(caught[1]);
}

void captured_list(struct captured *c, int (*fn)(int argc, char **argv), const char *const *args)
{
    size_t n = 0;

    while (args[n])
        n++;
    captured_run(c, fn, args, n);
}
