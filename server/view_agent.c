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
#include "codec/js_obj.h"
#include "codec/ops.h"
#include "server/members.h"
#include "server/view.h"

static void put_raw(struct buf *b, const char *key, const char *json)
{
    obj_key(b, key);
    buf_add_str(b, json);
}

void view_agent_members(const struct server *s, struct buf *ret)
{
    struct server_members_response v = {0};

    members_fill(s, &v);
    members_json(ret, &v);
    ops_clear(&desc_server_members_response, &v);
}

/* --- config --- */

static void put_addresses(struct buf *b, const struct server *s)
{
    _cleanup_free_ char *host = NULL, *serf = NULL;
    const struct conf *c = s->conf;
    uint64_t port;

    server_split_address(s->rpc_advertise, &host, &port);
    serf = xasprintf("%s:%" PRId64, host, c->port_serf);
    obj_open(b, "Addresses");
    obj_str(b, "HTTP", c->address_http ? c->address_http : c->bind_addr);
    obj_str(b, "RPC", c->address_rpc ? c->address_rpc : c->bind_addr);
    obj_str(b, "Serf", c->bind_addr);
    obj_close(b);
    obj_open(b, "AdvertiseAddrs");
    obj_str(b, "HTTP", s->http_advertise);
    obj_str(b, "RPC", s->rpc_advertise);
    obj_str(b, "Serf", serf);
    obj_close(b);
    obj_open(b, "Ports");
    obj_i64(b, "HTTP", c->port_http);
    obj_i64(b, "RPC", c->port_rpc);
    obj_i64(b, "Serf", c->port_serf);
    obj_close(b);
}

static void put_server_block(struct buf *b, const struct conf *c)
{
    obj_open(b, "Server");
    obj_bool(b, "Enabled", true);
    obj_i64(b, "BootstrapExpect", 1);
    obj_str(b, "DataDir", c->server.data_dir);
    obj_i64(b, "FailoverHeartbeatTTL", c->server.failover_heartbeat_ttl);
    obj_i64(b, "HeartbeatGrace", c->server.heartbeat_grace);
    obj_key(b, "MaxHeartbeatsPerSecond");
    js_f64(b, c->server.max_heartbeats_per_second);
    obj_i64(b, "MinHeartbeatTTL", c->server.min_heartbeat_ttl);
    obj_close(b);
}

/* Nomad prints these as text: "5s" */
static void put_duration(struct buf *b, const char *key, int64_t ns)
{
    _cleanup_free_ char *text = format_duration(ns);

    obj_str(b, key, text);
}

static void put_config(struct buf *b, const struct server *s)
{
    const struct conf *c = s->conf;

    buf_add_str(b, "{\"ACL\":{\"Enabled\":false,\"PolicyTTL\":30000000000,"
                   "\"ReplicationToken\":\"\",\"TokenTTL\":30000000000}");
    put_addresses(b, s);
    obj_str(b, "BindAddr", c->bind_addr);
    put_raw(b, "Client", "{\"Enabled\":false}");
    obj_str(b, "DataDir", c->data_dir);
    obj_str(b, "Datacenter", c->datacenter);
    obj_bool(b, "DevMode", c->dev);
    obj_bool(b, "DisableUpdateCheck", true);
    obj_bool(b, "EnableDebug", c->enable_debug);
    obj_strv(b, "Files", c->files, c->n_files);
    obj_key(b, "HTTPAPIResponseHeaders");
    js_map(b, &c->response_headers);
    obj_open(b, "Limits");
    obj_i64(b, "HTTPMaxConnsPerClient", c->http_max_conns_per_client);
    put_duration(b, "HTTPSHandshakeTimeout", c->https_handshake_timeout);
    put_duration(b, "RPCHandshakeTimeout", c->rpc_handshake_timeout);
    obj_i64(b, "RPCMaxConnsPerClient", c->rpc_max_conns_per_client);
    obj_close(b);
    obj_bool(b, "LeaveOnInt", c->leave_on_interrupt);
    obj_bool(b, "LeaveOnTerm", c->leave_on_terminate);
    obj_bool(b, "LogJson", c->log_json);
    obj_str(b, "LogLevel", c->log_level);
    obj_str(b, "NodeName", c->name);
    obj_str(b, "Region", c->region);
    put_server_block(b, c);
    put_raw(b, "TLSConfig", "{\"EnableHTTP\":false,\"EnableRPC\":false}");
    /* there is no web interface to hint at */
    put_raw(b, "UI", "{\"Enabled\":false,\"ShowCLIHints\":false}");
    buf_add_str(b, ",\"Version\":{\"Revision\":\"\",\"Version\":\"" SERVER_NOMAD_VERSION
                   "\",\"VersionMetadata\":\"" SERVER_NOMAD_METADATA
                   "\",\"VersionPrerelease\":\"\",\"Picket\":\"" PICKET_VERSION "\"}}");
}

/* --- stats: everything is a string there --- */

static void put_stats_group(struct buf *b, const char *name, struct strmap *take)
{
    obj_key(b, name);
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
    strmap_setf(&m, "heartbeat_timers", "%zu", beats_count(s->beats));
    strmap_setf(&m, "nodes", "%zu", store_node_count(s->store));
    strmap_setf(&m, "rpc_sessions", "%zu", s->rpc ? rpc_listener_sessions(s->rpc) : 0);
    strmap_set(&m, "version", PICKET_VERSION);
    put_stats_group(b, "picket", &m);
    for (size_t i = 0; i < ARRAY_LEN(indexes); i++)
        strmap_setf(&m, indexes[i], "%" PRIu64, store_index(s->store));
    strmap_set(&m, "last_contact", "0");
    strmap_setf(&m, "latest_configuration", "[{Suffrage:Voter ID:%s Address:%s}]", s->id,
                s->rpc_advertise);
    strmap_set(&m, "num_peers", "0");
    strmap_set(&m, "state", "Leader");
    put_stats_group(b, "raft", &m);
    strmap_set(&m, "arch", uname(&u) == 0 && str_eq(u.machine, "aarch64") ? "arm64" : "amd64");
    strmap_setf(&m, "cpu_count", "%ld", cpus);
    strmap_set(&m, "goroutines", "0");
    strmap_set(&m, "kernel.name", "linux");
    strmap_setf(&m, "max_procs", "%ld", cpus);
    strmap_set(&m, "version", "gnu17");
    put_stats_group(b, "runtime", &m);
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
