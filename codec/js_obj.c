#include "codec/js_obj.h"

#include "codec/js.h"
#include "codec/js_put.h"

void obj_key(struct buf *b, const char *name)
{
    if (b->len > 0 && b->p[b->len - 1] != '{')
        buf_add_byte(b, ',');
    js_str(b, name);
    buf_add_byte(b, ':');
}

void obj_str(struct buf *b, const char *name, const char *value)
{
    obj_key(b, name);
    js_str(b, value);
}

void obj_i64(struct buf *b, const char *name, int64_t value)
{
    obj_key(b, name);
    js_put_i64(b, value);
}

void obj_u64(struct buf *b, const char *name, uint64_t value)
{
    obj_key(b, name);
    js_put_u64(b, value);
}

void obj_bool(struct buf *b, const char *name, bool value)
{
    obj_key(b, name);
    js_put_bool(b, value);
}

void obj_map(struct buf *b, const char *name, const struct strmap *m)
{
    obj_key(b, name);
    if (m->n)
        js_map(b, m);
    else
        buf_add_str(b, "{}");
}

void obj_strv(struct buf *b, const char *name, char *const *v, size_t n)
{
    obj_key(b, name);
    buf_add_byte(b, '[');
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_add_byte(b, ',');
        js_str(b, v[i]);
    }
    buf_add_byte(b, ']');
}

void obj_open(struct buf *b, const char *name)
{
    obj_key(b, name);
    buf_add_byte(b, '{');
}

void obj_close(struct buf *b)
{
    buf_add_byte(b, '}');
}

void obj_element(struct buf *b, bool first)
{
    buf_add_str(b, first ? "{" : ",{");
}
