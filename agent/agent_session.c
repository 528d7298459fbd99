/* The node on its way to the servers, and their word on its way to the parts. */
#include <time.h>

#include "agent/agent_priv.h"
#include "api/watch.h"
#include "base/clock.h"
#include "base/str.h"
#include "model/texts.h"

/* --- the sentence for systemctl status --- */

static void short_time(int64_t wall_ns, char ret[16])
{
    time_t t = (time_t)(wall_ns / (int64_t)NSEC_PER_SEC);
    struct tm tm;

    if (!gmtime_r(&t, &tm) || strftime(ret, 16, "%H:%M:%S UTC", &tm) == 0)
        ret[0] = 0;
}

static char *registered_text(const struct agent *a, const struct session_status *st)
{
    const char *server = pool_current(a->pool);
    _cleanup_free_ char *flapping = flap_text(a->flap, clock_boot_ns());
    char at[16] = "";

    short_time(st->beat_wall_ns, at);
    if (!st->in_contact)
        return xasprintf("registered as %.8s, but no server answers since the last beat at %s: %s",
                         a->identity.node_id, st->beat_ns ? at : "(none)", st->error);
    return xasprintf("registered with %s as %.8s, last beat %s, next within %llu s%s%s",
                     server ? server : "a server", a->identity.node_id, st->beat_ns ? at : "none",
                     (unsigned long long)(st->ttl_ns / NSEC_PER_SEC),
                     flapping ? "; flapping: " : "", str_or_empty(flapping));
}

char *agent_status_text(const struct agent *a)
{
    struct session_status st;
    const char *const *v;

    session_status(a->session, &st);
    switch (st.state) {
    case SESSION_REGISTERED:
        return registered_text(a, &st);
    case SESSION_REFUSED:
        return xasprintf("REFUSED: servers know node %s by another secret; restore %s/secret-id "
                         "or purge the node: %s",
                         a->identity.node_id, a->conf->client.state_dir, st.error);
    case SESSION_REGISTERING:
        return xasprintf("registering as %.8s%s%s", a->identity.node_id, *st.error ? ": " : "",
                         st.error);
    default:
        if (pool_servers(a->pool, &v) == 0)
            return xstrdup(a->conf->client.n_servers ? "no server's name could be resolved yet"
                                                     : "no servers are configured");
        return xasprintf("looking for a server%s%s", *st.error ? ": " : "", st.error);
    }
}

void agent_say_status(struct agent *a)
{
    char *text = agent_status_text(a);

    if (*watch_trouble()) {
        char *more = xasprintf("%s; %s", text, watch_trouble());

        free(text);
        text = more;
    }
    if (!str_eq(text, a->status))
        loop_notify("STATUS=%s", text);
    free(a->status);
    a->status = text;
}

/* --- word from the session --- */

static void on_session(void *arg)
{
    agent_say_status(arg);
}

static void on_registered(void *arg, bool known)
{
    struct agent *a = arg;

    allocs_start(a->allocs, known);
    mirror_start(a->mirror, known);
    events_registered(a->events);
}

static void on_contact(void *arg)
{
    struct agent *a = arg;

    allocs_kick(a->allocs);
    mirror_kick(a->mirror);
    events_kick(a->events);
}

static void on_servers(void *arg)
{
    struct agent *a = arg;

    session_servers_changed(a->session);
    agent_say_status(a);
}

static void on_notice(void *arg, const char *subsystem, const char *message,
                      const struct strmap *details)
{
    struct agent *a = arg;

    events_add(a->events, subsystem, message, details);
}

static void on_clock_event(void *arg, const char *message, const struct strmap *details)
{
    on_notice(arg, EVENT_SUBSYSTEM_HEARTBEAT, message, details);
}

static void on_pause(void *arg, const char *how, uint64_t ns)
{
    struct agent *a = arg;

    session_woke(a->session, how, ns);
}

static void on_beat(void *arg)
{
    struct agent *a = arg;

    if (a->clocks)
        clocks_mark(a->clocks);
}

/* --- building --- */

static void make_session(struct agent *a)
{
    a->flap = flap_new();
    a->session = session_new(&(struct session_opts){.loop = a->loop,
                                                    .pool = a->pool,
                                                    .servers = a->servers,
                                                    .journal = a->journal,
                                                    .flap = a->flap,
                                                    .region = a->conf->region,
                                                    .node_id = a->identity.node_id,
                                                    .secret_id = a->identity.secret_id,
                                                    .on_change = on_session,
                                                    .on_registered = on_registered,
                                                    .on_contact = on_contact,
                                                    .on_event = on_notice,
                                                    .on_beat = on_beat,
                                                    .arg = a});
}

/* what tells servers something besides the node */
static void make_reporters(struct agent *a, const char *probe_path)
{
    a->events = events_new(&(struct events_opts){.loop = a->loop,
                                                 .pool = a->pool,
                                                 .session = a->session,
                                                 .journal = a->journal,
                                                 .region = a->conf->region,
                                                 .node_id = a->identity.node_id});
    a->clocks = clocks_new(&(struct clocks_opts){
        .loop = a->loop, .set_fd = -1, .on_event = on_clock_event, .on_pause = on_pause, .arg = a});
    a->notice = notice_new(
        &(struct notice_opts){.loop = a->loop, .flap = a->flap, .add = on_notice, .arg = a});
    a->allocs = allocs_new(&(struct allocs_opts){.loop = a->loop,
                                                 .pool = a->pool,
                                                 .session = a->session,
                                                 .journal = a->journal,
                                                 .region = a->conf->region,
                                                 .node_id = a->identity.node_id,
                                                 .secret_id = a->identity.secret_id,
                                                 .probe_path = probe_path,
                                                 .alloc_dir = a->conf->client.alloc_dir});
}

void agent_session_make(struct agent *a, const char *probe_path)
{
    a->backcalls = backcalls_new(&(struct backcalls_opts){.loop = a->loop,
                                                          .conf = a->conf,
                                                          .node_id = a->identity.node_id,
                                                          .secret_id = a->identity.secret_id,
                                                          .probe_path = probe_path,
                                                          .meta = a->meta});
    a->pool = pool_new(a->loop, &(struct pool_opts){.handler = backcalls_request,
                                                    .handler_arg = a->backcalls,
                                                    .stream_handler = backcalls_stream,
                                                    .stream_arg = a->backcalls,
                                                    .region = a->conf->region});
    a->servers = servers_new(&(struct servers_opts){.loop = a->loop,
                                                    .pool = a->pool,
                                                    .configured = a->conf->client.servers,
                                                    .n_configured = a->conf->client.n_servers,
                                                    .probe_path = probe_path,
                                                    .on_change = on_servers,
                                                    .arg = a});
    make_session(a);
    make_reporters(a, probe_path);
}
