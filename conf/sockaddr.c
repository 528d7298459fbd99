#include "conf/sockaddr.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <regex.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"

struct range {
    const char *net;
    unsigned bits;
};

/* fact: config.md section 8, measured on go-sockaddr: not forwardable; IPv4-mapped is IPv4 there */
static const struct range not_forwardable[] = {
    {"0.0.0.0",         8  },
    {"127.0.0.0",       8  },
    {"169.254.0.0",     16 },
    {"192.0.0.0",       24 },
    {"192.0.2.0",       24 },
    {"198.51.100.0",    24 },
    {"203.0.113.0",     24 },
    {"240.0.0.0",       4  },
    {"255.255.255.255", 32 },
    {"::1",             128},
    {"::",              128},
    {"::ffff:0:0",      96 },
    {"2001:db8::",      32 },
    {"2001:10::",       28 },
    {"fe80::",          10 },
};
/* RFC 6890 beyond the above */
static const struct range private_more[] = {
    {"10.0.0.0",    8 },
    {"100.64.0.0",  10},
    {"172.16.0.0",  12},
    {"192.168.0.0", 16},
    {"192.88.99.0", 24},
    {"198.18.0.0",  15},
    {"64:ff9b::",   96},
    {"100::",       64},
    {"2001::",      16},
    {"2002::",      16},
    {"fc00::",      7 },
};

static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned rest = bits % 8;

    if (memcmp(a, b, bits / 8) != 0)
        return false;
    return rest == 0 || ((a[bits / 8] ^ b[bits / 8]) >> (8 - rest)) == 0;
}

static bool in_ranges(const struct sockaddr_if *a, const struct range *r, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool v6 = strchr(r[i].net, ':') != NULL;
        uint8_t net[16];

        if (v6 == a->v6 && inet_pton(v6 ? AF_INET6 : AF_INET, r[i].net, net) == 1 &&
            same_bits(a->addr, net, r[i].bits))
            return true;
    }
    return false;
}

static bool forwardable(const struct sockaddr_if *a)
{
    return !in_ranges(a, not_forwardable, ARRAY_LEN(not_forwardable));
}

static bool in_rfc6890(const struct sockaddr_if *a)
{
    return !forwardable(a) || in_ranges(a, private_more, ARRAY_LEN(private_more));
}

enum picks { PICK_PRIVATE, PICK_PUBLIC, PICK_NAME };

static const struct function {
    const char *name;
    enum picks picks;
    bool all; /* every address, not the first; also of interfaces that are down */
} functions[] = {
    {"GetPrivateIP",    PICK_PRIVATE, false},
    {"GetPublicIP",     PICK_PUBLIC,  false},
    {"GetPrivateIPs",   PICK_PRIVATE, true },
    {"GetPublicIPs",    PICK_PUBLIC,  true },
    {"GetInterfaceIP",  PICK_NAME,    false},
    {"GetInterfaceIPs", PICK_NAME,    true },
};

struct call {
    const struct function *fn;
    char *arg; /* owned; NULL = none */
    regex_t re;
    bool has_re;
};

static void call_done(struct call *c)
{
    free(c->arg);
    if (c->has_re)
        regfree(&c->re);
}

static bool picked(const struct call *c, const struct sockaddr_if *a)
{
    switch (c->fn->picks) {
    case PICK_PRIVATE:
        return (a->up || c->fn->all) && forwardable(a) && in_rfc6890(a);
    case PICK_PUBLIC:
        return (a->up || c->fn->all) && !in_rfc6890(a);
    case PICK_NAME:
        return (c->fn->all || forwardable(a)) && regexec(&c->re, a->name, 0, NULL, 0) == 0;
    }
    return false;
}

/* whether a comes before b: the default route's interface (single private or public address only),
 * IPv4 before IPv6, the larger network first; else as the kernel lists them */
static bool before(const struct call *c, const struct sockaddr_if *a, const struct sockaddr_if *b)
{
    bool by_route = !c->fn->all && c->fn->picks != PICK_NAME;

    if (by_route && a->is_default != b->is_default)
        return a->is_default;
    if (a->v6 != b->v6)
        return !a->v6;
    return a->prefix_len < b->prefix_len;
}

static void add_addr(struct buf *out, const struct sockaddr_if *a)
{
    char text[INET6_ADDRSTRLEN];

    if (inet_ntop(a->v6 ? AF_INET6 : AF_INET, a->addr, text, sizeof(text)))
        buf_add_str(out, text);
}

static void run_call(const struct call *c, const struct sockaddr_if *ifs, size_t n, struct buf *out)
{
    bool *used = xnew0_n(bool, n);

    for (bool first = true;; first = false) {
        const struct sockaddr_if *best = NULL;

        for (size_t i = 0; i < n; i++)
            if (!used[i] && picked(c, &ifs[i]) && (!best || before(c, &ifs[i], best)))
                best = &ifs[i];
        if (!best)
            break;
        if (!first)
            buf_add_byte(out, ' ');
        add_addr(out, best);
        used[best - ifs] = true;
        if (!c->fn->all)
            break;
    }
    free(used);
}

