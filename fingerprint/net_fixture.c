#include "fingerprint/net_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/parse.h"
#include "base/str.h"
#include "base/vec.h"
#include "fingerprint/look.h"

static int add_link(struct net_host *h, char *const *w)
{
    struct net_link l = {0};

    if (parse_i64(w[1], &l.index) < 0)
        return -EINVAL;
    l.name = xstrdup(w[2]);
    l.mac = xstrdup(str_eq(w[3], "-") ? "" : w[3]);
    *vec_add(&h->links, &h->n_links) = l;
    return 0;
}

static int add_addr(struct net_host *h, char *const *w)
{
    struct net_addr a = {.v6 = strchr(w[2], ':') != NULL};

    if (parse_i64(w[1], &a.link) < 0 || inet_pton(a.v6 ? AF_INET6 : AF_INET, w[2], a.raw) != 1)
        return -EINVAL;
    a.ip = xstrdup(w[2]);
    *vec_add(&h->addrs, &h->n_addrs) = a;
    return 0;
}

static int add_default(struct net_host *h, char *const *w)
{
    struct net_route r = {.v6 = str_eq(w[1], "6")};

    if (parse_i64(w[2], &r.link) < 0 || parse_u64(w[4], &r.metric) < 0)
        return -EINVAL;
    r.gateway = xstrdup(str_eq(w[3], "-") ? "" : w[3]);
    *vec_add(&h->routes, &h->n_routes) = r;
    return 0;
}

static int add_line(struct net_host *h, const char *line)
{
    static const struct {
        const char *word;
        size_t n;
        int (*fn)(struct net_host *h, char *const *w);
    } kinds[] = {
        {"link",    4, add_link   },
        {"addr",    3, add_addr   },
        {"default", 5, add_default}
    };
    char **w = NULL;
    size_t n = 0;
    int r = -EINVAL;

    strv_split(line, " ", &w, &n);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (n == kinds[i].n && str_eq(w[0], kinds[i].word))
            r = kinds[i].fn(h, w);
    strv_done(&w, &n);
    return r;
}

int net_fixture_read(const struct probe_ctx *ctx, struct net_host *ret, struct err *e)
{
    _cleanup_free_ char *text = NULL;
    char **lines = NULL;
    size_t n = 0;
    int r;

    r = look_text(ctx, &text, "/netlink");
    if (r < 0)
        return err_errno(e, r, "%s/netlink", ctx->root);
    strv_split(text, "\n", &lines, &n);
    for (size_t i = 0; i < n && r == 0; i++) {
        r = add_line(ret, lines[i]);
        if (r < 0)
            (void)err_set(e, r, "%s/netlink: cannot read \"%s\"", ctx->root, lines[i]);
    }
    strv_done(&lines, &n);
    return r;
}
