/* picket-server: argv and configuration in, a running server, signals to the end. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "api/watch.h"
#include "base/log.h"
#include "base/writer.h"
#include "conf/reload.h"
#include "server/server.h"
#include "server/snapshot_cmd.h"
#include "wire/conn.h"

enum {
    STATUS_EVERY_SEC = 10,
    AWAY_SEC = 2, /* timers so late: we were not there */
};

struct program {
    struct loop *loop;
    struct server *server;
    struct conf conf;
    struct conf_args *args;
    struct timer status;
};

static void log_warnings(const struct conf_report *r)
{
    for (size_t i = 0; i < r->n_warnings; i++)
        (void)log_warn(0, "configuration", KV("warning", r->warnings[i]));
}

/* --- signals --- */

static void on_stop(void *arg, int signo)
{
    struct program *p = arg;

    log_info("stopping", KV("signal", signo == SIGINT ? "SIGINT" : "SIGTERM"));
    loop_notify("STOPPING=1\nSTATUS=Stopping");
    loop_quit(p->loop, 0);
}

/* SIGHUP: the files are read again */
static void on_reload(void *arg, int signo)
{
    struct conf_reloaded said _cleanup_conf_reloaded_ = {0};
    struct program *p = arg;

    (void)signo;
    if (conf_reload_begin(p->args, &p->conf, CONF_SERVER, &said) == 0)
        server_reload(p->server);
    conf_reload_end(&said);
}

static void on_status(void *arg)
{
    static const char *const words[] = {
        [STORE_UNTIDY] = "; state file grows: ",
        [STORE_SLOW] = "; changes wait: ",
        [STORE_FAILING] = "; changes are refused: ",
    };
    struct program *p = arg;
    struct err e = {0};
    enum store_health h = store_health(p->server->store, &e);

    loop_notify("STATUS=%zu nodes, %zu alive, index %" PRIu64 "%s%s%s%s",
                store_node_count(p->server->store), beats_count(p->server->beats),
                store_index(p->server->store), h == STORE_FINE ? "" : words[h], e.text,
                *watch_trouble() ? "; " : "", watch_trouble());
    timer_set(&p->status, STATUS_EVERY_SEC * NSEC_PER_SEC);
}

static int watch_signals(struct program *p)
{
    int r = loop_on_signal(p->loop, SIGTERM, on_stop, p);

    if (r == 0)
        r = loop_on_signal(p->loop, SIGINT, on_stop, p);
    if (r == 0)
        r = loop_on_signal(p->loop, SIGHUP, on_reload, p);
    if (r == 0 && getpid() == 1)
        r = loop_reap_orphans(p->loop);
    return r;
}

/* --- start --- */

/* as many descriptors as the system lets us have: each agent and each waiting reader is one */
static void raise_descriptors(void)
{
    struct rlimit l;

    if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < l.rlim_max) {
        l.rlim_cur = l.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &l);
    }
}

static int start(struct program *p, struct writer *w, struct err *e)
{
    _cleanup_free_ char *rpc_bind = NULL, *rpc_advertise = NULL;
    _cleanup_free_ char *http_bind = NULL, *http_advertise = NULL;
    struct server_opts o = {.loop = p->loop, .writer = w, .conf = &p->conf};
    int r;

    r = conf_rpc_addresses(&p->conf, &rpc_bind, &rpc_advertise, e);
    if (r == 0)
        r = conf_http_addresses(&p->conf, &http_bind, &http_advertise, e);
    if (r < 0)
        return r;
    o.rpc_advertise = rpc_advertise;
    o.http_advertise = http_advertise;
    r = server_new(&o, &p->server, e);
    if (r == 0)
        r = server_listen(p->server, rpc_bind, http_bind, e);
    return r;
}

static int run(struct program *p, struct writer *w)
{
    struct err e = {0};
    int r = watch_signals(p);

    if (r < 0)
        return log_error(r, "cannot watch signals");
    r = start(p, w, &e);
    if (r < 0)
        return log_error(0, "cannot start", KE(&e)), r;
    timer_init(p->loop, &p->status, "status", on_status, p);
    loop_on_late(p->loop, AWAY_SEC * NSEC_PER_SEC, server_was_away, p->server);
    loop_watchdog(p->loop);
    log_info("picket-server started", KV("version", PICKET_VERSION), KV("name", p->conf.name),
             KV("region", p->conf.region), KV("datacenter", p->conf.datacenter),
             KV("data_dir", p->conf.server.data_dir),
             KI("nodes", store_node_count(p->server->store)),
             KI("index", store_index(p->server->store)));
    loop_notify("READY=1");
    on_status(p);
    r = loop_run(p->loop);
    timer_stop(&p->status);
    loop_on_late(p->loop, 0, NULL, NULL);
    return r;
}

int main(int argc, char **argv)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct program p = {0};
    struct conf_report report = {0};
    struct writer *w = NULL;
    int r;

    if (argc > 1 && strcmp(argv[1], "snapshot") == 0)
        return snapshot_command(argc - 1, argv + 1);
    loop_block_signals();
    (void)sigaction(SIGXFSZ, &ignore, NULL); /* a write beyond a limit is an error like others */
    r = conf_start(argc, argv, CONF_SERVER, &p.args, &p.conf, &report);
    if (r != CONF_START_RUN)
        return r == CONF_START_ANSWERED ? 0 : 1;
    conf_set_log(&p.conf);
    log_warnings(&report);
    raise_descriptors();
    r = loop_new(&p.loop);
    if (r == 0)
        r = writer_new(p.loop, "writer", &w);
    if (r < 0)
        (void)log_error(r, "cannot make the event loop");
    else
        r = run(&p, w);
    p.server = server_free(p.server);
    if (w && writer_pending(w) > 0) { /* what was answered is durable, so nothing is lost */
        (void)log_error(-ETIMEDOUT, "the disk does not answer: stopped without waiting for it");
        _exit(1);
    }
    w = writer_free(w);
    if (r == 0)
        log_info("picket-server stopped");
    if (p.loop)
        conn_drop_closing(p.loop);
    p.loop = loop_free(p.loop);
    conf_report_done(&report);
    conf_done(&p.conf);
    p.args = conf_args_free(p.args);
    return r < 0 ? 1 : r;
}
