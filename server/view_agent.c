/* /v1/agent/self and /v1/agent/members in the shape of a Nomad 1.10 server (fact: http-api 10).
 * What the CLI and the SDK read is true; raft and gossip, which we do not have, show what a cluster
 * of one shows. */
#include <inttypes.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "api/members.h"
#include "base/parse.h"
#include "base/str.h"
#include "codec/js.h"
#include "codec/ops.h"
#include "server/members.h"
#include "server/view.h"

static void put_key(struct buf *b, const char *key)
{
    js_str(b, key);
    buf_add_byte(b, ':');
}

static void put_str(struct buf *b, const char *key, const char *value)
{
    put_key(b, key);
    js_str(b, value);
}

/* a key behind another one */
static void add_str(struct buf *b, const char *key, const char *value)
{
    buf_add_byte(b, ',');
    put_str(b, key, value);
}

static void add_raw(struct buf *b, const char *key, const char *json)
{
    buf_add_byte(b, ',');
    put_key(b, key);
    buf_add_str(b, json);
}

static void add_bool(struct buf *b, const char *key, bool value)
{
    add_raw(b, key, value ? "true" : "false");
}

static void add_i64(struct buf *b, const char *key, int64_t value)
{
    buf_add_byte(b, ',');
    put_key(b, key);
    buf_printf(b, "%" PRId64, value);
}

void view_agent_members(const struct server *s, struct buf *ret)
{
    struct server_members_response v = {0};

    members_fill(s, &v);
    members_json(ret, &v);
    ops_clear(&desc_server_members_response, &v);
}

/* --- config --- */

static void put_files(struct buf *b, const struct conf *c)
{
    buf_add_byte(b, ',');
    put_key(b, "Files");
    buf_add_byte(b, '[');
    for (size_t i = 0; i < c->n_files; i++) {
        if (i > 0)
            buf_add_byte(b, ',');
        js_str(b, c->files[i]);
    }
    buf_add_byte(b, ']');
}

static void put_addresses(struct buf *b, const struct server *s)
{
    _cleanup_free_ char *host = NULL, *serf = NULL;
    const struct conf *c = s->conf;
    uint64_t port;

    server_split_address(s->rpc_advertise, &host, &port);
    serf = xasprintf("%s:%" PRId64, host, c->port_serf);
    buf_add_str(b, ",\"Addresses\":{");
    put_str(b, "HTTP", c->address_http ? c->address_http : c->bind_addr);
    add_str(b, "RPC", c->address_rpc ? c->address_rpc : c->bind_addr);
    add_str(b, "Serf", c->bind_addr);
    buf_add_str(b, "},\"AdvertiseAddrs\":{");
    put_str(b, "HTTP", s->http_advertise);
    add_str(b, "RPC", s->rpc_advertise);
    add_str(b, "Serf", serf);
    buf_add_str(b, "},\"Ports\":{\"HTTP\":");
    buf_printf(b, "%" PRId64, c->port_http);
    add_i64(b, "RPC", c->port_rpc);
    add_i64(b, "Serf", c->port_serf);
    buf_add_byte(b, '}');
}

static void put_server_block(struct buf *b, const struct conf *c)
{
    buf_add_str(b, ",\"Server\":{\"Enabled\":true,\"BootstrapExpect\":1");
    add_str(b, "DataDir", c->server.data_dir);
    add_i64(b, "FailoverHeartbeatTTL", c->server.failover_heartbeat_ttl);
    add_i64(b, "HeartbeatGrace", c->server.heartbeat_grace);
    buf_add_str(b, ",\"MaxHeartbeatsPerSecond\":");
    js_f64(b, c->server.max_heartbeats_per_second);
    add_i64(b, "MinHeartbeatTTL", c->server.min_heartbeat_ttl);
    buf_add_byte(b, '}');
}

/* Nomad prints these as text: "5s" */
static void add_duration(struct buf *b, const char *key, int64_t ns)
{
    _cleanup_free_ char *text = format_duration(ns);

    add_str(b, key, text);
}

