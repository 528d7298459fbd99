#include "agent/explain.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "codec/js.h"
#include "codec/js_obj.h"

enum { NEAR_MAX = 5 }; /* names that an answer offers */

/* what there is of one probe, to be asked for names; fp is never NULL */
struct found {
    struct probe_status st;
    const struct fp *fp;
};

static void find(const struct explain_facts *f, size_t i, struct found *ret)
{
    static const struct fp nothing;

    probe_run_status(f->probes, i, &ret->st);
    ret->fp = ret->st.fp ? ret->st.fp : &nothing;
}

/* --- names --- */

typedef void name_fn(void *arg, const char *name);

static void map_names(const struct strmap *m, name_fn *fn, void *arg)
{
    for (size_t i = 0; i < m->n; i++)
        fn(arg, m->items[i].key);
}

/* names of single values: they stand for themselves and for nothing else of the probe */
static void value_names(const struct fp *fp, name_fn *fn, void *arg)
{
    map_names(&fp->attributes, fn, arg);
    map_names(&fp->local, fn, arg);
    map_names(&fp->links, fn, arg);
}

/* names of the whole: the probe's, its drivers', its volume's */
static void whole_names(const struct found *x, name_fn *fn, void *arg)
{
    fn(arg, x->st.name);
    fn(arg, x->st.kind);
    if (x->st.volume)
        fn(arg, x->st.volume);
    if (str_starts(x->st.name, "driver."))
        fn(arg, x->st.name + strlen("driver."));
    for (size_t i = 0; i < x->fp->n_drivers; i++)
        fn(arg, x->fp->drivers[i].key);
}

/* "volume.data" is about data as well: the part behind the kind */
static const char *check_subject(const struct why *w)
{
    const char *dot = strchr(w->id, '.');

    return dot ? dot + 1 : w->id;
}

static void check_names(const struct fp *fp, name_fn *fn, void *arg)
{
    for (size_t i = 0; i < fp->n_whys; i++) {
        fn(arg, fp->whys[i].id);
        if (check_subject(&fp->whys[i]) != fp->whys[i].id)
            fn(arg, check_subject(&fp->whys[i]));
    }
}

struct match {
    const char *name;
    bool hit;
};

static void is_name(void *arg, const char *name)
{
    struct match *m = arg;

    m->hit = m->hit || str_eq(m->name, name);
}

enum kind { NOTHING, ONE_VALUE, ONE_CHECK, WHOLE };

static enum kind explains(const struct found *x, const char *name)
{
    struct match m = {.name = name};

    if (!*name)
        return WHOLE;
    whole_names(x, is_name, &m);
    if (m.hit)
        return WHOLE;
    value_names(x->fp, is_name, &m);
    if (m.hit)
        return ONE_VALUE;
    check_names(x->fp, is_name, &m);
    return m.hit ? ONE_CHECK : NOTHING;
}

/* --- names that are near --- */

struct near {
    const char *name;
    const char **all; /* owned array of borrowed names */
    size_t n, cap;
};

static void collect_name(void *arg, const char *name)
{
    struct near *l = arg;

    if (l->n == l->cap) {
        l->cap = MAX(l->cap * 2, (size_t)64);
        l->all = xrealloc(l->all, l->cap, sizeof(l->all[0]));
    }
    l->all[l->n++] = name;
}

static void offer(struct buf *b, const char *name, size_t *n)
{
    _cleanup_free_ char *quoted = xasprintf("\"%s\"", name);

    if (*n >= NEAR_MAX || (b->len > 0 && strstr(buf_str(b), quoted)))
        return;
    buf_printf(b, "%s%s", *n ? ", " : "", quoted);
    ++*n;
}

static int unknown(const struct explain_facts *f, const char *name, struct err *e)
{
    struct near l = {.name = name};
    _cleanup_buf_ struct buf b = BUF_INIT(1024);
    const char *nearest;
    size_t n = 0;

    for (size_t i = 0; i < probe_run_count(f->probes); i++) {
        struct found x;

        find(f, i, &x);
        whole_names(&x, collect_name, &l);
        value_names(x.fp, collect_name, &l);
        check_names(x.fp, collect_name, &l);
    }
    nearest = str_nearest(name, l.all, l.n);
    if (nearest)
        offer(&b, nearest, &n);
    for (size_t i = 0; i < l.n; i++)
        if (strstr(l.all[i], name))
            offer(&b, l.all[i], &n);
    free(l.all);
    return err_set_status(e, -ENOENT, 404,
                          "no probe, driver, attribute, volume or check is called \"%.80s\"%s%s",
                          name, n ? "; near it: " : "", buf_str(&b));
}

/* --- JSON --- */

