#include "cli/fp_view.h"

#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "base/str.h"
#include "cli/table.h"
#include "codec/js.h"

enum { OUTPUT_MAX = 64 << 20 };

/* --- tables --- */

static void merge_attributes(const struct fp_view *v, struct strmap *ret)
{
    for (size_t i = 0; i < v->n; i++) {
        const struct fp *fp = v->v[i].fp;

        for (size_t k = 0; fp && k < fp->attributes.n; k++)
            strmap_set(ret, fp->attributes.items[k].key, fp->attributes.items[k].value);
    }
}

static void show_attributes(const struct fp_view *v, struct buf *out)
{
    struct strmap all _cleanup_strmap_ = {0};
    struct table t;

    merge_attributes(v, &all);
    buf_add_str(out, "Attributes\n");
    table_init_pairs(&t);
    for (size_t i = 0; i < all.n; i++)
        table_pair(&t, all.items[i].key, all.items[i].value);
    table_print(&t, out);
    table_done(&t);
}

static void show_drivers(const struct fp_view *v, struct buf *out)
{
    struct table t;
    size_t rows = 0;

    table_init(&t, "Driver|Detected|Healthy|Message");
    for (size_t i = 0; i < v->n; i++) {
        const struct fp *fp = v->v[i].fp;

        for (size_t k = 0; fp && k < fp->n_drivers; k++, rows++) {
            table_cell(&t, fp->drivers[k].key);
            table_cell(&t, fp->drivers[k].detected ? "true" : "false");
            table_cell(&t, fp->drivers[k].healthy ? "true" : "false");
            table_cell(&t, fp->drivers[k].health_description);
        }
    }
    if (rows > 0) {
        buf_add_str(out, "\nDrivers\n");
        table_print(&t, out);
    }
    table_done(&t);
}

/* "12s", "5m3s"; owned by the caller */
static char *age_text(const struct fp_view *v, const struct probe_status *st)
{
    uint64_t ns = v->now_ns > st->fp_at_ns ? v->now_ns - st->fp_at_ns : 0;

    return format_duration((int64_t)(ns / NSEC_PER_SEC * NSEC_PER_SEC));
}

static void age_cell(struct table *t, const struct fp_view *v, const struct probe_status *st)
{
    _cleanup_free_ char *age = st->fp ? age_text(v, st) : NULL;

    table_cellf(t, "%s%s", age ? age : "no values", age && st->stale ? ", stale" : "");
}

static void show_probes(const struct fp_view *v, struct buf *out)
{
    struct table t;

    buf_add_str(out, "\nProbes\n");
    table_init(&t, v->is_agent ? "Probe|State|Age|Time|Reason" : "Probe|State|Time|Reason");
    for (size_t i = 0; i < v->n; i++) {
        const struct probe_status *st = &v->v[i];

        table_cell(&t, st->name);
        table_cell(&t, probe_state_name(st->state));
        if (v->is_agent)
            age_cell(&t, v, st);
        table_cellf(&t, "%.1f ms", (double)st->took_us / 1000);
        table_cell(&t, st->reason);
    }
    table_print(&t, out);
    table_done(&t);
}

static void show_flapping(const struct fp_view *v, struct buf *out)
{
    struct table t;

    if (v->n_flapping == 0)
        return;
    buf_add_byte(out, '\n');
    table_init(&t, "Flapping Fact");
    for (size_t i = 0; i < v->n_flapping; i++)
        table_cell(&t, v->flapping[i]);
    table_print(&t, out);
    table_done(&t);
}

static void show_beats(const struct fp_view *v, struct buf *out)
{
    struct table t;

    if (v->n_beats == 0)
        return;
    buf_add_byte(out, '\n');
    table_init(&t, "Heartbeat Due|Late|Time|Server|Steps");
    for (size_t i = 0; i < v->n_beats; i++) {
        _cleanup_buf_ struct buf steps = BUF_INIT(OUTPUT_MAX);
        const struct fp_beat *b = &v->beats[i];

        for (size_t k = 0; k < b->n_steps; k++)
            buf_printf(&steps, "%s%s", k ? "; " : "", str_or_empty(b->steps[k]));

        table_cell(&t, b->due);
        table_cellf(&t, "%lld ms", (long long)b->late_ms);
        table_cellf(&t, "%lld ms", (long long)b->took_ms);
        table_cell(&t, b->server);
        table_cell(&t, buf_str(&steps));
    }
    table_print(&t, out);
    table_done(&t);
}

void fp_view_show(const struct fp_view *v, struct buf *out)
{
    show_attributes(v, out);
    show_drivers(v, out);
    show_probes(v, out);
    show_flapping(v, out);
    show_beats(v, out);
}

/* --- explanations --- */

static bool has_driver(const struct fp *fp, const char *name)
{
    for (size_t i = 0; i < fp->n_drivers; i++)
        if (str_eq(fp->drivers[i].key, name))
            return true;
    return false;
}

static bool has_volume(const struct fp *fp, const char *name)
{
    for (size_t i = 0; i < fp->n_host_volumes; i++)
        if (str_eq(fp->host_volumes[i].key, name))
            return true;
    return false;
}

static bool has_check(const struct fp *fp, const char *name)
{
    for (size_t i = 0; i < fp->n_whys; i++)
        if (str_eq(fp->whys[i].id, name))
            return true;
    return false;
}

