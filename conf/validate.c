/* Checks on the whole configuration, each with Nomad's words where there are any (fact: config.md
 * section 2), each with the place the value came from.  All are made; nothing stops at the first.
 */
#include "conf/draft.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

#include "base/log.h"
#include "base/parse.h"
#include "base/str.h"
#include "conf/ports.h"
#include "conf/sockaddr.h"

struct check {
    struct draft *d;
    unsigned role;
    const struct conf *c;
};

static const struct place *at(const struct check *k, const char *path)
{
    const struct setting *s = draft_setting(k->d, path);

    return s->set ? &s->at : NULL;
}

#define fail(k, path, ...) draft_error((k)->d, at((k), (path)), __VA_ARGS__)

static void check_names(const struct check *k)
{
    enum log_level level;

    if (strchr(k->c->datacenter, '*'))
        fail(k, "datacenter", "Datacenter contains invalid characters (null or '*')");
    if (log_level_parse(k->c->log_level, &level) < 0)
        fail(k, "log_level",
             "Invalid log level: %.40s. Valid log levels are: [TRACE DEBUG INFO WARN ERROR OFF]",
             k->c->log_level);
    if (str_empty(k->c->name))
        fail(k, "name", "the host has no name: set name");
}

static void check_path(const struct check *k, const char *key, const char *name, const char *path)
{
    if (!str_empty(path) && path[0] != '/')
        fail(k, key, "%s must be given as an absolute path: got %s", name, path);
}

static void check_paths(const struct check *k)
{
    const struct conf *c = k->c;

    check_path(k, "data_dir", "data-dir", c->data_dir);
    if (k->role & CONF_CLIENT) {
        if (at(k, "client.state_dir"))
            check_path(k, "client.state_dir", "state-dir", c->client.state_dir);
        if (at(k, "client.alloc_dir"))
            check_path(k, "client.alloc_dir", "alloc-dir", c->client.alloc_dir);
        if (!k->d->incomplete && !c->data_dir && (!c->client.state_dir || !c->client.alloc_dir))
            draft_error(k->d, NULL,
                        "Must specify the state-dir and alloc-dir if data-dir is omitted.");
    }
    if (k->role & CONF_SERVER) {
        if (!c->data_dir && !k->d->incomplete)
            draft_error(k->d, NULL,
                        "Must specify \"data_dir\" config option or \"data-dir\" CLI flag");
        else if (at(k, "server.data_dir"))
            check_path(k, "server.data_dir", "server.data_dir", c->server.data_dir);
    }
}

static void check_number(const struct check *k, const char *path, int64_t v, int64_t min,
                         int64_t max)
{
    if (v < min)
        fail(k, path, "%s must be >= %lld; found: %lld", path, (long long)min, (long long)v);
    else if (v > max)
        fail(k, path, "%s must be <= %lld; found: %lld", path, (long long)max, (long long)v);
}

static void check_numbers(const struct check *k)
{
    const struct conf *c = k->c;

    check_number(k, "ports.http", c->port_http, 1, 65535);
    check_number(k, "ports.rpc", c->port_rpc, 1, 65535);
    check_number(k, "ports.serf", c->port_serf, 1, 65535);
    if (c->https_handshake_timeout < 0)
        fail(k, "limits.https_handshake_timeout", "https_handshake_timeout must be >= 0");
    if (c->http_max_conns_per_client < 0)
        fail(k, "limits.http_max_conns_per_client", "http_max_conns_per_client must be >= 0");
    if (!(k->role & CONF_SERVER))
        return;
    if (c->rpc_handshake_timeout < 0)
        fail(k, "limits.rpc_handshake_timeout", "rpc_handshake_timeout must be >= 0");
    if (c->rpc_max_conns_per_client != 0 && c->rpc_max_conns_per_client <= 25)
        fail(k, "limits.rpc_max_conns_per_client",
             "rpc_max_conns_per_client must be > 25; found: %lld",
             (long long)c->rpc_max_conns_per_client);
}

/* "^[^.]+(\.[^.]+)*$" */
static bool meta_key_valid(const char *key)
{
    size_t n = strlen(key);

    return n > 0 && key[0] != '.' && key[n - 1] != '.' && !strstr(key, "..");
}

static bool pool_name_valid(const char *name)
{
    size_t n = strlen(name);

    if (n < 1 || n > 128)
        return false;
    for (const char *p = name; *p; p++)
        if (!isalnum((unsigned char)*p) && *p != '-' && *p != '_')
            return false;
    return true;
}