/* the checks that are about the name, all when none says so */
static void checks(struct buf *b, const struct fp *fp, const char *name)
{
    bool any = false, first = true;

    for (size_t i = 0; *name && i < fp->n_whys; i++)
        any = any || str_eq(fp->whys[i].id, name) || str_eq(check_subject(&fp->whys[i]), name);
    obj_key(b, "Checks");
    buf_add_byte(b, '[');
    for (size_t i = 0; i < fp->n_whys; i++) {
        const struct why *w = &fp->whys[i];

        if (any && !str_eq(w->id, name) && !str_eq(check_subject(w), name))
            continue;
        obj_element(b, first);
        first = false;
        obj_str(b, "ID", w->id);
        obj_str(b, "Looked", w->looked);
        obj_str(b, "Result", why_result_name(w->result));
        obj_str(b, "Found", w->found);
        obj_str(b, "Fix", w->fix);
        obj_close(b);
    }
    buf_add_byte(b, ']');
}

/* the entry of that name, all for "" */
static void map(struct buf *b, const char *title, const struct strmap *m, const char *name)
{
    obj_open(b, title);
    for (size_t i = 0; i < m->n; i++)
        if (!*name || str_eq(m->items[i].key, name))
            obj_str(b, m->items[i].key, m->items[i].value);
    obj_close(b);
}

static void values(struct buf *b, const struct fp *fp, const char *name)
{
    map(b, "Attributes", &fp->attributes, name);
    map(b, "Local", &fp->local, name);
    map(b, "Links", &fp->links, name);
    map(b, "Sources", &fp->sources, name);
    obj_open(b, "Drivers");
    for (size_t i = 0; i < fp->n_drivers; i++) {
        if (*name && !str_eq(fp->drivers[i].key, name))
            continue;
        obj_key(b, fp->drivers[i].key);
        js_encode(b, &desc_driver_info, &fp->drivers[i], 0);
    }
    obj_close(b);
    obj_open(b, "HostVolumes");
    for (size_t i = 0; i < fp->n_host_volumes; i++) {
        if (*name && !str_eq(fp->host_volumes[i].key, name))
            continue;
        obj_key(b, fp->host_volumes[i].key);
        js_encode(b, &desc_host_volume, &fp->host_volumes[i], 0);
    }
    obj_close(b);
}

/* ms since then; null while it has not been */
static void put_age(struct buf *b, const char *name, uint64_t at_ns, uint64_t now_ns)
{
    if (at_ns && now_ns >= at_ns) {
        obj_i64(b, name, (int64_t)((now_ns - at_ns) / NSEC_PER_MSEC));
        return;
    }
    obj_key(b, name);
    buf_add_str(b, "null");
}

static void probe(struct buf *b, const struct found *x, uint64_t now_ns, const char *name)
{
    const struct probe_status *st = &x->st;

    obj_str(b, "Name", st->name);
    obj_str(b, "Class", probe_class_name(st->class));
    obj_str(b, "State", probe_state_name(st->state));
    obj_bool(b, "Stale", st->stale);
    obj_str(b, "Reason", st->reason);
    obj_i64(b, "TookUs", st->took_us);
    put_age(b, "AgeMs", st->fp ? st->fp_at_ns : 0, now_ns); /* of the values */
    put_age(b, "TriedMs", st->tried_at_ns, now_ns);
    values(b, x->fp, name);
    checks(b, x->fp, name);
}

int explain_json(struct buf *b, const struct explain_facts *f, const char *name, struct err *e)
{
    size_t n = probe_run_count(f->probes), n_flapping = 0;
    char **flapping = NULL;
    bool first = true;

    for (size_t i = 0; i < n && first; i++) {
        struct found x;

        find(f, i, &x);
        first = explains(&x, name) == NOTHING;
    }
    if (first && *name)
        return unknown(f, name, e);
    if (f->flap)
        flap_names(f->flap, f->now_ns, &flapping, &n_flapping);
    buf_add_byte(b, '{');
    if (f->beats && !*name) {
        obj_key(b, "Beats");
        late_json(f->beats, b);
    }
    obj_strv(b, "Flapping", flapping, n_flapping);
    strv_done(&flapping, &n_flapping);
    obj_str(b, "NodeID", f->node_id);
    obj_key(b, "Probes");
    buf_add_byte(b, '[');
    first = true;
    for (size_t i = 0; i < n; i++) {
        struct found x;
        enum kind k;

        find(f, i, &x);
        k = explains(&x, name);
        if (k == NOTHING)
            continue;
        obj_element(b, first);
        first = false;
        probe(b, &x, f->now_ns, k == WHOLE ? "" : name);
        obj_close(b);
    }
    buf_add_byte(b, ']');
    obj_close(b);
    return 0;
}
