/* picket-sim: a command line in, a fleet of agents, a summary at the end. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/rand.h"
#include "base/str.h"
#include "sim/fleet.h"
#include "sim/input.h"
#include "sim/options.h"
#include "sim/report.h"
#include "sim/scrub.h"
#include "wire/conn.h"

enum {
    LINE_SEC = 1,
    DESCRIPTORS_KEPT = 64, /* for everything but agents */
};

struct program {
    struct sim_options o;
    struct sim_common common;
    struct profile_mix mix;
    struct fleet *fleet;
    struct input *input;
    struct report report;
    struct timer line, end;
    bool failed; /* a step could not be done */
};

static void write_all(int fd, const struct buf *b)
{
    size_t at = 0;

    while (at < b->len) {
        ssize_t n = write(fd, b->p + at, b->len - at);

        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return;
        at += n > 0 ? (size_t)n : 0;
    }
}

static void complain(const struct err *e)
{
    (void)fprintf(stderr, "picket-sim: %s\n", e->text);
}

/* --- profiles from nodes --- */

static int record(const char *path)
{
    _cleanup_buf_ struct buf out = BUF_INIT(4 * SIM_PROFILE_MAX);
    _cleanup_free_ char *text = NULL;
    struct err e = {0};
    size_t n = 0;
    int r = str_eq(path, "-") ? file_read_fd(STDIN_FILENO, SIM_PROFILE_MAX, &text, &n)
                              : file_read(path, SIM_PROFILE_MAX, &text, &n);

    if (r < 0)
        r = err_errno(&e, r, "cannot read %s", path);
    else
        r = scrub_json(text, n, &out, &e);
    if (r < 0) {
        complain(&e);
        return 1;
    }
    write_all(STDOUT_FILENO, &out);
    return 0;
}

/* --- while it runs --- */

static void put_line(void *arg)
{
    struct program *p = arg;
    _cleanup_buf_ struct buf b = BUF_INIT(SIM_TEXT_MAX);

    report_line(&p->report, &b);
    write_all(STDERR_FILENO, &b);
    timer_set(&p->line, LINE_SEC * NSEC_PER_SEC);
}

static void put_summary(struct program *p, bool json)
{
    _cleanup_buf_ struct buf b = BUF_INIT(SIM_TEXT_MAX);

    if (json)
        report_json(&p->report, &b);
    else
        report_text(&p->report, &b);
    write_all(STDOUT_FILENO, &b);
}

static void on_end(void *arg)
{
    struct program *p = arg;

    loop_quit(p->common.loop, 0);
}

static void on_stop(void *arg, int signo)
{
    (void)signo;
    on_end(arg);
}

static void on_step(void *arg, const struct step *s)
{
    struct program *p = arg;
    struct err e = {0};

    if (s->verb == STEP_STATUS) {
        put_summary(p, true);
    } else if (s->verb == STEP_END) {
        on_end(p);
    } else if (fleet_step(p->fleet, s, &e) < 0) {
        complain(&e);
        p->failed = true;
        on_end(p);
    }
}

static void on_bad_line(void *arg, const struct err *e)
{
    struct program *p = arg;

    complain(e);
    p->failed = true;
}

static void on_eof(void *arg)
{
    struct program *p = arg;

    if (p->o.for_ns == 0)
        on_end(p);
}

/* --- start --- */

/* all that we may have; how many of them agents may use */
static size_t raise_descriptors(void)
{
    struct rlimit l;

    if (getrlimit(RLIMIT_NOFILE, &l) < 0)
        return SIM_AGENTS_MAX;
    if (l.rlim_cur < l.rlim_max) {
        l.rlim_cur = l.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &l);
    }
    if (l.rlim_max == RLIM_INFINITY || l.rlim_max > SIM_AGENTS_MAX)
        return SIM_AGENTS_MAX;
    return l.rlim_max > DESCRIPTORS_KEPT ? (size_t)l.rlim_max - DESCRIPTORS_KEPT : 0;
}

static int prepare(struct program *p, struct err *e)
{
    const struct sim_options *o = &p->o;
    _cleanup_free_ char *found = profile_folder();
    int r;

    p->common.region = o->region;
    p->common.datacenter = o->datacenter;
    p->common.prefix = o->name;
    p->common.seed = o->seed;
    p->common.eligible = o->eligible;
    p->common.dev = o->dev;
    p->common.lists = sim_servers_new();
    r = sim_servers_parse(p->common.lists, o->server, &p->common.servers, e);
    if (r == 0)
        r = profile_mix_load(o->profiles ? o->profiles : found, o->profile, &p->mix, e);
    if (r < 0)
        return r;
    if (o->source)
        return source_parse(o->source, &p->common.source, e);
    source_default(&p->common.servers->servers[0].sa, &p->common.source);
    return 0;
}