static void check_node(const struct check *k)
{
    const struct conf *c = k->c;

    for (size_t i = 0; i < c->client.meta.n; i++)
        if (!meta_key_valid(c->client.meta.items[i].key))
            fail(k, "client.meta", "Invalid Client.Meta key: %.80s", c->client.meta.items[i].key);
    if (!pool_name_valid(c->client.node_pool))
        fail(k, "client.node_pool",
             "Invalid node pool: invalid name \"%.80s\", must match regex ^[a-zA-Z0-9-_]{1,128}$",
             c->client.node_pool);
    else if (strcmp(c->client.node_pool, "all") == 0)
        fail(k, "client.node_pool",
             "Invalid node pool: node is not allowed to register in node pool \"all\"");
    if (!str_empty(c->client.preferred_address_family) &&
        strcmp(c->client.preferred_address_family, "ipv4") != 0 &&
        strcmp(c->client.preferred_address_family, "ipv6") != 0)
        fail(k, "client.preferred_address_family",
             "Invalid preferred-address-family value: %.40s (valid values: ipv4, ipv6)",
             c->client.preferred_address_family);
}

static void check_dynamic_ports(const struct check *k)
{
    int64_t min = k->c->client.min_dynamic_port, max = k->c->client.max_dynamic_port;

    if (min < 0 || min > 65535)
        fail(k, "client.min_dynamic_port", "Invalid dynamic port range: min_dynamic_port=%lld",
             (long long)min);
    if (max < 0 || max > 65535)
        fail(k, "client.max_dynamic_port", "Invalid dynamic port range: max_dynamic_port=%lld",
             (long long)max);
    else if (min > max && min <= 65535)
        fail(k,
             at(k, "client.min_dynamic_port") ? "client.min_dynamic_port"
                                              : "client.max_dynamic_port",
             "Invalid dynamic port range: min_dynamic_port=%lld and max_dynamic_port=%lld",
             (long long)min, (long long)max);
}

static void check_cores(const struct check *k, const char *path, const char *text)
{
    _cleanup_free_ uint16_t *cores = NULL;
    size_t n;

    if (!str_empty(text) && parse_cpulist(text, 65536, &cores, &n) < 0)
        fail(k, path, "%s \"%.80s\" is not a list of cores such as 0-3,5", path, text);
}

static void check_resources(const struct check *k)
{
    static const char *const sizes[] = {
        "client.network_speed", "client.cpu_total_compute", "client.memory_total_mb",
        "client.disk_total_mb", "client.reserved.cpu",      "client.reserved.memory",
        "client.reserved.disk", "client.node_max_allocs",
    };
    struct err e = {0};

    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        const struct conf_key *row = key_find(sizes[i]);

        check_number(k, sizes[i], *(const int64_t *)((const char *)k->c + row->off), 0, INT64_MAX);
    }
    check_cores(k, "client.reservable_cores", k->c->client.reservable_cores);
    check_cores(k, "client.reserved.cores", k->c->client.reserved_cores);
    if (ports_check(k->c->client.reserved_ports, &e) < 0)
        fail(k, "client.reserved.reserved_ports", "reserved.reserved_ports \"%.80s\" invalid: %s",
             k->c->client.reserved_ports, e.text);
    check_dynamic_ports(k);
}

static bool cidr_valid(const char *text)
{
    _cleanup_free_ char *copy = xstrdup(text);
    char *slash = strchr(copy, '/');
    struct in6_addr a;
    uint64_t bits;

    if (!slash)
        return false;
    *slash = 0;
    if (parse_u64(slash + 1, &bits) < 0)
        return false;
    return (inet_pton(AF_INET, copy, &a) == 1 && bits <= 32) ||
           (inet_pton(AF_INET6, copy, &a) == 1 && bits <= 128);
}

