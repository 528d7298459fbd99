#include "cli/table.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "base/vec.h"

void table_init(struct table *t, const char *heading)
{
    *t = (struct table){0};
    for (const char *p = heading; *p;) {
        size_t n = strcspn(p, "|");
        _cleanup_free_ char *name = xstrndup(p, n);

        table_cell(t, name);
        t->n_columns++;
        p += n + (p[n] == '|');
    }
}

void table_init_plain(struct table *t, size_t n_columns)
{
    *t = (struct table){.n_columns = n_columns};
}

void table_init_pairs(struct table *t)
{
    *t = (struct table){0};
}

void table_done(struct table *t)
{
    strv_done(&t->cells, &t->n_cells);
}

void table_cell(struct table *t, const char *text)
{
    strv_add(&t->cells, &t->n_cells, str_empty(text) ? "<none>" : text);
}

void table_cellf(struct table *t, const char *fmt, ...)
{
    _cleanup_free_ char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = xvasprintf(fmt, ap);
    va_end(ap);
    table_cell(t, text);
}

void table_pair(struct table *t, const char *name, const char *value)
{
    table_cell(t, name);
    table_cell(t, value);
}

void table_pairf(struct table *t, const char *name, const char *fmt, ...)
{
    _cleanup_free_ char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = xvasprintf(fmt, ap);
    va_end(ap);
    table_pair(t, name, text);
}

static size_t characters(const char *s)
{
    size_t n = 0;

    for (; *s; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

/* control characters of a peer's text must not reach the terminal */
static void add_text(struct buf *out, const char *s)
{
    for (; *s; s++)
        buf_add_byte(out, (uint8_t)((unsigned char)*s < ' ' || *s == 0x7f ? ' ' : *s));
}

void table_print(const struct table *t, struct buf *out)
{
    size_t columns = t->n_columns ? t->n_columns : 2, width[TABLE_COLUMNS_MAX] = {0};

    for (size_t i = 0; i < t->n_cells; i++) {
        size_t n = characters(t->cells[i]);

        if (n > width[i % columns])
            width[i % columns] = n;
    }
    for (size_t i = 0; i < t->n_cells; i++) {
        bool last = i % columns == columns - 1;

        add_text(out, t->cells[i]);
        if (last) {
            buf_add_byte(out, '\n');
            continue;
        }
        for (size_t n = characters(t->cells[i]); n < width[i % columns]; n++)
            buf_add_byte(out, ' ');
        buf_add_str(out, t->n_columns ? "  " : " = ");
    }
}

void table_map(const char *heading, const struct strmap *m, struct buf *out)
{
    struct table t;

    buf_printf(out, "%s\n", heading);
    table_init_pairs(&t);
    for (size_t i = 0; i < m->n; i++)
        table_pair(&t, m->items[i].key, m->items[i].value);
    if (m->n == 0)
        buf_add_byte(out, '\n');
    table_print(&t, out);
    table_done(&t);
}

void format_ibytes(uint64_t bytes, char ret[32])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    uint64_t size = 1;
    size_t u = 0;
    double v;

    if (bytes < 10) {
        (void)snprintf(ret, 32, "%u B", (unsigned)bytes);
        return;
    }
    while (u + 1 < ARRAY_LEN(units) && bytes / size >= 1024) {
        size *= 1024;
        u++;
    }
    v = (double)(uint64_t)((double)bytes / (double)size * 10 + 0.5) / 10;
    (void)snprintf(ret, 32, v < 10 ? "%.1f %s" : "%.0f %s", v, units[u]);
}

void table_share(struct table *t, uint64_t used, uint64_t total)
{
    char a[32], b[32];

    format_ibytes(used, a);
    format_ibytes(total, b);
    table_cellf(t, "%s/%s", a, b);
}

/* the two largest units that are not zero (nomad command/helpers.go prettyTimeDiff) */
void format_ago(int64_t then_ns, int64_t now_ns, char ret[32])
{
    static const struct {
        int64_t seconds;
        const char *unit;
    } units[] = {
        {31536000, "y" },
        {2592000,  "mo"},
        {86400,    "d" },
        {3600,     "h" },
        {60,       "m" },
        {1,        "s" }
    };
    int64_t left = then_ns <= now_ns ? (now_ns - then_ns) / 1000000000 : 0;
    size_t at = 0;
    unsigned shown = 0;

    if (then_ns <= 0) {
        (void)snprintf(ret, 32, "<none>");
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(units) && shown < 2; i++) {
        int64_t n = left / units[i].seconds;
        bool last = i + 1 == ARRAY_LEN(units);

        if (n == 0 && !(last && shown == 0))
            continue;
        at += (size_t)snprintf(ret + at, 32 - at, "%lld%s", (long long)n, units[i].unit);
        left %= units[i].seconds;
        shown++;
    }
    (void)snprintf(ret + at, 32 - at, " ago");
}
