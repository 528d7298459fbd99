/* codec/mp_write.c - msgpack out, in the forms that Nomad's codec writes (fact: rpc-wire 5.1). */
#include <string.h>

#include "base/str.h"
#include "codec/mp.h"
#include "codec/ops.h"

void mp_nil(struct buf *b)
{
    buf_add_byte(b, 0xc0);
}

void mp_bool(struct buf *b, bool v)
{
    buf_add_byte(b, v ? 0xc3 : 0xc2);
}

/* a type byte and size bytes of a number, big endian */
static void put(struct buf *b, uint8_t type, uint64_t v, size_t size)
{
    uint8_t out[9] = {type};

    for (size_t i = 0; i < size; i++)
        out[size - i] = (uint8_t)(v >> (8 * i));
    buf_add(b, out, size + 1);
}

/* int forms also for positive numbers: 128 is d1 0080 */
void mp_i64(struct buf *b, int64_t v)
{
    if (v >= -32 && v <= 127)
        buf_add_byte(b, (uint8_t)v);
    else if (v >= INT8_MIN && v <= INT8_MAX)
        put(b, 0xd0, (uint64_t)v, 1);
    else if (v >= INT16_MIN && v <= INT16_MAX)
        put(b, 0xd1, (uint64_t)v, 2);
    else if (v >= INT32_MIN && v <= INT32_MAX)
        put(b, 0xd2, (uint64_t)v, 4);
    else
        put(b, 0xd3, (uint64_t)v, 8);
}

void mp_u64(struct buf *b, uint64_t v)
{
    if (v <= 127)
        buf_add_byte(b, (uint8_t)v);
    else if (v <= UINT8_MAX)
        put(b, 0xcc, v, 1);
    else if (v <= UINT16_MAX)
        put(b, 0xcd, v, 2);
    else if (v <= UINT32_MAX)
        put(b, 0xce, v, 4);
    else
        put(b, 0xcf, v, 8);
}

void mp_f64(struct buf *b, double v)
{
    uint64_t bits;

    memcpy(&bits, &v, sizeof(bits));
    put(b, 0xcb, bits, 8);
}

/* the old raw family: fixstr, str16, str32; no str8, no bin */
void mp_raw(struct buf *b, const void *p, size_t n)
{
    if (n <= 31)
        buf_add_byte(b, (uint8_t)(0xa0 | n));
    else if (n <= UINT16_MAX)
        put(b, 0xda, n, 2);
    else
        put(b, 0xdb, n, 4);
    buf_add(b, p, n);
}

void mp_str(struct buf *b, const char *s)
{
    s = str_or_empty(s);
    mp_raw(b, s, strlen(s));
}

/* Go's time.Time.MarshalBinary: version 1, seconds since year 1, nanoseconds, zone in minutes
 * (-1 = UTC) */
void mp_time(struct buf *b, struct gotime t)
{
    uint16_t zone = t.offset_min ? (uint16_t)t.offset_min : UINT16_MAX;

    if (gotime_is_zero(t))
        zone = UINT16_MAX;
    buf_add_byte(b, 0xa0 | 15);
    buf_add_byte(b, 1);
    buf_add_be64(b, (uint64_t)t.sec);
    buf_add_be32(b, t.nsec);
    buf_add_be16(b, zone);
}

void mp_map(struct buf *b, size_t n)
{
    if (n <= 15)
        buf_add_byte(b, (uint8_t)(0x80 | n));
    else if (n <= UINT16_MAX)
        put(b, 0xde, n, 2);
    else
        put(b, 0xdf, n, 4);
}

void mp_array(struct buf *b, size_t n)
{
    if (n <= 15)
        buf_add_byte(b, (uint8_t)(0x90 | n));
    else if (n <= UINT16_MAX)
        put(b, 0xdc, n, 2);
    else
        put(b, 0xdd, n, 4);
}

/* ---- described structs ---- */

static const void *load_ptr(const void *at)
{
    const void *p;

    memcpy(&p, at, sizeof(p));
    return p;
}

static void put_bytes(struct buf *b, const struct bytes *v)
{
    if (v->p)
        mp_raw(b, v->p, v->n);
    else
        mp_nil(b);
}

static void put_raw(struct buf *b, const struct bytes *v)
{
    if (v->p)
        buf_add(b, v->p, v->n);
    else
        mp_nil(b);
}

static void put_map(struct buf *b, const struct strmap *m)
{
    mp_map(b, m->n);
    for (size_t i = 0; i < m->n; i++) {
        mp_str(b, m->items[i].key);
        mp_str(b, m->items[i].value);
    }
}

static void put_i64map(struct buf *b, const struct i64map *m)
{
    mp_map(b, m->n);
    for (size_t i = 0; i < m->n; i++) {
        mp_str(b, m->items[i].key);
        mp_i64(b, m->items[i].value);
    }
}