static bool has_value(const struct fp *fp, const char *name)
{
    return strmap_get(&fp->attributes, name) || strmap_get(&fp->local, name) ||
           strmap_get(&fp->links, name);
}

static bool is_about(const struct probe_status *st, const char *name)
{
    const struct fp *fp = st->fp;

    if (str_eq(st->name, name) || (st->volume && str_eq(st->volume, name)))
        return true;
    if (st->volume && str_starts(st->name, name) && st->name + strlen(name) + 1 == st->volume)
        return true; /* "volumes" of "volumes:data" */
    return fp && (has_value(fp, name) || has_driver(fp, name) || has_volume(fp, name) ||
                  has_check(fp, name));
}

bool fp_view_knows(const struct fp_view *v, const char *name)
{
    for (size_t i = 0; i < v->n; i++)
        if (is_about(&v->v[i], name))
            return true;
    return false;
}

static void explain_checks(const struct fp *fp, struct buf *out)
{
    struct table t;

    if (fp->n_whys == 0)
        return;
    table_init(&t, "Check|Result|Looked At|Found|What Would Help");
    for (size_t i = 0; i < fp->n_whys; i++) {
        const struct why *w = &fp->whys[i];

        table_cell(&t, w->id);
        table_cell(&t, why_result_name(w->result));
        table_cell(&t, w->looked);
        table_cell(&t, w->found);
        table_cell(&t, w->fix);
    }
    table_print(&t, out);
    table_done(&t);
}

/* a name of a value is about that value alone, any other about all of the probe's */
static bool is_wanted(const struct probe_status *st, const char *key, char *const *names, size_t n)
{
    if (n == 0 || strv_has(names, n, key))
        return true;
    for (size_t i = 0; i < n; i++)
        if (is_about(st, names[i]) && !has_value(st->fp, names[i]))
            return true;
    return false;
}

static size_t value_rows(const struct probe_status *st, const struct strmap *m, char *const *names,
                         size_t n_names, struct table *t)
{
    size_t rows = 0;

    for (size_t i = 0; i < m->n; i++) {
        if (!is_wanted(st, m->items[i].key, names, n_names))
            continue;
        table_cell(t, m->items[i].key);
        table_cell(t, m->items[i].value);
        table_cell(t, strmap_get(&st->fp->sources, m->items[i].key));
        rows++;
    }
    return rows;
}

static void explain_values(const struct probe_status *st, char *const *names, size_t n_names,
                           struct buf *out)
{
    struct table t;

    table_init(&t, "Attribute|Value|Read From");
    if (value_rows(st, &st->fp->attributes, names, n_names, &t) > 0)
        table_print(&t, out);
    table_done(&t);
    table_init(&t, "Local Fact|Value|Read From");
    if (value_rows(st, &st->fp->local, names, n_names, &t) > 0)
        table_print(&t, out);
    table_done(&t);
}

static void explain(const struct fp_view *v, const struct probe_status *st, char *const *names,
                    size_t n_names, struct buf *out)
{
    buf_printf(out, "\n%s: %s%s%s", st->name, probe_state_name(st->state),
               str_empty(st->reason) ? "" : ", ", str_or_empty(st->reason));
    if (v->is_agent && st->fp) {
        _cleanup_free_ char *age = age_text(v, st);

        buf_printf(out, "; %s from %s ago", st->stale ? "last good values" : "values", age);
    }
    buf_add_byte(out, '\n');
    if (!st->fp)
        return;
    explain_checks(st->fp, out);
    explain_values(st, names, n_names, out);
}

void fp_view_explain(const struct fp_view *v, char *const *names, size_t n_names, struct buf *out)
{
    for (size_t i = 0; i < v->n; i++) {
        bool wanted = n_names == 0;

        for (size_t k = 0; k < n_names && !wanted; k++)
            wanted = is_about(&v->v[i], names[k]);
        if (wanted)
            explain(v, &v->v[i], names, n_names, out);
    }
}

/* --- JSON --- */

void fp_view_json(const struct fp_view *v, struct buf *out)
{
    struct buf text _cleanup_buf_ = BUF_INIT(OUTPUT_MAX);
    struct strmap all _cleanup_strmap_ = {0};

    merge_attributes(v, &all);
    strmap_make(&all);
    buf_add_str(&text, "{\"Attributes\":");
    js_map(&text, &all);
    buf_add_str(&text, ",\"Probes\":[");
    for (size_t i = 0; i < v->n; i++) {
        const struct probe_status *st = &v->v[i];

        buf_printf(&text, "%s{\"Name\":", i ? "," : "");
        js_str(&text, st->name);
        buf_add_str(&text, ",\"State\":");
        js_str(&text, probe_state_name(st->state));
        buf_add_str(&text, ",\"Reason\":");
        js_str(&text, st->reason);
        buf_printf(&text, ",\"TookMicroseconds\":%lld,\"Result\":", (long long)st->took_us);
        if (st->fp)
            js_encode(&text, &desc_fp, st->fp, 0);
        else
            buf_add_str(&text, "null");
        buf_add_str(&text, "}");
    }
    buf_add_str(&text, "]}");
    js_pretty(out, buf_str(&text), text.len);
}