static int begin(struct program *p, struct err *e)
{
    const struct fleet_opts fo = {.common = &p->common,
                                  .mix = &p->mix,
                                  .agents_max = raise_descriptors(),
                                  .events_per_hour = p->o.events,
                                  .changes_per_hour = p->o.changes};
    const struct input_opts io = {.loop = p->common.loop,
                                  .on_step = on_step,
                                  .on_error = on_bad_line,
                                  .on_eof = on_eof,
                                  .arg = p};
    const struct step first = {
        .verb = STEP_JOIN, .count = (double)p->o.agents, .over_ns = p->o.over_ns};
    int r = 0;

    p->fleet = fleet_new(&fo);
    p->input = input_new(&io);
    report_init(&p->report, p->fleet, &p->common);
    if (p->o.expect)
        r = report_check(&p->report, p->o.expect, e);
    if (r == 0 && p->o.agents)
        r = fleet_step(p->fleet, &first, e);
    if (r == 0 && p->o.script)
        r = str_eq(p->o.script, "-") ? input_lines(p->input, STDIN_FILENO, e)
                                     : input_file(p->input, p->o.script, e);
    return r;
}

static int watch_signals(struct program *p)
{
    int r = loop_on_signal(p->common.loop, SIGTERM, on_stop, p);

    if (r == 0)
        r = loop_on_signal(p->common.loop, SIGINT, on_stop, p);
    return r;
}

/* 0 when all is as expected */
static int finish(struct program *p)
{
    _cleanup_buf_ struct buf unmet = BUF_INIT(SIM_TEXT_MAX);
    size_t n = 0;

    put_summary(p, p->o.json);
    if (p->o.expect)
        n = report_unmet(&p->report, p->o.expect, &unmet);
    write_all(STDERR_FILENO, &unmet);
    return n > 0 || p->failed ? 1 : 0;
}

static int run(struct program *p)
{
    struct err e = {0};
    int r = loop_new(&p->common.loop);

    if (r < 0)
        return log_error(r, "cannot make the event loop");
    timer_init(p->common.loop, &p->line, "line", put_line, p);
    timer_init(p->common.loop, &p->end, "end", on_end, p);
    r = watch_signals(p);
    if (r < 0)
        return log_error(r, "cannot watch signals");
    r = prepare(p, &e);
    if (r == 0)
        r = begin(p, &e);
    if (r < 0) {
        complain(&e);
        return r;
    }
    if (!p->o.quiet)
        timer_set(&p->line, LINE_SEC * NSEC_PER_SEC);
    if (p->o.for_ns)
        timer_set(&p->end, p->o.for_ns);
    r = loop_run(p->common.loop);
    return r < 0 ? r : finish(p);
}

static void clean_up(struct program *p)
{
    timer_stop(&p->line);
    timer_stop(&p->end);
    p->input = input_free(p->input);
    p->fleet = fleet_free(p->fleet);
    profile_mix_done(&p->mix);
    p->common.lists = sim_servers_free(p->common.lists);
    if (p->common.loop)
        conn_drop_closing(p->common.loop);
    p->common.loop = loop_free(p->common.loop);
}

int main(int argc, char **argv)
{
    struct program p = {.failed = false};
    struct err e = {0};
    int r;

    loop_block_signals();
    r = sim_options_parse(argc, (const char *const *)argv, &p.o, &e);
    if (r == SIM_OPTIONS_HELP) {
        _cleanup_free_ char *usage = sim_options_usage();

        (void)fputs(usage, stdout);
        return 0;
    }
    if (r == SIM_OPTIONS_VERSION) {
        (void)puts("picket-sim v" PICKET_VERSION);
        return 0;
    }
    if (r < 0) {
        complain(&e);
        (void)fputs("For help: picket-sim -help\n", stderr);
        return 1;
    }
    log_set_level(p.o.log_level);
    if (p.o.record)
        return record(p.o.record);
    rand_seed(p.o.seed);
    r = run(&p);
    clean_up(&p);
    return r == 0 ? 0 : 1;
}
