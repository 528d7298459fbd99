#include "agent/self.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "agent/host.h"
#include "agent/json_put.h"
#include "agent/merge.h"
#include "base/parse.h"
#include "base/str.h"

enum { START_SEC = 30 }; /* to be registered first */

/* --- /v1/agent/self --- */

/* options of drivers may be secrets, and nothing but their names tells */
static void put_options(struct buf *b, const struct strmap *m)
{
    put_open(b, "Options");
    for (size_t i = 0; i < m->n; i++)
        put_str(b, m->items[i].key,
                host_secret_name(m->items[i].key, strlen(m->items[i].key)) ? HOST_REDACTED
                                                                           : m->items[i].value);
    put_close(b);
}

static void host_networks(struct buf *b, const struct conf *c)
{
    put_key(b, "HostNetworks");
    buf_add_byte(b, '[');
    for (size_t i = 0; i < c->client.n_host_networks; i++) {
        const struct conf_host_network *h = &c->client.host_networks[i];

        put_element(b, i == 0);
        put_str(b, "CIDR", h->cidr);
        put_str(b, "Interface", h->interface);
        put_str(b, "Name", h->name);
        put_str(b, "ReservedPorts", h->reserved_ports);
        put_close(b);
    }
    buf_add_byte(b, ']');
}

/* their names: what stands in their blocks may be secret */
static void plugins(struct buf *b, const struct conf *c)
{
    put_key(b, "Plugins");
    buf_add_byte(b, '[');
    for (size_t i = 0; i < c->n_plugins; i++) {
        put_element(b, i == 0);
        put_str(b, "Name", c->plugins[i].name);
        put_close(b);
    }
    buf_add_byte(b, ']');
}

static void client_config(struct buf *b, const struct conf *c)
{
    put_open(b, "Client");
    put_str(b, "AllocDir", c->client.alloc_dir);
    put_int(b, "CpuCompute", c->client.cpu_total_compute);
    put_int(b, "DiskTotalMB", c->client.disk_total_mb);
    put_bool(b, "Enabled", true);
    put_bool(b, "GCVolumesOnNodeGC", c->client.gc_volumes_on_node_gc);
    put_key(b, "HostVolumes");
    buf_add_byte(b, '[');
    for (size_t i = 0; i < c->client.n_volumes; i++) {
        put_element(b, i == 0);
        put_str(b, "Name", c->client.volumes[i].name);
        put_str(b, "Path", c->client.volumes[i].path);
        put_bool(b, "ReadOnly", c->client.volumes[i].read_only);
        put_close(b);
    }
    buf_add_byte(b, ']');
    host_networks(b, c);
    put_int(b, "MaxDynamicPort", c->client.max_dynamic_port);
    put_int(b, "MemoryMB", c->client.memory_total_mb);
    put_map(b, "Meta", &c->client.meta);
    put_int(b, "MinDynamicPort", c->client.min_dynamic_port);
    put_str(b, "NetworkInterface", c->client.network_interface);
    put_int(b, "NetworkSpeed", c->client.network_speed);
    put_bool(b, "NoHostUUID", c->client.no_host_uuid);
    put_str(b, "NodeClass", c->client.node_class);
    put_int(b, "NodeMaxAllocs", c->client.node_max_allocs);
    put_str(b, "NodePool", c->client.node_pool);
    put_bool(b, "NomadServiceDiscovery", c->client.nomad_service_discovery);
    put_options(b, &c->client.options);
    put_str(b, "PreferredAddressFamily", c->client.preferred_address_family);
    put_str(b, "ReservableCores", c->client.reservable_cores);
    put_open(b, "Reserved");
    put_int(b, "CPU", c->client.reserved_cpu);
    put_str(b, "Cores", c->client.reserved_cores);
    put_int(b, "DiskMB", c->client.reserved_disk);
    put_int(b, "MemoryMB", c->client.reserved_memory);
    put_str(b, "ReservedPorts", c->client.reserved_ports);
    put_close(b);
    put_open(b, "ServerJoin");
    put_int(b, "RetryInterval", c->client.retry_interval);
    put_close(b);
    put_strv(b, "Servers", c->client.servers, c->client.n_servers);
    put_str(b, "StateDir", c->client.state_dir);
    put_close(b);
}

static void addresses(struct buf *b, const struct self_facts *f)
{
    const struct conf *c = f->conf;

    put_open(b, "Addresses");
    put_str(b, "HTTP", str_empty(c->address_http) ? c->bind_addr : c->address_http);
    put_str(b, "RPC", str_empty(c->address_rpc) ? c->bind_addr : c->address_rpc);
    put_close(b);
    put_open(b, "AdvertiseAddrs");
    put_str(b, "HTTP", f->http_addr);
    put_close(b);
    put_str(b, "BindAddr", c->bind_addr);
}

