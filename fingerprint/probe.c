#include "fingerprint/probe.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/parse.h"
#include "base/str.h"
#include "model/attrs.h"

/* clang-format off */
#define T struct probe_volume
static const struct field volume_fields[] = {
    { "name", STR(name) },
    { "path", STR(path) },
    { "read_only", BOOL(read_only) },
};
DESC(desc_probe_volume, struct probe_volume, volume_fields);
#undef T

#define T struct probe_host_network
static const struct field host_network_fields[] = {
    { "cidr", STR(cidr) },
    { "interface", STR(interface) },
    { "name", STR(name) },
    { "reserved_ports", STR(reserved_ports) },
};
DESC(desc_probe_host_network, struct probe_host_network, host_network_fields);
#undef T

#define T struct probe_conf
static const struct field conf_fields[] = {
    { "alloc_dir", STR(alloc_dir) },
    { "cpu_total_compute", I64(cpu_total_compute) },
    { "disk_total_mb", I64(disk_total_mb) },
    { "host_networks", VEC(host_networks, n_host_networks, desc_probe_host_network) },
    { "http_addr", STR(http_addr) },
    { "memory_total_mb", I64(memory_total_mb) },
    { "network_interface", STR(network_interface) },
    { "network_speed", I64(network_speed) },
    { "nomad_version", STR(nomad_version) },
    { "options", MAP(options) },
    { "picket_version", STR(picket_version) },
    { "plugins", MAP(plugins) },
    { "preferred_address_family", STR(preferred_address_family) },
    { "reservable_cores", STR(reservable_cores) },
    { "reserved_cores", STR(reserved_cores) },
    { "reserved_cpu_mhz", I64(reserved_cpu_mhz) },
    { "service_discovery", BOOL(service_discovery) },
    { "volumes", VEC(volumes, n_volumes, desc_probe_volume) },
};
DESC(desc_probe_conf, struct probe_conf, conf_fields);
#undef T
/* clang-format on */

static const char *const class_names[] = {
    [PROBE_FAST] = "fast",
    [PROBE_SLOW] = "slow",
    [PROBE_EACH] = "each",
};

const char *probe_class_name(enum probe_class c)
{
    return class_names[c];
}

enum probe_class probe_class_parse(const char *name)
{
    for (unsigned c = 0; c < ARRAY_LEN(class_names); c++)
        if (str_eq(class_names[c], name))
            return (enum probe_class)c;
    return PROBE_SLOW;
}

void probe_step(const struct probe_ctx *ctx, const char *fmt, ...)
{
    va_list ap;

    if (!ctx->trace)
        return;
    va_start(ap, fmt);
    (void)vdprintf(STDERR_FILENO, fmt, ap);
    va_end(ap);
    (void)dprintf(STDERR_FILENO, "\n");
}

/* the value of the first of two names of an option, with the name that it has */
static const char *list_option(const struct probe_conf *conf, const char *kind, const char *name,
                               const char *old_name, char **ret_key)
{
    const char *value;

    *ret_key = xasprintf("%s.%s", kind, name);
    value = strmap_get(&conf->options, *ret_key);
    if (value)
        return value;
    free(*ret_key);
    *ret_key = xasprintf("%s.%s", kind, old_name);
    return strmap_get(&conf->options, *ret_key);
}

static bool list_has(const char *list, const char *name, bool *ret_empty)
{
    char **items = NULL;
    size_t n = 0;
    bool has;

    strv_split(list, ",", &items, &n);
    has = strv_has(items, n, name);
    *ret_empty = n == 0;
    strv_done(&items, &n);
    return has;
}

char *probe_denied_by(const struct probe_conf *conf, const char *kind, const char *name)
{
    _cleanup_free_ char *allow_key = NULL, *deny_key = NULL;
    const char *allow = list_option(conf, kind, "allowlist", "whitelist", &allow_key);
    const char *deny = list_option(conf, kind, "denylist", "blacklist", &deny_key);
    bool empty;

    if (allow && !list_has(allow, name, &empty) && !empty)
        return xasprintf("%s = \"%s\"", allow_key, allow);
    if (deny && list_has(deny, name, &empty))
        return xasprintf("%s = \"%s\"", deny_key, deny);
    return NULL;
}

bool probe_option_bool(const struct probe_conf *conf, const char *name)
{
    const char *value = strmap_get(&conf->options, name);
    bool on;

    return value && parse_bool(value, &on) == 0 && on;
}

static void default_str(char **p, const char *value)
{
    if (str_empty(*p))
        str_set(p, value);
}

void probe_conf_defaults(struct probe_conf *conf)
{
    default_str(&conf->alloc_dir, ".");
    default_str(&conf->nomad_version, NOMAD_VERSION_DEFAULT);
    default_str(&conf->picket_version, PICKET_VERSION);
}

size_t probe_memory_max(size_t mb)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    (void)mb;
    return 0;
#else
    return mb * MIB;
#endif
}
