#include "agent/json_put.h"

#include "codec/js.h"

void put_key(struct buf *b, const char *name)
{
    if (b->len > 0 && b->p[b->len - 1] != '{')
        buf_add_byte(b, ',');
    js_str(b, name);
    buf_add_byte(b, ':');
}

void put_str(struct buf *b, const char *name, const char *value)
{
    put_key(b, name);
    js_str(b, value);
}

void put_int(struct buf *b, const char *name, int64_t value)
{
    put_key(b, name);
    buf_printf(b, "%lld", (long long)value);
}

void put_bool(struct buf *b, const char *name, bool value)
{
    put_key(b, name);
    buf_add_str(b, value ? "true" : "false");
}

void put_map(struct buf *b, const char *name, const struct strmap *m)
{
    put_key(b, name);
    if (m->n)
        js_map(b, m);
    else
        buf_add_str(b, "{}");
}

void put_strv(struct buf *b, const char *name, char *const *v, size_t n)
{
    put_key(b, name);
    buf_add_byte(b, '[');
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_add_byte(b, ',');
        js_str(b, v[i]);
    }
    buf_add_byte(b, ']');
}

void put_open(struct buf *b, const char *name)
{
    put_key(b, name);
    buf_add_byte(b, '{');
}

void put_close(struct buf *b)
{
    buf_add_byte(b, '}');
}

void put_element(struct buf *b, bool first)
{
    buf_add_str(b, first ? "{" : ",{");
}