static void version(struct buf *b, const struct conf *c)
{
    put_open(b, "Version");
    put_str(b, "PicketVersion", PICKET_VERSION);
    put_str(b, "Revision", "");
    put_str(b, "Version", merge_nomad_version(c));
    put_str(b, "VersionMetadata", "");
    put_str(b, "VersionPrerelease", "");
    put_close(b);
}

static void config(struct buf *b, const struct self_facts *f)
{
    const struct conf *c = f->conf;

    put_open(b, "config");
    put_open(b, "ACL");
    put_bool(b, "Enabled", false);
    put_close(b);
    addresses(b, f);
    client_config(b, c);
    put_str(b, "DataDir", c->data_dir);
    put_str(b, "Datacenter", c->datacenter);
    put_bool(b, "DevMode", c->dev);
    put_bool(b, "EnableDebug", c->enable_debug);
    put_strv(b, "Files", c->files, c->n_files);
    put_map(b, "HTTPAPIResponseHeaders", &c->response_headers);
    put_bool(b, "LeaveOnInt", c->leave_on_interrupt);
    put_bool(b, "LeaveOnTerm", c->leave_on_terminate);
    put_open(b, "Limits");
    put_int(b, "HTTPMaxConnsPerClient", c->http_max_conns_per_client);
    put_int(b, "RPCMaxConnsPerClient", c->rpc_max_conns_per_client);
    put_close(b);
    put_bool(b, "LogJson", c->log_json);
    put_str(b, "LogLevel", c->log_level);
    put_str(b, "NodeName", c->name);
    plugins(b, c);
    put_open(b, "Ports");
    put_int(b, "HTTP", c->port_http);
    put_int(b, "RPC", c->port_rpc);
    put_int(b, "Serf", c->port_serf);
    put_close(b);
    put_str(b, "Region", c->region);
    put_open(b, "Server");
    put_bool(b, "Enabled", false);
    put_close(b);
    put_open(b, "TLSConfig");
    put_bool(b, "EnableHTTP", false);
    put_bool(b, "EnableRPC", false);
    put_close(b);
    put_open(b, "Telemetry");
    put_bool(b, "PrometheusMetrics", c->prometheus_metrics);
    put_close(b);
    put_open(b, "UI");
    put_bool(b, "Enabled", false);
    put_bool(b, "ShowCLIHints", false);
    put_close(b);
    version(b, c);
    put_close(b);
}

static void kv_duration(struct buf *b, const char *name, uint64_t ns)
{
    _cleanup_free_ char *text = format_duration((int64_t)ns);

    put_str(b, name, text);
}

static void kv_number_text(struct buf *b, const char *name, uint64_t n)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
    put_str(b, name, text);
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
    put_open(b, "stats");
    put_open(b, "client");
    kv_duration(b, "heartbeat_ttl", st->ttl_ns);
    put_str(b, "known_servers", buf_str(&list));
    /* before the first one Nomad counts from its zero time; the age of the process says more */
    kv_duration(b, "last_heartbeat", f->now_ns - (st->beat_ns ? st->beat_ns : f->born_ns));
    put_str(b, "last_error", st->error);
    put_str(b, "node_id", f->node_id);
    kv_number_text(b, "num_allocations", f->n_allocs);
    put_str(b, "registration", session_state_name(st->state));
    put_close(b);
    put_open(b, "runtime");
    put_str(b, "arch", go_arch(u.machine));
    kv_number_text(b, "cpu_count", cpus > 0 ? (uint64_t)cpus : 1);
    put_str(b, "goroutines", "0");
    put_str(b, "kernel.name", "linux");
    put_str(b, "max_procs", "1");
    put_str(b, "version", "picket " PICKET_VERSION);
    put_close(b);
    put_close(b);
}

void self_json(struct buf *b, const struct self_facts *f)
{
    buf_add_byte(b, '{');
    config(b, f);
    /* a client is no member of the gossip: Nomad prints its zero value */
    put_key(b, "member");
    buf_add_str(b, "{\"Addr\":null,\"DelegateCur\":0,\"DelegateMax\":0,\"DelegateMin\":0,"
                   "\"Name\":\"\",\"Port\":0,\"ProtocolCur\":0,\"ProtocolMax\":0,"
                   "\"ProtocolMin\":0,\"Status\":\"none\",\"Tags\":null}");
    stats(b, f);
    put_close(b);
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
    put_open(b, is_server ? "server" : "client");
    put_str(b, "message", ok ? "ok" : e.text);
    put_bool(b, "ok", ok);
    put_close(b);
    put_close(b);
    return ok ? 200 : 500;
}
