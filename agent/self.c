#include "agent/self.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "agent/host.h"
#include "agent/merge.h"
#include "api/watch.h"
#include "base/parse.h"
#include "base/str.h"
#include "codec/js_obj.h"

enum { START_SEC = 30 }; /* to be registered first */

/* --- /v1/agent/self --- */

/* options of drivers may be secrets, and nothing but their names tells */
static void put_options(struct buf *b, const struct strmap *m)
{
    obj_open(b, "Options");
    for (size_t i = 0; i < m->n; i++)
        obj_str(b, m->items[i].key,
                host_secret_name(m->items[i].key, strlen(m->items[i].key)) ? HOST_REDACTED
                                                                           : m->items[i].value);
    obj_close(b);
}

static void host_networks(struct buf *b, const struct conf *c)
{
    obj_key(b, "HostNetworks");
    buf_add_byte(b, '[');
    for (size_t i = 0; i < c->client.n_host_networks; i++) {
        const struct conf_host_network *h = &c->client.host_networks[i];

        obj_element(b, i == 0);
        obj_str(b, "CIDR", h->cidr);
        obj_str(b, "Interface", h->interface);
        obj_str(b, "Name", h->name);
        obj_str(b, "ReservedPorts", h->reserved_ports);
        obj_close(b);
    }
    buf_add_byte(b, ']');
}

/* their names: what stands in their blocks may be secret */
static void plugins(struct buf *b, const struct conf *c)
{
    obj_key(b, "Plugins");
    buf_add_byte(b, '[');
    for (size_t i = 0; i < c->n_plugins; i++) {
        obj_element(b, i == 0);
        obj_str(b, "Name", c->plugins[i].name);
        obj_close(b);
    }
    buf_add_byte(b, ']');
}

static void client_config(struct buf *b, const struct conf *c)
{
    obj_open(b, "Client");
    obj_str(b, "AllocDir", c->client.alloc_dir);
    obj_i64(b, "CpuCompute", c->client.cpu_total_compute);
    obj_i64(b, "DiskTotalMB", c->client.disk_total_mb);
    obj_bool(b, "Enabled", true);
    obj_bool(b, "GCVolumesOnNodeGC", c->client.gc_volumes_on_node_gc);
    obj_key(b, "HostVolumes");
    buf_add_byte(b, '[');
    for (size_t i = 0; i < c->client.n_volumes; i++) {
        obj_element(b, i == 0);
        obj_str(b, "Name", c->client.volumes[i].name);
        obj_str(b, "Path", c->client.volumes[i].path);
        obj_bool(b, "ReadOnly", c->client.volumes[i].read_only);
        obj_close(b);
    }
    buf_add_byte(b, ']');
    host_networks(b, c);
    obj_i64(b, "MaxDynamicPort", c->client.max_dynamic_port);
    obj_i64(b, "MemoryMB", c->client.memory_total_mb);
    obj_map(b, "Meta", &c->client.meta);
    obj_i64(b, "MinDynamicPort", c->client.min_dynamic_port);
    obj_str(b, "NetworkInterface", c->client.network_interface);
    obj_i64(b, "NetworkSpeed", c->client.network_speed);
    obj_bool(b, "NoHostUUID", c->client.no_host_uuid);
    obj_str(b, "NodeClass", c->client.node_class);
    obj_i64(b, "NodeMaxAllocs", c->client.node_max_allocs);
    obj_str(b, "NodePool", c->client.node_pool);
    obj_bool(b, "NomadServiceDiscovery", c->client.nomad_service_discovery);
    put_options(b, &c->client.options);
    obj_str(b, "PreferredAddressFamily", c->client.preferred_address_family);
    obj_str(b, "ReservableCores", c->client.reservable_cores);
    obj_open(b, "Reserved");
    obj_i64(b, "CPU", c->client.reserved_cpu);
    obj_str(b, "Cores", c->client.reserved_cores);
    obj_i64(b, "DiskMB", c->client.reserved_disk);
    obj_i64(b, "MemoryMB", c->client.reserved_memory);
    obj_str(b, "ReservedPorts", c->client.reserved_ports);
    obj_close(b);
    obj_open(b, "ServerJoin");
    obj_i64(b, "RetryInterval", c->client.retry_interval);
    obj_close(b);
    obj_strv(b, "Servers", c->client.servers, c->client.n_servers);
    obj_str(b, "StateDir", c->client.state_dir);
    obj_close(b);
}

