#include "agent/servers.h"

#include <errno.h>
#include <string.h>

#include "agent/jobs.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/rand.h"
#include "base/str.h"
#include "base/vec.h"
#include "wire/addr.h"

enum {
    SERVERS_MAX = 64,       /* of one list */
    RESOLVE_AGAIN_SEC = 30, /* at the earliest, while no server can be reached */
};

#define DEFAULT_PORT "4647"

/* a configured name and what it resolved to last */
struct name {
    struct servers *sv;
    char *host, *port;
    struct job job;
    char **addrs;
    size_t n_addrs;
};

struct servers {
    struct servers_opts o;
    char *probe_path;
    char **literal; /* configured as addresses */
    size_t n_literal;
    struct name *names;
    size_t n_names;
    char **learned;
    size_t n_learned;
    bool together;   /* learned ones alone did not do */
    unsigned failed; /* attempts since the last answer */
    uint64_t resolved_at_ns;
    struct timer again;
};

int servers_split(const char *text, char **ret_host, char **ret_port, struct err *e)
{
    const char *colon = strchr(text, ':'), *end = strchr(text, ']'), *port = NULL;
    _cleanup_free_ char *host = NULL;
    uint64_t n;

    if (text[0] == '[' && end) {
        host = xstrndup(text + 1, (size_t)(end - text - 1));
        if (end[1] == ':')
            port = end + 2;
        else if (end[1])
            return err_set(e, -EINVAL, "\"%s\" is no server address: host[:port]", text);
    } else if (colon && strchr(colon + 1, ':')) {
        host = xstrdup(text); /* an IPv6 address without a port */
    } else {
        host = colon ? xstrndup(text, (size_t)(colon - text)) : xstrdup(text);
        port = colon ? colon + 1 : NULL;
    }
    if (!*host || (port && (parse_u64(port, &n) < 0 || n < 1 || n > 65535)))
        return err_set(e, -EINVAL, "\"%s\" is no server address: host[:port]", text);
    *ret_host = steal_ptr(&host);
    *ret_port = xstrdup(port ? port : DEFAULT_PORT);
    return 0;
}

