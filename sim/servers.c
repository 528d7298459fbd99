#include "sim/servers.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "base/vec.h"
#include "wire/addr.h"

enum { LISTS_MAX = 1024 }; /* servers that say something else each time are not believed for ever */

struct sim_servers {
    struct server_list **lists; /* owned; each of its own, for agents point to them */
    size_t n;
};

struct sim_servers *sim_servers_new(void)
{
    return xnew0(struct sim_servers);
}

static struct server_list *list_free(struct server_list *l)
{
    if (!l)
        return NULL;
    for (size_t i = 0; i < l->n; i++)
        free(l->servers[i].address);
    free(l->servers);
    return mem_free(l);
}
DEFINE_CLEANUP(struct server_list, list_free)

struct sim_servers *sim_servers_free(struct sim_servers *s)
{
    if (!s)
        return NULL;
    for (size_t i = 0; i < s->n; i++)
        (void)list_free(s->lists[i]);
    free(s->lists);
    return mem_free(s);
}

/* keeps the order of addresses, leaves out what is there already */
static int list_add(struct server_list *l, const char *text, struct err *e)
{
    struct sim_server one = {0};
    size_t at = 0;
    int r = addr_parse(text, &one.sa, &one.len, e);

    if (r < 0)
        return r;
    one.address = addr_format(&one.sa, one.len);
    while (at < l->n && strcmp(l->servers[at].address, one.address) < 0)
        at++;
    if (l->n >= SIM_SERVERS_MAX || (at < l->n && str_eq(l->servers[at].address, one.address))) {
        free(one.address);
        return 0;
    }
    (void)vec_add(&l->servers, &l->n);
    memmove(&l->servers[at + 1], &l->servers[at], (l->n - 1 - at) * sizeof(one));
    l->servers[at] = one;
    return 0;
}

static bool same_list(const struct server_list *a, const struct server_list *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (!str_eq(a->servers[i].address, b->servers[i].address))
            return false;
    return true;
}

/* the one that is kept for an equal list; NULL when there are too many */
static const struct server_list *keep(struct sim_servers *s, struct server_list **take)
{
    for (size_t i = 0; i < s->n; i++)
        if (same_list(s->lists[i], *take))
            return s->lists[i];
    if (s->n >= LISTS_MAX)
        return NULL;
    s->lists = xrealloc(s->lists, s->n + 1, sizeof(struct server_list *));
    s->lists[s->n++] = *take;
    return steal_ptr(take);
}

/* "localhost" is the one name that needs no looking up */
static int add_configured(struct server_list *l, const char *text, struct err *e)
{
    const char *colon = strrchr(text, ':');
    _cleanup_free_ char *host = colon ? xstrndup(text, (size_t)(colon - text)) : xstrdup(text);
    bool v6 = strchr(host, ':') && host[0] != '['; /* an IPv6 address without a port */
    _cleanup_free_ char *full =
        v6 ? xasprintf("[%s]:4647", text)
           : xasprintf("%s:%s", str_eq(host, "localhost") ? "127.0.0.1" : host,
                       colon ? colon + 1 : "4647");

    if (list_add(l, full, e) < 0)
        return err_set(e, -EINVAL,
                       "\"%s\" is no server address: ip[:port]; names are not looked up", text);
    return 0;
}

int sim_servers_parse(struct sim_servers *s, const char *text, const struct server_list **ret,
                      struct err *e)
{
    _cleanup_(list_freep) struct server_list *l = xnew0(struct server_list);
    char **v = NULL;
    size_t n = 0;
    int r = 0;

    strv_split(text, ",", &v, &n);
    for (size_t i = 0; r == 0 && i < n; i++)
        r = add_configured(l, v[i], e);
    strv_done(&v, &n);
    if (r < 0)
        return r;
    if (l->n == 0)
        return err_set(e, -EINVAL, "there is no server in \"%s\"", text);
    *ret = keep(s, &l);
    return 0;
}

/* most replies say what is known */
static bool says_the_same(const struct server_list *had, const struct node_server_info *v, size_t n)
{
    if (n != had->n)
        return false;
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;

        while (k < had->n && !str_eq(had->servers[k].address, v[i].rpc_advertise_addr))
            k++;
        if (k == had->n)
            return false;
    }
    return true;
}

const struct server_list *sim_servers_learn(struct sim_servers *s, const struct server_list *had,
                                            const struct node_server_info *v, size_t n)
{
    _cleanup_(list_freep) struct server_list *l = NULL;
    const struct server_list *kept;
    struct err e;

    if (n == 0 || says_the_same(had, v, n))
        return had;
    l = xnew0(struct server_list);
    for (size_t i = 0; i < n; i++)
        (void)list_add(l, str_or_empty(v[i].rpc_advertise_addr), &e); /* no address: left out */
    if (l->n == 0)
        return had;
    kept = keep(s, &l);
    return kept ? kept : had;
}
