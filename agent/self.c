#include "agent/self.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "agent/merge.h"
#include "base/parse.h"
#include "base/str.h"
#include "codec/js.h"

/* --- small pieces --- */

/* "Key": with a comma in front unless it is the first of its object */
static void key(struct buf *b, const char *name)
{
    if (b->len > 0 && b->p[b->len - 1] != '{')
        buf_add_byte(b, ',');
    js_str(b, name);
    buf_add_byte(b, ':');
}

static void kv_str(struct buf *b, const char *name, const char *value)
{
    key(b, name);
    js_str(b, value);
}

static void kv_int(struct buf *b, const char *name, int64_t value)
{
    key(b, name);
    buf_printf(b, "%lld", (long long)value);
}

static void kv_bool(struct buf *b, const char *name, bool value)
{
    key(b, name);
    buf_add_str(b, value ? "true" : "false");
}

static void kv_map(struct buf *b, const char *name, const struct strmap *m)
{
    key(b, name);
    if (m->n)
        js_map(b, m);
    else
        buf_add_str(b, "{}");
}

static void kv_strv(struct buf *b, const char *name, char *const *v, size_t n)
{
    key(b, name);
    buf_add_byte(b, '[');
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_add_byte(b, ',');
        js_str(b, v[i]);
    }
    buf_add_byte(b, ']');
}

static void open_obj(struct buf *b, const char *name)
{
    key(b, name);
    buf_add_byte(b, '{');
}

static void close_obj(struct buf *b)
{
    buf_add_byte(b, '}');
}

/* the next element of an array */
static void element(struct buf *b, bool first)
{
    buf_add_str(b, first ? "{" : ",{");
}

/* --- /v1/agent/self --- */

static void client_config(struct buf *b, const struct conf *c)
{
    open_obj(b, "Client");
    kv_str(b, "AllocDir", c->client.alloc_dir);
    kv_int(b, "CpuCompute", c->client.cpu_total_compute);
    kv_int(b, "DiskTotalMB", c->client.disk_total_mb);
    kv_bool(b, "Enabled", true);
    key(b, "HostVolumes");
    buf_add_byte(b, '[');
    for (size_t i = 0; i < c->client.n_volumes; i++) {
        element(b, i == 0);
        kv_str(b, "Name", c->client.volumes[i].name);
        kv_str(b, "Path", c->client.volumes[i].path);
        kv_bool(b, "ReadOnly", c->client.volumes[i].read_only);
        close_obj(b);
    }
    buf_add_byte(b, ']');
    kv_int(b, "MaxDynamicPort", c->client.max_dynamic_port);
    kv_int(b, "MemoryMB", c->client.memory_total_mb);
    kv_map(b, "Meta", &c->client.meta);
    kv_int(b, "MinDynamicPort", c->client.min_dynamic_port);
    kv_str(b, "NetworkInterface", c->client.network_interface);
    kv_int(b, "NetworkSpeed", c->client.network_speed);
    kv_bool(b, "NoHostUUID", c->client.no_host_uuid);
    kv_str(b, "NodeClass", c->client.node_class);
    kv_str(b, "NodePool", c->client.node_pool);
    kv_map(b, "Options", &c->client.options);
    open_obj(b, "Reserved");
    kv_int(b, "CPU", c->client.reserved_cpu);
    kv_str(b, "Cores", c->client.reserved_cores);
    kv_int(b, "DiskMB", c->client.reserved_disk);
    kv_int(b, "MemoryMB", c->client.reserved_memory);
    kv_str(b, "ReservedPorts", c->client.reserved_ports);
    close_obj(b);
    kv_strv(b, "Servers", c->client.servers, c->client.n_servers);
    kv_str(b, "StateDir", c->client.state_dir);
    close_obj(b);
}

static void addresses(struct buf *b, const struct self_facts *f)
{
    const struct conf *c = f->conf;

    open_obj(b, "Addresses");
    kv_str(b, "HTTP", str_empty(c->address_http) ? c->bind_addr : c->address_http);
    kv_str(b, "RPC", str_empty(c->address_rpc) ? c->bind_addr : c->address_rpc);
    close_obj(b);
    open_obj(b, "AdvertiseAddrs");
    kv_str(b, "HTTP", f->http_addr);
    close_obj(b);
    kv_str(b, "BindAddr", c->bind_addr);
}

