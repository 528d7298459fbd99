/* One pipeline: a function that finds addresses, then filters.  The list of what is understood is
 * the two tables; everything else is refused by name. */
#include "conf/sockaddr_rules.h"

#include <ctype.h>
#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/parse.h"
#include "base/str.h"
#include "base/vec.h"

/* what flows through the pipe */
struct flow {
    struct sockaddr_if *v; /* owned */
    size_t n;
    struct buf text;
    bool is_text; /* text is the result; nothing may follow */
    bool dry;     /* syntax only */
};

/* one command: its name and arguments */
struct step {
    char *words[4]; /* owned */
    size_t n_words;
};

static void step_done(struct step *s)
{
    for (size_t i = 0; i < s->n_words; i++)
        free(s->words[i]);
}

static void keep(struct flow *f, bool (*fn)(const struct sockaddr_if *, const void *),
                 const void *arg, bool want)
{
    size_t n = 0;

    for (size_t i = 0; i < f->n; i++)
        if (fn(&f->v[i], arg) == want)
            f->v[n++] = f->v[i];
    f->n = n;
}

/* a stable sort by "a,-b" */
static void sort(struct flow *f, char *const *by, size_t n_by)
{
    for (size_t i = 1; i < f->n; i++)
        for (size_t k = i; k > 0; k--) {
            struct sockaddr_if *a = &f->v[k - 1], *b = &f->v[k], swap = *a;
            int order = 0;

            for (size_t n = 0; n < n_by && order == 0; n++) {
                bool down = by[n][0] == '-';

                order = sockaddr_compare(by[n] + down, a, b);
                order = down ? -order : order;
            }
            if (order <= 0)
                break;
            *a = *b;
            *b = swap;
        }
}

static int sort_by(struct flow *f, const char *list, struct err *e)
{
    char **by = NULL;
    size_t n = 0;
    int r = 0;

    strv_split(list, ",", &by, &n);
    for (size_t i = 0; i < n && r == 0; i++)
        if (!sockaddr_can_sort_by(by[i] + (by[i][0] == '-')))
            r = err_set(e, -EINVAL, "unable to sort by \"%.40s\"", by[i]);
    if (r == 0)
        sort(f, by, n);
    strv_done(&by, &n);
    return r;
}

/* ---- filters ---- */

static bool name_matches(const struct sockaddr_if *a, const void *re)
{
    return regexec(re, a->name, 0, NULL, 0) == 0;
}

static bool address_matches(const struct sockaddr_if *a, const void *re)
{
    char text[64];

    return sockaddr_attr(a, "address", text) == 0 && regexec(re, text, 0, NULL, 0) == 0;
}

static int keep_matching(struct flow *f, bool (*fn)(const struct sockaddr_if *, const void *),
                         const char *pattern, bool want, struct err *e)
{
    regex_t re;

    if (regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB) != 0)
        return err_set(e, -EINVAL, "\"%.60s\" is not a regular expression", pattern);
    keep(f, fn, &re, want);
    regfree(&re);
    return 0;
}

static bool has_type(const struct sockaddr_if *a, const void *type)
{
    return strcmp(type, "ip") == 0 || strcmp(type, a->v6 ? "ipv6" : "ipv4") == 0;
}

static bool has_flag(const struct sockaddr_if *a, const void *flag)
{
    if (strcmp(flag, "up") == 0)
        return a->up;
    if (strcmp(flag, "loopback") == 0)
        return sockaddr_loopback(a);
    return sockaddr_forwardable(a);
}

static bool in_network(const struct sockaddr_if *a, const void *networks)
{
    char **v = NULL;
    size_t n = 0;
    bool in = false;

    strv_split(networks, "|", &v, &n);
    for (size_t i = 0; i < n; i++)
        in = in || sockaddr_in_network(a, v[i]) > 0;
    strv_done(&v, &n);
    return in;
}

static bool is_private(const struct sockaddr_if *a, const void *unused)
{
    (void)unused;
    return sockaddr_rfc6890(a);
}

static bool known_word(const char *word, const char *list)
{
    char **v = NULL;
    size_t n = 0;
    bool known;

    strv_split(list, " ", &v, &n);
    known = strv_has(v, n, word);
    strv_done(&v, &n);
    return known;
}

static int filter_flags(struct flow *f, const char *list, bool want, struct err *e)
{
    char **v = NULL;
    size_t n = 0;
    int r = 0;

    strv_split(list, "|", &v, &n);
    for (size_t i = 0; i < n && r == 0; i++) {
        if (!known_word(v[i], "up loopback forwardable"))
            r = err_set(e, -EINVAL, "unknown flag \"%.40s\"", v[i]);
        else
            keep(f, has_flag, v[i], want);
    }
    strv_done(&v, &n);
    return r;
}

static int filter_networks(struct flow *f, const char *list, bool want, struct err *e)
{
    static const struct sockaddr_if any;
    char **v = NULL;
    size_t n = 0;
    int r = 0;

    strv_split(list, "|", &v, &n);
    for (size_t i = 0; i < n && r == 0; i++)
        if (sockaddr_in_network(&any, v[i]) < 0)
            r = err_set(e, -EINVAL, "\"%.60s\" is not a network", v[i]);
    if (r == 0)
        keep(f, in_network, list, want);
    strv_done(&v, &n);
    return r;
}

