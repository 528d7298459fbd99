/* What a reload changed, by comparing the members that the key table names. */
#include "conf/args.h"

#include <string.h>

#include "base/str.h"
#include "conf/keys.h"

static bool list_equal(const struct conf_key *k, const char *a, const char *b)
{
    char *const *va = *(char ***)(uintptr_t)(a + k->off), *const *vb =
                                                              *(char ***)(uintptr_t)(b + k->off);
    size_t na = *(const size_t *)(a + k->off_n), nb = *(const size_t *)(b + k->off_n);

    if (na != nb)
        return false;
    for (size_t i = 0; i < na; i++)
        if (!str_eq(va[i], vb[i]))
            return false;
    return true;
}

static bool member_equal(const struct conf_key *k, const void *a, const void *b)
{
    const void *pa = (const char *)a + k->off, *pb = (const char *)b + k->off;

    switch (k->type) {
    case K_STR:
    case K_STRP:
        return str_eq(*(char *const *)pa, *(char *const *)pb);
    case K_INT:
    case K_INTP:
    case K_DUR:
        return *(const int64_t *)pa == *(const int64_t *)pb;
    case K_FLOAT:
        return *(const double *)pa == *(const double *)pb;
    case K_BOOL:
    case K_BOOLP:
        return *(const bool *)pa == *(const bool *)pb;
    case K_LIST:
        return list_equal(k, a, b);
    case K_MAP:
        return strmap_equal(pa, pb);
    default:
        return true;
    }
}

static bool volumes_equal(const struct conf *a, const struct conf *b)
{
    if (a->client.n_volumes != b->client.n_volumes)
        return false;
    for (size_t i = 0; i < a->client.n_volumes; i++) {
        const struct conf_volume *x = &a->client.volumes[i], *y = &b->client.volumes[i];

        if (!str_eq(x->name, y->name) || !str_eq(x->path, y->path) || x->read_only != y->read_only)
            return false;
    }
    return true;
}

static bool networks_equal(const struct conf *a, const struct conf *b)
{
    if (a->client.n_host_networks != b->client.n_host_networks)
        return false;
    for (size_t i = 0; i < a->client.n_host_networks; i++) {
        const struct conf_host_network *x = &a->client.host_networks[i];
        const struct conf_host_network *y = &b->client.host_networks[i];

        if (!str_eq(x->name, y->name) || !str_eq(x->cidr, y->cidr) ||
            !str_eq(x->interface, y->interface) || !str_eq(x->reserved_ports, y->reserved_ports))
            return false;
    }
    return true;
}

static bool plugins_equal(const struct conf *a, const struct conf *b)
{
    if (a->n_plugins != b->n_plugins)
        return false;
    for (size_t i = 0; i < a->n_plugins; i++)
        if (!str_eq(a->plugins[i].name, b->plugins[i].name) ||
            !str_eq(a->plugins[i].config_json, b->plugins[i].config_json))
            return false;
    return true;
}

static void add(const char *path, bool applied, char ***ret, size_t *ret_n)
{
    _cleanup_free_ char *line = xasprintf("%s: %s", path, applied ? "applied" : "needs a restart");

    strv_add(ret, ret_n, line);
}

void conf_changes(const struct conf *old, const struct conf *now, unsigned role, char ***ret,
                  size_t *ret_n)
{
    const struct conf_key *last = NULL;

    for (size_t i = 0; i < n_conf_keys; i++) {
        const struct conf_key *k = &conf_keys[i];

        if (k->off == KEY_NO_MEMBER || key_in_label(k) || !(k->roles & role))
            continue;
        if (last && last->off == k->off) /* two keys of one member */
            continue;
        if (!member_equal(k, old, now)) {
            add(k->path, k->flags & KEY_HUP, ret, ret_n);
            last = k->type == K_LIST ? k : last;
        }
    }
    if (!(role & CONF_CLIENT))
        return;
    if (!volumes_equal(old, now))
        add("client.host_volume", false, ret, ret_n);
    if (!networks_equal(old, now))
        add("client.host_network", false, ret, ret_n);
    if (!plugins_equal(old, now))
        add("plugin", false, ret, ret_n);
}
