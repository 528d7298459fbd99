#include "server/patches.h"

#include <errno.h>

void patches_done(struct patches *p)
{
    buf_done(&p->values);
    p->n = 0;
}

/* the value of key was appended to values behind at */
static void add(struct patches *p, const char *key, size_t at)
{
    if (p->n == PATCHES_MAX) { /* a row was added above without raising the constant */
        p->values.failed = true;
        return;
    }
    p->v[p->n].key = key;
    p->v[p->n].at = at;
    p->v[p->n].n = p->values.len - at;
    p->n++;
}

void patches_u64(struct patches *p, const char *key, uint64_t value)
{
    size_t at = p->values.len;

    mp_u64(&p->values, value);
    add(p, key, at);
}

void patches_i64(struct patches *p, const char *key, int64_t value)
{
    size_t at = p->values.len;

    mp_i64(&p->values, value);
    add(p, key, at);
}

void patches_str(struct patches *p, const char *key, const char *value)
{
    size_t at = p->values.len;

    mp_str(&p->values, value);
    add(p, key, at);
}

void patches_desc(struct patches *p, const char *key, const struct desc *d, const void *obj)
{
    size_t at = p->values.len;

    mp_encode(&p->values, d, obj);
    add(p, key, at);
}

void patches_raw(struct patches *p, const char *key, const void *value, size_t n)
{
    size_t at = p->values.len;

    if (value)
        buf_add(&p->values, value, n);
    add(p, key, at);
}

void patches_copy(struct patches *p, const char *key, const struct node_item *from)
{
    const uint8_t *value = NULL;
    size_t n = 0;

    if (mp_map_find(from->packed, from->packed_len, key, &value, &n) < 0)
        value = NULL;
    patches_raw(p, key, value, n);
}

int patches_apply(struct patches *p, const void *packed, size_t n, struct node_item **ret,
                  struct err *e)
{
    _cleanup_buf_ struct buf out = BUF_INIT(NODE_PACKED_MAX);
    struct mp_patch v[PATCHES_MAX];
    int r;

    for (size_t i = 0; i < p->n; i++)
        v[i] = (struct mp_patch){
            .key = p->v[i].key,
            .value = p->v[i].n ? p->values.p + p->v[i].at : NULL,
            .n = p->v[i].n,
        };
    r = buf_ok(&p->values);
    if (r == 0)
        r = mp_map_patch(packed, n, v, p->n, &out);
    if (r == 0)
        r = buf_ok(&out);
    if (r == -EMSGSIZE)
        return err_set(e, r, "node is larger than %zu bytes", (size_t)NODE_PACKED_MAX);
    if (r < 0)
        return err_errno(e, r, "node cannot be changed");
    return node_item_new(out.p, out.len, ret, e);
}
