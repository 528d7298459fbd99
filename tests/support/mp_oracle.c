#include "tests/support/mp_oracle.h"

#include <msgpack.h>
#include <string.h>

#include "base/buf.h"

struct cmp {
    struct buf path;
    struct buf added;
    bool more; /* b may have more keys */
};

static bool is_text(const msgpack_object *o)
{
    return o->type == MSGPACK_OBJECT_STR || o->type == MSGPACK_OBJECT_BIN;
}

static const char *text_of(const msgpack_object *o, size_t *n)
{
    *n = o->type == MSGPACK_OBJECT_STR ? o->via.str.size : o->via.bin.size;
    return o->type == MSGPACK_OBJECT_STR ? o->via.str.ptr : o->via.bin.ptr;
}

static bool text_equal(const msgpack_object *a, const msgpack_object *b)
{
    size_t n, m;
    const char *p = text_of(a, &n), *q = text_of(b, &m);

    return n == m && (n == 0 || memcmp(p, q, n) == 0);
}

static const msgpack_object *find(const msgpack_object_map *m, const msgpack_object *key)
{
    for (uint32_t i = 0; i < m->size; i++) {
        const msgpack_object *k = &m->ptr[i].key;

        if (is_text(k) && is_text(key) ? text_equal(k, key) : msgpack_object_equal(*k, *key))
            return &m->ptr[i].val;
    }
    return NULL;
}

static void step(struct cmp *c, const msgpack_object *key)
{
    size_t n;
    const char *p;

    buf_add_byte(&c->path, '.');
    if (is_text(key)) {
        p = text_of(key, &n);
        buf_add(&c->path, p, n);
    } else {
        buf_add_str(&c->path, "?");
    }
}

static void cut(struct cmp *c, size_t len)
{
    c->path.len = len;
    if (c->path.p)
        c->path.p[len] = 0;
}

static bool same(struct cmp *c, const msgpack_object *a, const msgpack_object *b);

static bool same_map(struct cmp *c, const msgpack_object_map *a, const msgpack_object_map *b)
{
    size_t len = c->path.len;

    for (uint32_t i = 0; i < a->size; i++) {
        const msgpack_object *other = find(b, &a->ptr[i].key);

        step(c, &a->ptr[i].key);
        if (!other || !same(c, &a->ptr[i].val, other))
            return false;
        cut(c, len);
    }
    for (uint32_t i = 0; i < b->size; i++) {
        if (find(a, &b->ptr[i].key))
            continue;
        step(c, &b->ptr[i].key);
        if (!c->more)
            return false;
        buf_add(&c->added, c->path.p, c->path.len);
        buf_add_byte(&c->added, '\n');
        cut(c, len);
    }
    return true;
}

static bool same_array(struct cmp *c, const msgpack_object_array *a, const msgpack_object_array *b)
{
    size_t len = c->path.len;

    if (a->size != b->size)
        return false;
    for (uint32_t i = 0; i < a->size; i++) {
        buf_printf(&c->path, "[]");
        if (!same(c, &a->ptr[i], &b->ptr[i]))
            return false;
        cut(c, len);
    }
    return true;
}

static bool same(struct cmp *c, const msgpack_object *a, const msgpack_object *b)
{
    if (is_text(a) && is_text(b))
        return text_equal(a, b);
    if (a->type != b->type)
        return false;
    if (a->type == MSGPACK_OBJECT_MAP)
        return same_map(c, &a->via.map, &b->via.map);
    if (a->type == MSGPACK_OBJECT_ARRAY)
        return same_array(c, &a->via.array, &b->via.array);
    return msgpack_object_equal(*a, *b);
}

static bool unpack(msgpack_unpacked *u, const void *p, size_t n)
{
    size_t off = 0;

    msgpack_unpacked_init(u);
    return msgpack_unpack_next(u, p, n, &off) == MSGPACK_UNPACK_SUCCESS && off == n;
}

bool mp_oracle_valid(const void *p, size_t n)
{
    msgpack_unpacked u;
    bool ok = unpack(&u, p, n);

    msgpack_unpacked_destroy(&u);
    return ok;
}

static bool compare(const void *a, size_t n_a, const void *b, size_t n_b, struct cmp *c)
{
    msgpack_unpacked x, y;
    bool ok_a = unpack(&x, a, n_a), ok_b = unpack(&y, b, n_b), equal;

    if (!ok_a || !ok_b)
        buf_printf(&c->path, "%s is not one object", ok_a ? "the second" : "the first");
    equal = ok_a && ok_b && same(c, &x.data, &y.data);
    msgpack_unpacked_destroy(&x);
    msgpack_unpacked_destroy(&y);
    return equal;
}

bool mp_oracle_equal(const void *a, size_t n_a, const void *b, size_t n_b, char **ret_why)
{
    struct cmp c = {.path = BUF_INIT(4096)};
    bool equal = compare(a, n_a, b, n_b, &c);

    *ret_why = (char *)buf_take(&c.path, NULL);
    return equal;
}

bool mp_oracle_covers(const void *a, size_t n_a, const void *b, size_t n_b, char **ret_why,
                      char **ret_added)
{
    struct cmp c = {.path = BUF_INIT(4096), .added = BUF_INIT(1 << 20), .more = true};
    bool equal = compare(a, n_a, b, n_b, &c);

    *ret_why = (char *)buf_take(&c.path, NULL);
    *ret_added = (char *)buf_take(&c.added, NULL);
    return equal;
}