static void version(struct buf *b, const struct conf *c)
{
    open_obj(b, "Version");
    kv_str(b, "PicketVersion", PICKET_VERSION);
    kv_str(b, "Revision", "");
    kv_str(b, "Version", merge_nomad_version(c));
    kv_str(b, "VersionMetadata", "");
    kv_str(b, "VersionPrerelease", "");
    close_obj(b);
}

static void config(struct buf *b, const struct self_facts *f)
{
    const struct conf *c = f->conf;

    open_obj(b, "config");
    open_obj(b, "ACL");
    kv_bool(b, "Enabled", false);
    close_obj(b);
    addresses(b, f);
    client_config(b, c);
    kv_str(b, "DataDir", c->data_dir);
    kv_str(b, "Datacenter", c->datacenter);
    kv_bool(b, "DevMode", false);
    kv_strv(b, "Files", c->files, c->n_files);
    kv_map(b, "HTTPAPIResponseHeaders", &c->response_headers);
    kv_bool(b, "LeaveOnInt", c->leave_on_interrupt);
    kv_bool(b, "LeaveOnTerm", c->leave_on_terminate);
    open_obj(b, "Limits");
    kv_int(b, "HTTPMaxConnsPerClient", c->http_max_conns_per_client);
    kv_int(b, "RPCMaxConnsPerClient", c->rpc_max_conns_per_client);
    close_obj(b);
    kv_bool(b, "LogJson", c->log_json);
    kv_str(b, "LogLevel", c->log_level);
    kv_str(b, "NodeName", c->name);
    open_obj(b, "Ports");
    kv_int(b, "HTTP", c->port_http);
    kv_int(b, "RPC", c->port_rpc);
    kv_int(b, "Serf", c->port_serf);
    close_obj(b);
    kv_str(b, "Region", c->region);
    open_obj(b, "Server");
    kv_bool(b, "Enabled", false);
    close_obj(b);
    open_obj(b, "TLSConfig");
    kv_bool(b, "EnableHTTP", false);
    kv_bool(b, "EnableRPC", false);
    close_obj(b);
    open_obj(b, "UI");
    kv_bool(b, "Enabled", false);
    kv_bool(b, "ShowCLIHints", false);
    close_obj(b);
    version(b, c);
    close_obj(b);
}

static void kv_duration(struct buf *b, const char *name, uint64_t ns)
{
    _cleanup_free_ char *text = format_duration((int64_t)ns);

    kv_str(b, name, text);
}

static void kv_number_text(struct buf *b, const char *name, uint64_t n)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
    kv_str(b, name, text);
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
    open_obj(b, "stats");
    open_obj(b, "client");
    kv_duration(b, "heartbeat_ttl", st->ttl_ns);
    kv_str(b, "known_servers", buf_str(&list));
    /* before the first one Nomad counts from its zero time; the age of the process says more */
    kv_duration(b, "last_heartbeat", f->now_ns - (st->beat_ns ? st->beat_ns : f->born_ns));
    kv_str(b, "last_error", st->error);
    kv_str(b, "node_id", f->node_id);
    kv_number_text(b, "num_allocations", f->n_allocs);
    kv_str(b, "registration", session_state_name(st->state));
    close_obj(b);
    open_obj(b, "runtime");
    kv_str(b, "arch", go_arch(u.machine));
    kv_number_text(b, "cpu_count", cpus > 0 ? (uint64_t)cpus : 1);
    kv_str(b, "goroutines", "0");
    kv_str(b, "kernel.name", "linux");
    kv_str(b, "max_procs", "1");
    kv_str(b, "version", "picket " PICKET_VERSION);
    close_obj(b);
    close_obj(b);
}