/* include and exclude "selector" "argument" */
static int filter(struct flow *f, const struct step *s, struct err *e)
{
    const char *sel = s->words[1], *arg = s->words[2];
    bool want = strcmp(s->words[0], "include") == 0;

    if (strcmp(sel, "name") == 0)
        return keep_matching(f, name_matches, arg, want, e);
    if (strcmp(sel, "address") == 0)
        return keep_matching(f, address_matches, arg, want, e);
    if (strcmp(sel, "network") == 0)
        return filter_networks(f, arg, want, e);
    if (strcmp(sel, "flag") == 0 || strcmp(sel, "flags") == 0)
        return filter_flags(f, arg, want, e);
    if (strcmp(sel, "type") == 0 && known_word(arg, "ip ipv4 ipv6"))
        return keep(f, has_type, arg, want), 0;
    if ((strcmp(sel, "rfc") == 0 || strcmp(sel, "rfcs") == 0) && strcmp(arg, "6890") == 0)
        return keep(f, is_private, NULL, want), 0;
    return err_set(e, -EINVAL, "invalid %s selector \"%.40s\" \"%.40s\"", s->words[0], sel, arg);
}

static int cut(struct flow *f, const struct step *s, struct err *e)
{
    uint64_t n;

    if (parse_u64(s->words[1], &n) < 0)
        return err_set(e, -EINVAL, "%s needs a number, not \"%.40s\"", s->words[0], s->words[1]);
    n = MIN(n, f->n);
    if (strcmp(s->words[0], "limit") == 0) {
        f->n = n;
    } else {
        memmove(f->v, f->v + n, (f->n - n) * sizeof(*f->v));
        f->n -= n;
    }
    return 0;
}

/* attr "name" of the first, join "name" "separator" of all */
static int print(struct flow *f, const struct step *s, struct err *e)
{
    static const struct sockaddr_if any;
    bool all = strcmp(s->words[0], "join") == 0;
    char text[64];

    if (sockaddr_attr(&any, s->words[1], text) < 0)
        return err_set(e, -EINVAL, "unsupported attribute \"%.40s\"", s->words[1]);
    f->is_text = true;
    for (size_t i = 0; i < f->n && (all || i == 0); i++) {
        if (sockaddr_attr(&f->v[i], s->words[1], text) < 0)
            return err_set(e, -EINVAL, "no attribute \"%.40s\"", s->words[1]);
        buf_printf(&f->text, "%s%s", i ? s->words[2] : "", text);
    }
    return 0;
}

static int run_sort(struct flow *f, const struct step *s, struct err *e)
{
    return sort_by(f, s->words[1], e);
}

static const struct {
    const char *name;
    size_t args;
    int (*fn)(struct flow *f, const struct step *s, struct err *e);
} filters[] = {
    {"include", 2, filter  },
    {"exclude", 2, filter  },
    {"sort",    1, run_sort},
    {"limit",   1, cut     },
    {"offset",  1, cut     },
    {"attr",    1, print   },
    {"join",    2, print   },
};

/* ---- sources ---- */

enum source_flags {
    SRC_UP = 1 << 0,      /* only interfaces that are up */
    SRC_FORWARD = 1 << 1, /* only forwardable addresses */
    SRC_PRIVATE = 1 << 2, /* only RFC 6890 */
    SRC_PUBLIC = 1 << 3,  /* only outside of it */
    SRC_DEFAULT = 1 << 4, /* only the default route's interface */
    SRC_FIRST = 1 << 5,   /* the text is the first address */
    SRC_ALL = 1 << 6,     /* the text is all addresses */
};

static const struct {
    const char *name;
    size_t args; /* 1: a regular expression over names */
    unsigned flags;
    const char *order;
} sources[] = {
    {"GetPrivateIP",         0, SRC_UP | SRC_FORWARD | SRC_PRIVATE | SRC_FIRST, "default,type,size"},
    {"GetPublicIP",          0, SRC_UP | SRC_PUBLIC | SRC_FIRST,                "default,type,size"},
    {"GetPrivateIPs",        0, SRC_FORWARD | SRC_PRIVATE | SRC_ALL,            "type,size"        },
    {"GetPublicIPs",         0, SRC_PUBLIC | SRC_ALL,                           "type,size"        },
    {"GetInterfaceIP",       1, SRC_FORWARD | SRC_FIRST,                        "type,size"        },
    {"GetInterfaceIPs",      1, SRC_ALL,                                        "type,size"        },
    {"GetAllInterfaces",     0, 0,                                              ""                 },
    {"GetDefaultInterfaces", 0, SRC_DEFAULT,                                    ""                 },
    {"GetPrivateInterfaces", 0, SRC_UP | SRC_FORWARD | SRC_PRIVATE,             "default,type,size"},
    {"GetPublicInterfaces",  0, SRC_UP | SRC_PUBLIC,                            "default,type,size"},
};

