#include "agent/flap.h"

#include <string.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/str.h"
#include "base/vec.h"

#define WINDOW_NS (FLAP_WINDOW_SEC * NSEC_PER_SEC)

struct fact {
    char *name;
    uint64_t at_ns[FLAP_CHANGES]; /* of its last changes, newest first; 0 = there was none */
    bool flapping;                /* as long as the newest one is not too old */
};

struct flap {
    struct fact *facts; /* those that changed within the window */
    size_t n_facts;
};

static bool is_recent(uint64_t at_ns, uint64_t now_ns)
{
    return at_ns != 0 && now_ns - at_ns < WINDOW_NS;
}

static struct fact *find(const struct flap *f, const char *name)
{
    for (size_t i = 0; i < f->n_facts; i++)
        if (str_eq(f->facts[i].name, name))
            return &f->facts[i];
    return NULL;
}

static bool is_flapping(const struct fact *fact, uint64_t now_ns)
{
    return fact && fact->flapping && is_recent(fact->at_ns[0], now_ns);
}

struct flap *flap_new(void)
{
    return xnew0(struct flap);
}

struct flap *flap_free(struct flap *f)
{
    if (!f)
        return NULL;
    for (size_t i = 0; i < f->n_facts; i++)
        free(f->facts[i].name);
    free(f->facts);
    return mem_free(f);
}

/* those that have calmed down */
static void forget(struct flap *f, uint64_t now_ns)
{
    for (size_t i = f->n_facts; i-- > 0;) {
        if (is_recent(f->facts[i].at_ns[0], now_ns))
            continue;
        free(f->facts[i].name);
        f->facts[i] = f->facts[--f->n_facts];
    }
}

/* Drivers, volumes and attributes come in one by one after the start. */
static bool was_there(const struct node *n, const char *fact)
{
    const char *name = strchr(fact, '.');

    if (!name)
        return true;
    name++;
    if (str_starts(fact, "Attributes."))
        return strmap_get(&n->attributes, name) != NULL;
    if (str_starts(fact, "Drivers."))
        return node_driver(n, name) != NULL;
    if (!str_starts(fact, "HostVolumes."))
        return true;
    for (size_t i = 0; i < n->n_host_volumes; i++)
        if (str_eq(n->host_volumes[i].key, name))
            return true;
    return false;
}

struct noting {
    struct flap *f;
    const struct node *before;
    uint64_t now_ns;
    void (*begun)(void *arg, const char *fact);
    void *arg;
};

static void note(void *arg, const char *name)
{
    const struct noting *g = arg;
    struct fact *fact = find(g->f, name);

    if (str_starts(name, "Meta.") || (!fact && g->f->n_facts >= FLAPPING_MAX))
        return; /* metadata is what a person has set */
    if (!fact && !was_there(g->before, name))
        return;
    if (!fact) {
        fact = vec_add(&g->f->facts, &g->f->n_facts);
        fact->name = xstrdup(name);
    }
    if (fact->at_ns[0] == g->now_ns)
        return; /* told twice */
    memmove(&fact->at_ns[1], &fact->at_ns[0], sizeof(fact->at_ns) - sizeof(fact->at_ns[0]));
    fact->at_ns[0] = g->now_ns;
    if (fact->flapping || !is_recent(fact->at_ns[FLAP_CHANGES - 1], g->now_ns))
        return;
    fact->flapping = true;
    g->begun(g->arg, fact->name);
}

void flap_note(struct flap *f, const struct node *before, const struct node *after, uint64_t now_ns,
               void (*begun)(void *arg, const char *fact), void *arg)
{
    struct noting g = {f, before, now_ns, begun, arg};

    forget(f, now_ns);
    node_each_change(before, after, note, &g);
}

struct asking {
    const struct flap *f;
    uint64_t now_ns;
    bool some, others;
};

static void ask(void *arg, const char *name)
{
    struct asking *q = arg;

    if (is_flapping(find(q->f, name), q->now_ns))
        q->some = true;
    else
        q->others = true;
}

bool flap_only(const struct flap *f, const struct node *sent, const struct node *wanted,
               uint64_t now_ns)
{
    struct asking q = {f, now_ns, false, false};

    if (f->n_facts == 0)
        return false;
    node_each_change(sent, wanted, ask, &q);
    return q.some && !q.others;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void flap_names(const struct flap *f, uint64_t now_ns, char ***ret, size_t *ret_n)
{
    *ret = NULL;
    *ret_n = 0;
    for (size_t i = 0; i < f->n_facts; i++)
        if (is_flapping(&f->facts[i], now_ns))
            strv_add(ret, ret_n, f->facts[i].name);
    if (*ret_n > 1)
        qsort(*ret, *ret_n, sizeof(char *), by_name);
}

char *flap_text(const struct flap *f, uint64_t now_ns)
{
    enum { SHOWN = 3 };
    _cleanup_buf_ struct buf b = BUF_INIT(4 * KIB);
    char **v;
    size_t n, len;

    flap_names(f, now_ns, &v, &n);
    for (size_t i = 0; i < MIN(n, (size_t)SHOWN); i++)
        buf_printf(&b, "%s%s", i ? ", " : "", v[i]);
    if (n > SHOWN)
        buf_printf(&b, " and %zu more", n - SHOWN);
    strv_done(&v, &n);
    return b.len ? (char *)buf_take(&b, &len) : NULL;
}