void self_json(struct buf *b, const struct self_facts *f)
{
    buf_add_byte(b, '{');
    config(b, f);
    /* a client is no member of the gossip: Nomad prints its zero value */
    key(b, "member");
    buf_add_str(b, "{\"Addr\":null,\"DelegateCur\":0,\"DelegateMax\":0,\"DelegateMin\":0,"
                   "\"Name\":\"\",\"Port\":0,\"ProtocolCur\":0,\"ProtocolMax\":0,"
                   "\"ProtocolMin\":0,\"Status\":\"none\",\"Tags\":null}");
    stats(b, f);
    close_obj(b);
}

/* --- /v1/agent/health --- */

int self_health(struct buf *b, const char *type, size_t n_servers)
{
    bool want_server = str_eq(type, "server"), want_client = !want_server;
    bool ok = want_client && n_servers > 0;

    buf_add_byte(b, '{');
    open_obj(b, want_client ? "client" : "server");
    kv_str(b, "message", ok ? "ok" : want_client ? "no known servers" : "server not enabled");
    kv_bool(b, "ok", ok);
    close_obj(b);
    close_obj(b);
    return ok ? 200 : 500;
}

/* --- /v1/agent/fingerprint --- */

static void checks(struct buf *b, const struct fp *fp)
{
    key(b, "Checks");
    buf_add_byte(b, '[');
    for (size_t i = 0; i < fp->n_whys; i++) {
        const struct why *w = &fp->whys[i];

        element(b, i == 0);
        kv_str(b, "ID", w->id);
        kv_str(b, "Looked", w->looked);
        kv_str(b, "Result", why_result_name(w->result));
        kv_str(b, "Found", w->found);
        kv_str(b, "Fix", w->fix);
        close_obj(b);
    }
    buf_add_byte(b, ']');
}

static void values(struct buf *b, const struct fp *fp)
{
    kv_map(b, "Attributes", &fp->attributes);
    kv_map(b, "Local", &fp->local);
    kv_map(b, "Links", &fp->links);
    kv_map(b, "Sources", &fp->sources);
    checks(b, fp);
    open_obj(b, "Drivers");
    for (size_t i = 0; i < fp->n_drivers; i++) {
        key(b, fp->drivers[i].key);
        js_encode(b, &desc_driver_info, &fp->drivers[i], 0);
    }
    close_obj(b);
    open_obj(b, "HostVolumes");
    for (size_t i = 0; i < fp->n_host_volumes; i++) {
        key(b, fp->host_volumes[i].key);
        js_encode(b, &desc_host_volume, &fp->host_volumes[i], 0);
    }
    close_obj(b);
}

static void probe(struct buf *b, const struct probe_status *st, uint64_t now_ns)
{
    static const struct fp nothing;

    kv_str(b, "Name", st->name);
    kv_str(b, "Class", st->class == PROBE_FAST ? "fast" : "slow");
    kv_str(b, "State", probe_state_name(st->state));
    kv_bool(b, "Stale", st->stale);
    kv_str(b, "Reason", st->reason);
    kv_int(b, "TookUs", st->took_us);
    key(b, "AgeMs"); /* of the values; null while there are none */
    if (st->fp)
        buf_printf(b, "%llu", (unsigned long long)((now_ns - st->fp_at_ns) / NSEC_PER_MSEC));
    else
        buf_add_str(b, "null");
    values(b, st->fp ? st->fp : &nothing);
}

void self_fingerprint(struct buf *b, const char *node_id, const struct probe_run *run,
                      const struct flap *flap, uint64_t now_ns)
{
    size_t n = probe_run_count(run), n_flapping = 0;
    char **flapping = NULL;

    if (flap)
        flap_names(flap, now_ns, &flapping, &n_flapping);
    buf_add_byte(b, '{');
    kv_strv(b, "Flapping", flapping, n_flapping);
    strv_done(&flapping, &n_flapping);
    kv_str(b, "NodeID", node_id);
    key(b, "Probes");
    buf_add_byte(b, '[');
    for (size_t i = 0; i < n; i++) {
        struct probe_status st;

        probe_run_status(run, i, &st);
        element(b, i == 0);
        probe(b, &st, now_ns);
        close_obj(b);
    }
    buf_add_byte(b, ']');
    close_obj(b);
}
