/* picketd - the node agent.  Configuration, log, loop, signals; the rest is agent/agent.c. */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/reload.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/str.h"
#include "conf/args.h"
#include "wire/budget.h"
#include "wire/conn.h"

#define LIBEXEC_PROBE "/usr/libexec/picket/picket-probe"

enum {
    MMAP_THRESHOLD = 128 * 1024, /* large buffers go back to the system when they are freed */
    STOP_WAIT_MS = 400,          /* for facts on their way to a disk that may hang */
    STOP_STEP_MS = 10,
};

struct daemon {
    struct loop *loop;
    struct agent *agent;
    struct reload *reload;
    char *probe_path;
    struct conf conf;
    struct conf_args *args;
    struct timer stop;
    unsigned stop_ms;
    bool stopping;
};

/* with this program, else where PICKET_PROBE says, else where packages put it */
static char *find_probe(void)
{
    char *path = file_find_helper("picket-probe");
    const char *env = getenv("PICKET_PROBE");

    if (path)
        return path;
    return xstrdup(str_empty(env) ? LIBEXEC_PROBE : env);
}

static void on_stop(void *arg)
{
    struct daemon *d = arg;

    d->stop_ms += STOP_STEP_MS;
    if (agent_pending(d->agent) == 0 || d->stop_ms > STOP_WAIT_MS)
        loop_quit(d->loop, 0);
    else
        timer_set(&d->stop, STOP_STEP_MS * NSEC_PER_MSEC);
}

static void on_signal_stop(void *arg, int signo)
{
    struct daemon *d = arg;

    if (d->stopping) {
        loop_quit(d->loop, 0);
        return;
    }
    d->stopping = true;
    loop_notify("STOPPING=1\nSTATUS=stopping");
    log_info("stopping", KV("signal", signo == SIGINT ? "interrupt" : "terminated"));
    on_stop(d);
}

static void on_signal_reload(void *arg, int signo)
{
    struct daemon *d = arg;

    (void)signo;
    if (d->reload)
        reload_start(d->reload);
}

static const struct view *open_reload(void *arg, struct view_wait *w)
{
    struct daemon *d = arg;

    return reload_open(d->reload, w);
}

static int watch_signals(struct daemon *d)
{
    int r = loop_on_signal(d->loop, SIGTERM, on_signal_stop, d);

    if (r == 0)
        r = loop_on_signal(d->loop, SIGINT, on_signal_stop, d);
    if (r == 0)
        r = loop_on_signal(d->loop, SIGHUP, on_signal_reload, d);
    if (r == 0 && getpid() == 1)
        r = loop_reap_orphans(d->loop);
    return r;
}

static int run(struct daemon *d)
{
    struct err e = {0};
    int r;

    d->probe_path = find_probe();
    r = loop_new(&d->loop);
    if (r < 0)
        return log_error(r, "cannot make the event loop");
    timer_init(d->loop, &d->stop, "stop", on_stop, d);
    r = watch_signals(d);
    if (r < 0)
        return log_error(r, "cannot watch signals");
    r = agent_new(&(struct agent_opts){.loop = d->loop,
                                       .conf = &d->conf,
                                       .probe_path = d->probe_path,
                                       .open_reload = open_reload,
                                       .reload_arg = d},
                  &d->agent, &e);
    if (r < 0) {
        (void)log_error(0, "cannot start", KE(&e));
        return r;
    }
    d->reload = reload_new(&(struct reload_opts){.loop = d->loop,
                                                 .probe_path = d->probe_path,
                                                 .args = d->args,
                                                 .conf = &d->conf,
                                                 .agent = d->agent});
    agent_start(d->agent);
    loop_watchdog(d->loop);
    loop_notify("READY=1");
    log_info("picketd started", KV("version", PICKET_VERSION),
             KV("node_id", agent_node_id(d->agent)), KV("http", agent_http_bound(d->agent)),
             KI("servers", d->conf.client.n_servers));
    r = loop_run(d->loop);
    log_info("stopped");
    return r;
}

static void set_up(struct daemon *d, const struct conf_report *report)
{
    conf_set_log(&d->conf);
    for (size_t i = 0; i < d->conf.n_files; i++)
        log_info("loaded configuration", KV("file", d->conf.files[i]));
    for (size_t i = 0; i < report->n_warnings; i++)
        (void)log_warn(0, "configuration", KV("warning", report->warnings[i]));
}

int main(int argc, char **argv)
{
    struct conf_report report = {0};
    struct daemon d = {0};
    int r;

    (void)mallopt(M_ARENA_MAX, 1); /* a second arena for the one extra thread costs memory */
    (void)mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD);
    loop_block_signals();
    r = conf_start(argc, argv, CONF_CLIENT, &d.args, &d.conf, &report);
    if (r != CONF_START_RUN)
        return r == CONF_START_ANSWERED ? 0 : 1;
    budget_limit(BUDGET_IN, AGENT_IN_MAX);
    budget_limit(BUDGET_OUT, AGENT_OUT_MAX);
    set_up(&d, &report);
    conf_report_done(&report);
    r = run(&d);
    if (d.agent && agent_pending(d.agent) > 0)
        _exit(r < 0 ? 1 : 0); /* the disk hangs: not worth waiting for */
    (void)agent_free(d.agent);
    (void)reload_free(d.reload);
    if (d.loop)
        conn_drop_closing(d.loop);
    (void)loop_free(d.loop);
    (void)conf_args_free(d.args);
    conf_done(&d.conf);
    free(d.probe_path);
    return r < 0 ? 1 : 0;
}