static bool wanted(const struct sockaddr_if *a, unsigned flags)
{
    return !(((flags & SRC_UP) && !a->up) || ((flags & SRC_FORWARD) && !sockaddr_forwardable(a)) ||
             ((flags & SRC_PRIVATE) && !sockaddr_rfc6890(a)) ||
             ((flags & SRC_PUBLIC) && sockaddr_rfc6890(a)) ||
             ((flags & SRC_DEFAULT) && !a->is_default));
}

static int run_source(struct flow *f, size_t i, const struct step *s, const struct sockaddr_if *ifs,
                      size_t n, struct err *e)
{
    struct step text = {
        {NULL, (char *)(uintptr_t) "address", (char *)(uintptr_t) " "},
        3
    };
    int r = 0;

    for (size_t k = 0; k < n; k++)
        if (wanted(&ifs[k], sources[i].flags))
            *vec_add(&f->v, &f->n) = ifs[k];
    if (sources[i].args > 0)
        r = keep_matching(f, name_matches, s->words[1], true, e);
    if (r == 0)
        r = sort_by(f, sources[i].order, e);
    if (r == 0 && (sources[i].flags & SRC_DEFAULT) && f->n == 0 && !f->dry)
        r = err_set(e, -EADDRNOTAVAIL, "No default interface found");
    if (r < 0 || !(sources[i].flags & (SRC_FIRST | SRC_ALL)))
        return r;
    text.words[0] = (char *)(uintptr_t)(sources[i].flags & SRC_FIRST ? "attr" : "join");
    return print(f, &text, e);
}

/* ---- the pipe ---- */

/* a word, or a string in "..." or `...` */
static int take_word(const char **p, struct step *s, struct err *e)
{
    const char *start = *p;
    size_t n;

    if (s->n_words == ARRAY_LEN(s->words))
        return err_set(e, -EINVAL, "too many arguments for %s", s->words[0]);
    if (*start == '"' || *start == '`') {
        const char *end = strchr(start + 1, *start);

        if (!end)
            return err_set(e, -EINVAL, "unterminated quoted string");
        s->words[s->n_words++] = xstrndup(start + 1, (size_t)(end - start) - 1);
        *p = end + 1;
        return 0;
    }
    n = strcspn(start, " \t\r\n|\"`");
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)start[i]) && start[i] != '_')
            return err_set(e, -EINVAL, "unexpected \"%.20s\"", start);
    s->words[s->n_words++] = xstrndup(start, n);
    *p = start + n;
    return 0;
}

/* the next command up to "|" or the end */
static int take_step(const char **p, struct step *s, struct err *e)
{
    for (;;) {
        int r;

        *p += strspn(*p, " \t\r\n");
        if (**p == 0 || **p == '|')
            break;
        r = take_word(p, s, e);
        if (r < 0)
            return r;
    }
    if (s->n_words == 0)
        return err_set(e, -EINVAL, "missing value for command");
    return 0;
}

static int check_args(const struct step *s, size_t args, struct err *e)
{
    if (s->n_words - 1 != args)
        return err_set(e, -EINVAL, "wrong number of args for %s: want %zu got %zu", s->words[0],
                       args, s->n_words - 1);
    return 0;
}

static int run_step(struct flow *f, const struct step *s, bool first, const struct sockaddr_if *ifs,
                    size_t n, struct err *e)
{
    int r;

    for (size_t i = 0; first && i < ARRAY_LEN(sources); i++)
        if (str_eq(sources[i].name, s->words[0])) {
            r = check_args(s, sources[i].args, e);
            return r < 0 ? r : run_source(f, i, s, ifs, n, e);
        }
    for (size_t i = 0; !first && i < ARRAY_LEN(filters); i++)
        if (str_eq(filters[i].name, s->words[0])) {
            r = check_args(s, filters[i].args, e);
            return r < 0 ? r : filters[i].fn(f, s, e);
        }
    return err_set(e, -EINVAL, "function \"%.40s\" not defined", s->words[0]);
}

int sockaddr_run(const char *inside, const struct sockaddr_if *ifs, size_t n, struct buf *out,
                 struct err *e)
{
    struct flow f = {.text = BUF_INIT(65536), .dry = !ifs};
    bool first = true;
    int r = 0;

    for (const char *p = inside; r == 0; p++, first = false) {
        struct step s = {0};

        r = take_step(&p, &s, e);
        if (r == 0 && f.is_text)
            r = err_set(e, -EINVAL, "%.40s needs addresses", s.words[0]);
        if (r == 0)
            r = run_step(&f, &s, first, ifs, n, e);
        step_done(&s);
        if (r < 0 || *p == 0)
            break;
    }
    if (r == 0 && !f.is_text)
        r = err_set(e, -EINVAL, "a list of addresses is no address: end with | attr \"address\"");
    if (r == 0)
        buf_add_str(out, buf_str(&f.text));
    buf_done(&f.text);
    free(f.v);
    return r;
}