static void put_config(struct buf *b, const struct server *s)
{
    const struct conf *c = s->conf;

    buf_add_str(b, "{\"ACL\":{\"Enabled\":false,\"PolicyTTL\":30000000000,"
                   "\"ReplicationToken\":\"\",\"TokenTTL\":30000000000}");
    put_addresses(b, s);
    add_str(b, "BindAddr", c->bind_addr);
    add_raw(b, "Client", "{\"Enabled\":false}");
    add_str(b, "DataDir", c->data_dir);
    add_str(b, "Datacenter", c->datacenter);
    add_bool(b, "DevMode", c->dev);
    add_raw(b, "DisableUpdateCheck", "true");
    add_bool(b, "EnableDebug", c->enable_debug);
    put_files(b, c);
    buf_add_byte(b, ',');
    put_key(b, "HTTPAPIResponseHeaders");
    js_map(b, &c->response_headers);
    buf_add_str(b, ",\"Limits\":{\"HTTPMaxConnsPerClient\":");
    buf_printf(b, "%" PRId64, c->http_max_conns_per_client);
    add_duration(b, "HTTPSHandshakeTimeout", c->https_handshake_timeout);
    add_duration(b, "RPCHandshakeTimeout", c->rpc_handshake_timeout);
    add_i64(b, "RPCMaxConnsPerClient", c->rpc_max_conns_per_client);
    buf_add_byte(b, '}');
    add_bool(b, "LeaveOnInt", c->leave_on_interrupt);
    add_bool(b, "LeaveOnTerm", c->leave_on_terminate);
    add_bool(b, "LogJson", c->log_json);
    add_str(b, "LogLevel", c->log_level);
    add_str(b, "NodeName", c->name);
    add_str(b, "Region", c->region);
    put_server_block(b, c);
    add_raw(b, "TLSConfig", "{\"EnableHTTP\":false,\"EnableRPC\":false}");
    /* there is no web interface to hint at */
    add_raw(b, "UI", "{\"Enabled\":false,\"ShowCLIHints\":false}");
    buf_add_str(b, ",\"Version\":{\"Revision\":\"\",\"Version\":\"" SERVER_NOMAD_VERSION
                   "\",\"VersionMetadata\":\"" SERVER_NOMAD_METADATA
                   "\",\"VersionPrerelease\":\"\",\"Picket\":\"" PICKET_VERSION "\"}}");
}

/* --- stats: everything is a string there --- */

static void put_stats_group(struct buf *b, const char *name, struct strmap *take)
{
    put_key(b, name);
    js_map(b, take);
    strmap_done(take);
}

static void put_stats(struct buf *b, const struct server *s)
{
    struct strmap m = {0};
    struct utsname u;
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    static const char *const indexes[] = {"applied_index", "commit_index", "last_log_index"};

    buf_add_byte(b, '{');
    strmap_set(&m, "bootstrap", "true");
    strmap_set(&m, "known_regions", "1");
    strmap_set(&m, "leader", "true");
    strmap_set(&m, "leader_addr", s->rpc_advertise);
    strmap_set(&m, "server", "true");
    put_stats_group(b, "nomad", &m);
    buf_add_byte(b, ',');
    strmap_setf(&m, "heartbeat_timers", "%zu", beats_count(s->beats));
    strmap_setf(&m, "nodes", "%zu", store_node_count(s->store));
    strmap_setf(&m, "rpc_sessions", "%zu", s->rpc ? rpc_listener_sessions(s->rpc) : 0);
    strmap_set(&m, "version", PICKET_VERSION);
    put_stats_group(b, "picket", &m);
    buf_add_byte(b, ',');
    for (size_t i = 0; i < ARRAY_LEN(indexes); i++)
        strmap_setf(&m, indexes[i], "%" PRIu64, store_index(s->store));
    strmap_set(&m, "last_contact", "0");
    strmap_setf(&m, "latest_configuration", "[{Suffrage:Voter ID:%s Address:%s}]", s->id,
                s->rpc_advertise);
    strmap_set(&m, "num_peers", "0");
    strmap_set(&m, "state", "Leader");
    put_stats_group(b, "raft", &m);
    buf_add_byte(b, ',');
    strmap_set(&m, "arch", uname(&u) == 0 && str_eq(u.machine, "aarch64") ? "arm64" : "amd64");
    strmap_setf(&m, "cpu_count", "%ld", cpus);
    strmap_set(&m, "goroutines", "0");
    strmap_set(&m, "kernel.name", "linux");
    strmap_setf(&m, "max_procs", "%ld", cpus);
    strmap_set(&m, "version", "gnu17");
    put_stats_group(b, "runtime", &m);
    buf_add_byte(b, ',');
    strmap_set(&m, "encrypted", "false");
    strmap_set(&m, "failed", "0");
    strmap_set(&m, "left", "0");
    strmap_set(&m, "members", "1");
    put_stats_group(b, "serf", &m);
    buf_add_byte(b, '}');
}

void view_agent_self(const struct server *s, struct buf *ret)
{
    struct server_members_response v = {0};

    members_fill(s, &v);
    buf_add_str(ret, "{\"config\":");
    put_config(ret, s);
    buf_add_str(ret, ",\"member\":");
    member_json(ret, &v.members[0]);
    buf_add_str(ret, ",\"stats\":");
    put_stats(ret, s);
    buf_add_byte(ret, '}');
    ops_clear(&desc_server_members_response, &v);
}