/* a string in "..." or `...` */
static int parse_arg(const char **p, char **ret, struct err *e)
{
    char quote = **p;
    const char *end = strchr(*p + 1, quote);

    if (!end)
        return err_set(e, -EINVAL, "unterminated quoted string");
    *ret = xstrndup(*p + 1, (size_t)(end - *p) - 1);
    *p = end + 1;
    return 0;
}

static int parse_call(const char *text, struct call *ret, struct err *e)
{
    const char *p = text + strspn(text, " \t\r\n");
    size_t n = 0;
    int r;

    while (isalnum((unsigned char)p[n]) || p[n] == '_')
        n++;
    for (size_t i = 0; i < ARRAY_LEN(functions); i++)
        if (strlen(functions[i].name) == n && strncmp(functions[i].name, p, n) == 0)
            ret->fn = &functions[i];
    if (!ret->fn)
        return err_set(
            e, -EINVAL,
            "function \"%.*s\" not defined (known: GetPrivateIP GetPublicIP GetPrivateIPs "
            "GetPublicIPs GetInterfaceIP GetInterfaceIPs)",
            (int)MIN(n, 40U), p);
    p += n;
    p += strspn(p, " \t\r\n");
    if (*p == '"' || *p == '`') {
        r = parse_arg(&p, &ret->arg, e);
        if (r < 0)
            return r;
        p += strspn(p, " \t\r\n");
    }
    if (*p == '|')
        return err_set(e, -EINVAL, "pipes are not supported: use GetInterfaceIP \"name\"");
    if (*p)
        return err_set(e, -EINVAL, "unexpected \"%.20s\"", p);
    if ((ret->fn->picks == PICK_NAME) != (ret->arg != NULL))
        return err_set(e, -EINVAL, "wrong number of args for %s", ret->fn->name);
    if (!ret->arg)
        return 0;
    if (regcomp(&ret->re, ret->arg, REG_EXTENDED | REG_NOSUB) != 0)
        return err_set(e, -EINVAL, "\"%.60s\" is not a regular expression", ret->arg);
    ret->has_re = true;
    return 0;
}

/* each piece of text is appended to out, each call run; ifs NULL = syntax only */
static int expand(const char *text, const struct sockaddr_if *ifs, size_t n, struct buf *out,
                  struct err *e)
{
    const char *open;

    while ((open = strstr(text, "{{"))) {
        const char *close = strstr(open, "}}");
        _cleanup_free_ char *inside = NULL;
        struct call c = {0};
        int r;

        if (!close)
            return err_set(e, -EINVAL, "unclosed action");
        buf_add(out, text, (size_t)(open - text));
        inside = xstrndup(open + 2, (size_t)(close - open) - 2);
        r = parse_call(inside, &c, e);
        if (r == 0 && ifs)
            run_call(&c, ifs, n, out);
        call_done(&c);
        if (r < 0)
            return r;
        text = close + 2;
    }
    buf_add_str(out, text);
    return buf_ok(out);
}

static int wrap(struct err *e, int r, const char *text)
{
    return err_wrap(e, r, "unable to parse address template \"%.120s\"", text);
}

int sockaddr_check(const char *text, struct err *e)
{
    struct buf out _cleanup_buf_ = BUF_INIT(65536);
    int r;

    if (!text || !strstr(text, "{{"))
        return 0;
    r = expand(text, NULL, 0, &out, e);
    return r < 0 ? wrap(e, r, text) : 0;
}

int sockaddr_eval_with(const char *text, const struct sockaddr_if *ifs, size_t n, char **ret,
                       struct err *e)
{
    static const struct sockaddr_if none;
    struct buf out _cleanup_buf_ = BUF_INIT(65536);
    char *word;
    int r;

    if (!strstr(text, "{{")) {
        *ret = xstrdup(text);
        return 0;
    }
    r = expand(text, ifs ? ifs : &none, n, &out, e);
    if (r < 0)
        return wrap(e, r, text);
    buf_add_byte(&out, 0);
    word = str_trim((char *)out.p);
    if (!*word)
        return err_set(e, -EINVAL, "template \"%.120s\" evaluated to empty result", text);
    if (word[strcspn(word, " \t\n")])
        return err_set(e, -EINVAL, "multiple addresses found (\"%.120s\"), please configure one.",
                       word);
    *ret = xstrdup(word);
    return 0;
}

int sockaddr_eval(const char *text, char **ret, struct err *e)
{
    _cleanup_free_ struct sockaddr_if *ifs = NULL;
    size_t n = 0;
    int r = 0;

    if (strstr(text, "{{"))
        r = sockaddr_host(&ifs, &n);
    if (r < 0)
        return err_errno(e, r, "cannot list the network interfaces");
    return sockaddr_eval_with(text, ifs, n, ret, e);
}