static void addresses(struct buf *b, const struct self_facts *f)
{
    const struct conf *c = f->conf;

    obj_open(b, "Addresses");
    obj_str(b, "HTTP", str_empty(c->address_http) ? c->bind_addr : c->address_http);
    obj_str(b, "RPC", str_empty(c->address_rpc) ? c->bind_addr : c->address_rpc);
    obj_close(b);
    obj_open(b, "AdvertiseAddrs");
    obj_str(b, "HTTP", f->http_addr);
    obj_close(b);
    obj_str(b, "BindAddr", c->bind_addr);
}

static void version(struct buf *b, const struct conf *c)
{
    obj_open(b, "Version");
    obj_str(b, "PicketVersion", PICKET_VERSION);
    obj_str(b, "Revision", "");
    obj_str(b, "Version", merge_nomad_version(c));
    obj_str(b, "VersionMetadata", "");
    obj_str(b, "VersionPrerelease", "");
    obj_close(b);
}

static void config(struct buf *b, const struct self_facts *f)
{
    const struct conf *c = f->conf;

    obj_open(b, "config");
    obj_open(b, "ACL");
    obj_bool(b, "Enabled", false);
    obj_close(b);
    addresses(b, f);
    client_config(b, c);
    obj_str(b, "DataDir", c->data_dir);
    obj_str(b, "Datacenter", c->datacenter);
    obj_bool(b, "DevMode", c->dev);
    obj_bool(b, "EnableDebug", c->enable_debug);
    obj_strv(b, "Files", c->files, c->n_files);
    obj_map(b, "HTTPAPIResponseHeaders", &c->response_headers);
    obj_bool(b, "LeaveOnInt", c->leave_on_interrupt);
    obj_bool(b, "LeaveOnTerm", c->leave_on_terminate);
    obj_open(b, "Limits");
    obj_i64(b, "HTTPMaxConnsPerClient", c->http_max_conns_per_client);
    obj_i64(b, "RPCMaxConnsPerClient", c->rpc_max_conns_per_client);
    obj_close(b);
    obj_bool(b, "LogJson", c->log_json);
    obj_str(b, "LogLevel", c->log_level);
    obj_str(b, "NodeName", c->name);
    plugins(b, c);
    obj_open(b, "Ports");
    obj_i64(b, "HTTP", c->port_http);
    obj_i64(b, "RPC", c->port_rpc);
    obj_i64(b, "Serf", c->port_serf);
    obj_close(b);
    obj_str(b, "Region", c->region);
    obj_open(b, "Server");
    obj_bool(b, "Enabled", false);
    obj_close(b);
    obj_open(b, "TLSConfig");
    obj_bool(b, "EnableHTTP", false);
    obj_bool(b, "EnableRPC", false);
    obj_close(b);
    obj_open(b, "Telemetry");
    obj_bool(b, "PrometheusMetrics", c->prometheus_metrics);
    obj_close(b);
    obj_open(b, "UI");
    obj_bool(b, "Enabled", false);
    obj_bool(b, "ShowCLIHints", false);
    obj_close(b);
    version(b, c);
    obj_close(b);
}

static void kv_duration(struct buf *b, const char *name, uint64_t ns)
{
    _cleanup_free_ char *text = format_duration((int64_t)ns);

    obj_str(b, name, text);
}

static void kv_number_text(struct buf *b, const char *name, uint64_t n)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
    obj_str(b, name, text);
}

/* Go's name of the machine */
static const char *go_arch(const char *machine)
{
    if (str_eq(machine, "x86_64"))
        return "amd64";
    return str_eq(machine, "aarch64") ? "arm64" : machine;
}

