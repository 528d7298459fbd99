#include "server/patches.h"

#include <errno.h>
#include <string.h>

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

void patches_raw(struct patches *p, const char *key, const void *value, size_t n)
{
    size_t at = p->values.len;

    if (value)
        buf_add(&p->values, value, n);
    add(p, key, at);
}

/* One walk for all keys: each search of its own would read the whole map.  Of doubles the last one
 * counts, as everywhere. */
void patches_copy(struct patches *p, const char *const *keys, size_t n,
                  const struct node_item *from)
{
    const uint8_t *values[PATCHES_MAX] = {NULL}, *at;
    size_t lengths[PATCHES_MAX] = {0};
    struct mp_in in = mp_in(from->packed, from->packed_len);
    struct mp_token t;
    size_t left = mp_next(&in, &t) == 0 && t.type == MP_MAP ? t.n : 0;

    n = MIN(n, (size_t)PATCHES_MAX);
    for (; left > 0; left--) {
        if (mp_next(&in, &t) < 0 || t.type != MP_STR)
            break;
        at = in.p;
        if (mp_skip(&in) < 0)
            break;
        for (size_t i = 0; i < n; i++) {
            if (strlen(keys[i]) == t.n && memcmp(keys[i], t.p, t.n) == 0) {
                values[i] = at;
                lengths[i] = (size_t)(in.p - at);
            }
        }
    }
    for (size_t i = 0; i < n; i++)
        patches_raw(p, keys[i], values[i], lengths[i]);
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