static void put_optmap(struct buf *b, const struct optmap *m)
{
    mp_map(b, m->n);
    for (size_t i = 0; i < m->n; i++) {
        mp_str(b, m->items[i].key);
        if (m->items[i].value)
            mp_str(b, m->items[i].value);
        else
            mp_nil(b);
    }
}

static void put_row(struct buf *b, const struct int_row *row)
{
    if (!row->v) {
        mp_nil(b);
        return;
    }
    mp_array(b, row->n);
    for (size_t i = 0; i < row->n; i++)
        mp_i64(b, row->v[i]);
}

static void put_array(struct buf *b, const struct field *f, const void *obj)
{
    const void *items = load_ptr(field_at(f, obj));
    size_t n = field_count(f, obj);

    if (!items) {
        mp_nil(b);
        return;
    }
    if (f->type == FT_MAPVEC)
        mp_map(b, n);
    else
        mp_array(b, n);
    for (size_t i = 0; i < n; i++) {
        const char *item;

        switch (f->type) {
        case FT_STRVEC:
            mp_str(b, ((char *const *)items)[i]);
            continue;
        case FT_U16VEC:
            mp_u64(b, ((const uint16_t *)items)[i]);
            continue;
        case FT_MATRIX:
            put_row(b, (const struct int_row *)items + i);
            continue;
        default:
            item = (const char *)items + i * f->sub->size;
            if (f->type == FT_MAPVEC)
                mp_str(b, load_ptr(item));
            mp_encode(b, f->sub, item);
        }
    }
}

/* what stands behind a pointer that is not NULL */
static void put_opt(struct buf *b, const struct field *f, const void *p)
{
    switch (f->type) {
    case FT_OPT_I64:
        mp_i64(b, *(const int64_t *)p);
        break;
    case FT_OPT_F64:
        mp_f64(b, *(const double *)p);
        break;
    case FT_OPT_BOOL:
        mp_bool(b, *(const bool *)p);
        break;
    case FT_OPT_STR:
        mp_str(b, p);
        break;
    default:
        mp_encode(b, f->sub, p);
    }
}

static void put_map_kind(struct buf *b, const struct field *f, const void *at)
{
    if (!load_ptr(at)) /* the items come first in all three */
        mp_nil(b);
    else if (f->type == FT_MAP)
        put_map(b, at);
    else if (f->type == FT_I64MAP)
        put_i64map(b, at);
    else
        put_optmap(b, at);
}

static void put_field(struct buf *b, const struct field *f, const void *obj)
{
    const void *at = field_at(f, obj);

    switch (f->type) {
    case FT_BOOL:
        mp_bool(b, *(const bool *)at);
        break;
    case FT_I64:
        mp_i64(b, *(const int64_t *)at);
        break;
    case FT_U64:
        mp_u64(b, *(const uint64_t *)at);
        break;
    case FT_F64:
        mp_f64(b, *(const double *)at);
        break;
    case FT_STR:
        mp_str(b, load_ptr(at));
        break;
    case FT_TIME:
        mp_time(b, *(const struct gotime *)at);
        break;
    case FT_BYTES:
    case FT_U8LIST:
        put_bytes(b, at);
        break;
    case FT_RAW:
        put_raw(b, at);
        break;
    case FT_MAP:
    case FT_I64MAP:
    case FT_OPT_MAP:
        put_map_kind(b, f, at);
        break;
    case FT_STRVEC:
    case FT_U16VEC:
    case FT_MATRIX:
    case FT_VEC:
    case FT_MAPVEC:
        put_array(b, f, obj);
        break;
    case FT_STRUCT:
        mp_encode(b, f->sub, at);
        break;
    case FT_OPT_I64:
    case FT_OPT_F64:
    case FT_OPT_BOOL:
    case FT_OPT_STR:
    case FT_PTR:
        if (load_ptr(at))
            put_opt(b, f, load_ptr(at));
        else
            mp_nil(b);
        break;
    case FT_EMBED: /* desc_rows() has flattened it */
    case FT_MAX:
        break;
    }
}

void mp_encode(struct buf *b, const struct desc *d, const void *obj)
{
    struct desc_row rows[DESC_ROWS_MAX];
    size_t n = desc_rows(d, obj, rows), kept = 0;

    for (size_t i = 0; i < n; i++) {
        if (rows[i].flags & (F_NO_MP | F_RECV))
            continue;
        if ((rows[i].flags & F_OMITEMPTY) && ops_field_empty(rows[i].f, rows[i].obj))
            continue;
        rows[kept++] = rows[i];
    }
    mp_map(b, kept);
    for (size_t i = 0; i < kept; i++) {
        mp_str(b, rows[i].f->name);
        put_field(b, rows[i].f, rows[i].obj);
    }
}