static void check_labelled(const struct check *k)
{
    const struct conf *c = k->c;
    struct err e = {0};

    for (size_t i = 0; i < c->client.n_volumes; i++)
        if (str_empty(c->client.volumes[i].path))
            draft_error(
                k->d,
                &draft_instance(k->d, key_find("client.host_volume"), c->client.volumes[i].name)
                     ->at,
                "Missing path in host_volume config");
    for (size_t i = 0; i < c->client.n_host_networks; i++) {
        const struct conf_host_network *n = &c->client.host_networks[i];
        const struct place *p = &draft_instance(k->d, key_find("client.host_network"), n->name)->at;

        if (!str_empty(n->cidr) && !cidr_valid(n->cidr))
            draft_error(
                k->d, p,
                "host_network \"%s\": cidr \"%.60s\" is not an address with a prefix length",
                n->name, n->cidr);
        if (ports_check(n->reserved_ports, &e) < 0)
            draft_error(k->d, p, "host_network[\"%s\"].reserved_ports \"%.80s\" invalid: %s",
                        n->name, n->reserved_ports, e.text);
        if (sockaddr_check(n->interface, &e) < 0)
            draft_error(k->d, p, "host_network \"%s\": interface: %s", n->name, e.text);
    }
}

static void check_servers(const struct check *k)
{
    const struct conf *c = k->c;
    struct err e = {0};

    for (size_t i = 0; i < c->client.n_servers; i++) {
        _cleanup_free_ char *host = NULL;
        int64_t port;

        if (host_port_split(c->client.servers[i], &host, &port, &e) < 0)
            fail(k, at(k, "client.servers") ? "client.servers" : "client.server_join.retry_join",
                 "server address %s", e.text);
    }
    if (draft_setting(k->d, "client.server_join.start_join")->n_list)
        fail(k, "client.server_join.start_join", "start_join is not supported for Nomad clients");
    if (c->client.retry_interval <= 0)
        fail(k, "client.server_join.retry_interval", "retry_interval must be greater than zero");
}

static void check_client(const struct check *k)
{
    check_node(k);
    check_resources(k);
    check_labelled(k);
    check_servers(k);
}

static void check_server(const struct check *k)
{
    static const char *const twins[] = {"server.start_join", "server.retry_join",
                                        "server.retry_max", "server.retry_interval"};
    const struct conf *c = k->c;

    if (c->server.heartbeat_grace < 0)
        fail(k, "server.heartbeat_grace", "heartbeat_grace must be >= 0");
    if (c->server.min_heartbeat_ttl <= 0)
        fail(k, "server.min_heartbeat_ttl", "min_heartbeat_ttl must be greater than zero");
    if (c->server.failover_heartbeat_ttl <= 0)
        fail(k, "server.failover_heartbeat_ttl",
             "failover_heartbeat_ttl must be greater than zero");
    if (c->server.max_heartbeats_per_second <= 0)
        fail(k, "server.max_heartbeats_per_second",
             "max_heartbeats_per_second must be greater than zero");
    for (size_t i = 0; i < ARRAY_LEN(twins); i++)
        if (at(k, twins[i]) && at(k, "server.server_join"))
            fail(k, twins[i],
                 "server_join and %s cannot both be defined; prefer setting the server_join block",
                 strrchr(twins[i], '.') + 1);
}

/* a header that would break the answer's head apart */
static void check_headers(const struct check *k)
{
    for (size_t i = 0; i < k->c->response_headers.n; i++) {
        const struct strpair *h = &k->c->response_headers.items[i];
        bool bad = !*h->key;

        for (const char *p = h->key; *p; p++)
            bad = bad || (!isalnum((unsigned char)*p) && !strchr("!#$%&'*+-.^_`|~", *p));
        for (const char *p = h->value; *p; p++)
            bad = bad || ((unsigned char)*p < ' ' && *p != '\t') || *p == 0x7f;
        if (bad)
            fail(k, "http_api_response_headers",
                 "http_api_response_headers: \"%.60s\" is not a header", h->key);
    }
}

static void check_templates(const struct check *k)
{
    static const char *const keys[] = {"bind_addr",     "addresses.http",
                                       "addresses.rpc", "advertise.http",
                                       "advertise.rpc", "client.network_interface"};
    struct err e = {0};

    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        const char *text = draft_text(k->d, keys[i]);

        if (sockaddr_check(text, &e) < 0)
            fail(k, keys[i], "%s: %s", keys[i], e.text);
    }
}

void conf_validate(struct draft *d, unsigned role, const struct conf *c)
{
    struct check k = {.d = d, .role = role, .c = c};

    check_names(&k);
    check_paths(&k);
    check_numbers(&k);
    check_headers(&k);
    check_templates(&k);
    if (role & CONF_CLIENT)
        check_client(&k);
    if (role & CONF_SERVER)
        check_server(&k);
}
