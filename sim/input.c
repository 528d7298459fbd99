#include "sim/input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"

struct input {
    struct input_opts o;
    struct script script;
    size_t next;
    uint64_t start_ns;
    struct timer timer;
    struct io io;
    struct buf line;
    size_t n_lines;
};

/* --- a file --- */

static void on_time(void *arg)
{
    struct input *in = arg;
    uint64_t now = clock_boot_ns();

    while (in->next < in->script.n && in->start_ns + in->script.steps[in->next].at_ns <= now)
        in->o.on_step(in->o.arg, &in->script.steps[in->next++]);
    if (in->next < in->script.n)
        timer_set_at(&in->timer, in->start_ns + in->script.steps[in->next].at_ns);
}

int input_file(struct input *in, const char *path, struct err *e)
{
    _cleanup_free_ char *text = NULL;
    size_t n;
    int r = file_read(path, SIM_SCRIPT_MAX, &text, &n);

    if (r < 0)
        return err_errno(e, r, "cannot read %s", path);
    r = script_parse(path, text, &in->script, e);
    if (r < 0)
        return r;
    in->start_ns = clock_boot_ns();
    timer_set(&in->timer, 0);
    return 0;
}

/* --- lines --- */

/* a step with a time waits for it */
static void take_line(struct input *in, const char *line)
{
    struct step s;
    struct err e = {0};
    int r = step_parse(line, &s, &e);

    in->n_lines++;
    if (r == 0 && s.has_time)
        r = err_set(&e, -EINVAL, "steps of the standard input have no time");
    if (r < 0) {
        (void)err_wrap(&e, r, "<stdin>:%zu", in->n_lines);
        in->o.on_error(in->o.arg, &e);
    } else if (r == 0) {
        in->o.on_step(in->o.arg, &s);
    }
}

static void take_lines(struct input *in)
{
    char *end;

    while (in->line.len > 0 && (end = memchr(in->line.p, '\n', in->line.len))) {
        _cleanup_free_ char *line =
            xstrndup((char *)in->line.p, (size_t)(end - (char *)in->line.p));

        buf_drop(&in->line, strlen(line) + 1);
        take_line(in, line);
    }
}

static void on_readable(void *arg, uint32_t revents)
{
    struct input *in = arg;
    char chunk[4096];
    ssize_t n = read(in->io.fd, chunk, sizeof(chunk));
    struct err e;

    (void)revents;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        io_del(&in->io);
        in->o.on_eof(in->o.arg);
        return;
    }
    for (ssize_t i = 0; i < n; i++)
        if (chunk[i] == '\0')
            chunk[i] = '?'; /* no step has it: said to be none */
    buf_add(&in->line, chunk, (size_t)n);
    if (buf_ok(&in->line) < 0) {
        buf_reset(&in->line);
        (void)err_set(&e, -EINVAL, "<stdin>:%zu: a line without an end", in->n_lines + 1);
        in->o.on_error(in->o.arg, &e);
        return;
    }
    take_lines(in);
}

int input_lines(struct input *in, int fd, struct err *e)
{
    int r = io_add(in->o.loop, &in->io, fd, EPOLLIN, "steps", on_readable, in);

    if (r == -EPERM)
        return err_set(e, r, "the standard input is a file: give its name instead of -");
    if (r < 0)
        return err_errno(e, r, "cannot watch the standard input");
    return 0;
}

struct input *input_new(const struct input_opts *o)
{
    struct input *in = xnew0(struct input);

    in->o = *o;
    in->line = BUF_INIT(8 * SIM_LINE_MAX);
    timer_init(o->loop, &in->timer, "script", on_time, in);
    return in;
}

struct input *input_free(struct input *in)
{
    if (!in)
        return NULL;
    timer_stop(&in->timer);
    io_del(&in->io);
    buf_done(&in->line);
    script_done(&in->script);
    return mem_free(in);
}