static void stats(struct buf *b, const struct self_facts *f)
{
    const struct session_status *st = f->session;
    _cleanup_buf_ struct buf list = BUF_INIT(16384);
    struct utsname u = {0};
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);

    for (size_t i = 0; i < f->n_servers; i++)
        buf_printf(&list, "%s%s", i ? "," : "", f->servers[i]);
    (void)uname(&u);
    obj_open(b, "stats");
    obj_open(b, "client");
    kv_duration(b, "heartbeat_ttl", st->ttl_ns);
    obj_str(b, "known_servers", buf_str(&list));
    /* before the first one Nomad counts from its zero time; the age of the process says more */
    kv_duration(b, "last_heartbeat", f->now_ns - (st->beat_ns ? st->beat_ns : f->born_ns));
    obj_str(b, "last_error", st->error);
    obj_str(b, "node_id", f->node_id);
    kv_number_text(b, "num_allocations", f->n_allocs);
    obj_str(b, "registration", session_state_name(st->state));
    obj_close(b);
    obj_open(b, "runtime");
    obj_str(b, "arch", go_arch(u.machine));
    kv_number_text(b, "cpu_count", cpus > 0 ? (uint64_t)cpus : 1);
    obj_str(b, "goroutines", "0");
    obj_str(b, "kernel.name", "linux");
    obj_str(b, "max_procs", "1");
    obj_str(b, "version", "picket " PICKET_VERSION);
    obj_close(b);
    obj_close(b);
}

void self_json(struct buf *b, const struct self_facts *f)
{
    buf_add_byte(b, '{');
    config(b, f);
    /* a client is no member of the gossip: Nomad prints its zero value */
    obj_key(b, "member");
    buf_add_str(b, "{\"Addr\":null,\"DelegateCur\":0,\"DelegateMax\":0,\"DelegateMin\":0,"
                   "\"Name\":\"\",\"Port\":0,\"ProtocolCur\":0,\"ProtocolMax\":0,"
                   "\"ProtocolMin\":0,\"Status\":\"none\",\"Tags\":null}");
    stats(b, f);
    obj_close(b);
}

/* --- /v1/agent/health --- */

/* Nomad asks for no more than that a server is known.  Here the node has to be one that the servers
 * hear of, too; while it comes up it has START_SEC for that. */
static bool client_problem(const struct self_facts *f, struct err *e)
{
    const struct session_status *st = f->session;
    uint64_t age = f->now_ns - (st->beat_ns ? st->beat_ns : f->born_ns);
    uint64_t limit = st->beat_ns ? MAX(st->ttl_ns, NSEC_PER_SEC) : START_SEC * NSEC_PER_SEC;
    const char *why = *st->error ? st->error : "no server has answered";

    if (f->n_servers == 0)
        (void)err_set(e, -ENOENT, "no known servers");
    else if (st->state == SESSION_REFUSED)
        (void)err_set(e, -EPERM, "the servers refuse this node: %s", why);
    else if (age <= limit)
        return false;
    else if (!st->beat_ns)
        (void)err_set(e, -ETIMEDOUT, "not registered since the start %llu s ago: %s",
                      (unsigned long long)(age / NSEC_PER_SEC), why);
    else
        (void)err_set(e, -ETIMEDOUT, "no heartbeat was accepted for %llu s, the TTL is %llu s: %s",
                      (unsigned long long)(age / NSEC_PER_SEC),
                      (unsigned long long)(limit / NSEC_PER_SEC), why);
    return true;
}

int self_health(struct buf *b, const char *type, const struct self_facts *f)
{
    bool is_server = str_eq(type, "server");
    struct err e = {0};
    bool ok = !is_server && !client_problem(f, &e);

    if (is_server)
        (void)err_set(&e, -ENOENT, "server not enabled");
    buf_add_byte(b, '{');
    obj_open(b, is_server ? "server" : "client");
    obj_str(b, "message", !ok ? e.text : *watch_trouble() ? watch_trouble() : "ok");
    obj_bool(b, "ok", ok);
    obj_close(b);
    obj_close(b);
    return ok ? 200 : 500;
}