/* "ip:port" in one spelling, or NULL when host is a name */
static char *literal_address(const char *host, const char *port)
{
    _cleanup_free_ char *text = xasprintf(strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
    struct sockaddr_storage a;
    struct err e;
    socklen_t len;

    return addr_parse(text, &a, &len, &e) < 0 ? NULL : addr_format(&a, len);
}

static void add_new(char ***v, size_t *n, const char *address)
{
    if (address && *n < SERVERS_MAX && !strv_has(*v, *n, address))
        strv_add(v, n, address);
}

static void apply(struct servers *sv)
{
    char **v = NULL;
    size_t n = 0;

    for (size_t i = 0; i < sv->n_learned; i++)
        add_new(&v, &n, sv->learned[i]);
    if (n == 0 || sv->together) {
        for (size_t i = 0; i < sv->n_literal; i++)
            add_new(&v, &n, sv->literal[i]);
        for (size_t i = 0; i < sv->n_names; i++)
            for (size_t k = 0; k < sv->names[i].n_addrs; k++)
                add_new(&v, &n, sv->names[i].addrs[k]);
    }
    if (n > 0 && pool_set_servers(sv->o.pool, (const char *const *)v, n) > 0 && sv->o.on_change)
        sv->o.on_change(sv->o.arg);
    strv_done(&v, &n);
}

/* --- names --- */

static void take_lines(struct name *name, const char *text)
{
    char **lines = NULL;
    size_t n = 0;

    strv_split(text, "\n", &lines, &n);
    if (n > 0)
        strv_done(&name->addrs, &name->n_addrs);
    for (size_t i = 0; i < n; i++) {
        struct sockaddr_storage a;
        socklen_t len;
        struct err e;

        if (addr_parse(lines[i], &a, &len, &e) == 0)
            add_new(&name->addrs, &name->n_addrs, lines[i]);
    }
    strv_done(&lines, &n);
}

static void resolve_again_later(struct servers *sv)
{
    if (!timer_armed(&sv->again))
        timer_set(&sv->again, RESOLVE_AGAIN_SEC * NSEC_PER_SEC / 2 +
                                  rand_below(RESOLVE_AGAIN_SEC * NSEC_PER_SEC));
}

static void on_resolved(void *arg, int r, const char *text)
{
    struct name *name = arg;

    if (r == 0) {
        take_lines(name, text);
        apply(name->sv);
    }
    if (name->n_addrs > 0)
        return;
    (void)log_warn(0, "cannot resolve the name of a server", KV("name", name->host),
                   KV("error", r == 0 ? "no address" : text));
    resolve_again_later(name->sv);
}

static void resolve_all(void *arg)
{
    struct servers *sv = arg;
    bool hangs = false;

    sv->resolved_at_ns = clock_boot_ns();
    for (size_t i = 0; i < sv->n_names; i++) {
        struct job *job = &sv->names[i].job;

        hangs |= job->hung;
        if (!job_busy(job))
            job_resolve(job, sv->names[i].host, sv->names[i].port, on_resolved);
    }
    if (hangs)
        resolve_again_later(sv); /* nobody tells when that one is gone */
}

/* --- the rest --- */

static void add_configured(struct servers *sv, const char *text)
{
    _cleanup_free_ char *host = NULL, *port = NULL, *address = NULL;
    struct name *name;
    struct err e = {0};

    if (servers_split(text, &host, &port, &e) < 0 || !host) {
        (void)log_error(0, "cannot use a configured server", KE(&e));
        return;
    }
    address = literal_address(host, port);
    if (address) {
        add_new(&sv->literal, &sv->n_literal, address);
        return;
    }
    if (sv->n_names >= SERVERS_MAX)
        return;
    name = vec_add(&sv->names, &sv->n_names);
    name->host = steal_ptr(&host);
    name->port = steal_ptr(&port);
}

static void take_configured(struct servers *sv, char *const *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        add_configured(sv, v[i]);
    for (size_t i = 0; i < sv->n_names; i++) { /* now that the array stays where it is */
        sv->names[i].sv = sv;
        job_init(&sv->names[i].job, sv->o.loop, sv->probe_path, &sv->names[i]);
    }
}

static void forget_configured(struct servers *sv)
{
    for (size_t i = 0; i < sv->n_names; i++) {
        struct name *name = &sv->names[i];

        job_done(&name->job);
        strv_done(&name->addrs, &name->n_addrs);
        free(name->host);
        free(name->port);
    }
    sv->names = mem_free(sv->names);
    sv->n_names = 0;
    strv_done(&sv->literal, &sv->n_literal);
}

struct servers *servers_new(const struct servers_opts *o)
{
    struct servers *sv = xnew0(struct servers);

    sv->o = *o;
    sv->probe_path = xstrdup(o->probe_path);
    timer_init(o->loop, &sv->again, "resolve servers", resolve_all, sv);
    take_configured(sv, o->configured, o->n_configured);
    sv->o.on_change = NULL; /* the caller asks the pool when we return */
    apply(sv);
    sv->o.on_change = o->on_change;
    resolve_all(sv);
    return sv;
}

struct servers *servers_free(struct servers *sv)
{
    if (!sv)
        return NULL;
    timer_stop(&sv->again);
    forget_configured(sv);
    strv_done(&sv->learned, &sv->n_learned);
    free(sv->probe_path);
    return mem_free(sv);
}

void servers_set_configured(struct servers *sv, char *const *configured, size_t n)
{
    timer_stop(&sv->again);
    forget_configured(sv);
    strv_done(&sv->learned, &sv->n_learned);
    sv->together = false;
    sv->failed = 0;
    take_configured(sv, configured, n);
    apply(sv);
    resolve_all(sv);
}

static void learn(struct servers *sv, char **take_list, size_t n)
{
    strv_done(&sv->learned, &sv->n_learned);
    sv->learned = take_list;
    sv->n_learned = n;
    apply(sv);
}

int servers_use(struct servers *sv, const char *const *v, size_t n, struct err *e)
{
    char **given = NULL, **literal = NULL;
    size_t n_given = 0, n_literal = 0;
    bool all = true;
    int r = 0;

    for (size_t i = 0; r == 0 && i < n; i++) {
        _cleanup_free_ char *host = NULL, *port = NULL, *address = NULL;

        r = servers_split(v[i], &host, &port, e);
        if (r < 0)
            break;
        address = literal_address(str_or_empty(host), port);
        add_new(&given, &n_given, v[i]);
        add_new(&literal, &n_literal, address);
        all = all && address;
    }
    if (r == 0 && all && n_literal > 0) {
        sv->together = false;
        sv->failed = 0;
        learn(sv, steal_ptr(&literal), n_literal);
        n_literal = 0;
    } else if (r == 0 && n_given > 0) {
        servers_set_configured(sv, given, n_given);
    }
    strv_done(&given, &n_given);
    strv_done(&literal, &n_literal);
    return r;
}

void servers_learned(struct servers *sv, const struct node_server_info *v, size_t n)
{
    char **list = NULL;
    size_t n_list = 0;

    for (size_t i = 0; i < n; i++) {
        _cleanup_free_ char *address = NULL;
        struct sockaddr_storage a;
        socklen_t len;
        struct err e = {0};

        if (addr_parse(str_or_empty(v[i].rpc_advertise_addr), &a, &len, &e) < 0)
            continue; /* no "ip:port": nothing we could connect to */
        address = addr_format(&a, len);
        add_new(&list, &n_list, address);
    }
    if (n_list > 0)
        learn(sv, list, n_list);
}

void servers_reachable(struct servers *sv)
{
    sv->failed = 0;
}

void servers_unreachable(struct servers *sv)
{
    const char *const *v;
    size_t n = pool_servers(sv->o.pool, &v);

    if (++sv->failed <= n)
        return;
    if (sv->n_learned > 0 && !sv->together) {
        sv->together = true;
        apply(sv);
    }
    if (sv->n_names > 0 && clock_boot_ns() - sv->resolved_at_ns > RESOLVE_AGAIN_SEC * NSEC_PER_SEC)
        resolve_all(sv);
}
