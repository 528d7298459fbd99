#include "tests/support/fuzz_body.h"

#include <string.h>

#include "codec/mp.h"
#include "codec/ops.h"
#include "tests/support/make_node.h"

enum { FILL_DEPTH = 6, SPOILT_MAX = 6, LONG_UNIT = 263 };

/* --- the input --- */

uint8_t fuzz_u8(struct fuzz_in *in)
{
    return in->p < in->end ? *in->p++ : 0;
}

uint16_t fuzz_u16(struct fuzz_in *in)
{
    uint8_t high = fuzz_u8(in);

    return (uint16_t)(high << 8 | fuzz_u8(in));
}

uint64_t fuzz_number(struct fuzz_in *in)
{
    static const uint64_t odd[] = {
        0,
        1,
        127,
        128,
        255,
        256,
        65535,
        65536,
        INT32_MAX,
        1U << 31,
        UINT32_MAX,
        UINT64_C(1) << 32,
        INT64_MAX,
        UINT64_C(1) << 63,
        UINT64_MAX,
        1000000,
        NSEC_PER_SEC,
        60 * NSEC_PER_SEC,
    };
    uint8_t how = fuzz_u8(in);

    return how < ARRAY_LEN(odd) ? odd[how] : how < 64 ? how : fuzz_u16(in);
}

/* --- filling structs --- */

static char *known_text(const char *name, const struct fuzz_body *o)
{
    char id[UUID_TEXT_LEN + 1];

    if (strcmp(name, "NodeID") == 0 || strcmp(name, "ID") == 0) {
        make_node_id(o->node, id);
        return xstrdup(id);
    }
    if (strcmp(name, "SecretID") == 0 || (strcmp(name, "AuthToken") == 0 && !o->no_token)) {
        make_node_secret(o->node, id);
        return xstrdup(id);
    }
    if (strcmp(name, "Region") == 0)
        return xstrdup("global");
    if (strcmp(name, "Datacenter") == 0)
        return xstrdup("dc1");
    if (strcmp(name, "Status") == 0)
        return xstrdup(o->status);
    if (strcmp(name, "Eligibility") == 0 || strcmp(name, "SchedulingEligibility") == 0)
        return xstrdup(NODE_INELIGIBLE);
    return o->full && strcmp(name, "AuthToken") != 0 ? xasprintf("x-%s", name) : NULL;
}

static void fill(const struct desc *d, void *obj, const struct fuzz_body *o, unsigned depth);

static void fill_items(const struct field *f, void *obj, const struct fuzz_body *o, unsigned depth)
{
    char **pp = field_at(f, obj);
    size_t *n = (size_t *)((char *)obj + f->off_n);

    if (f->type == FT_MAPVEC) {
        fill(f->sub, ops_keyed_add(f->sub, pp, n, "key-1"), o, depth);
        fill(f->sub, ops_keyed_add(f->sub, pp, n, "key-2"), o, depth);
        return;
    }
    *n = 2;
    *pp = xcalloc(*n, f->sub->size);
    fill(f->sub, *pp, o, depth);
    fill(f->sub, *pp + f->sub->size, o, depth);
}

/* the map of Node.EmitEvents */
static void fill_raw(const struct field *f, struct bytes *b, const struct fuzz_body *o)
{
    struct buf out = BUF_INIT(64 * KIB);
    char id[UUID_TEXT_LEN + 1];

    if (strcmp(f->name, "NodeEvents") == 0) {
        make_node_id(o->node, id);
        mp_map(&out, 1);
        mp_str(&out, id);
        mp_array(&out, 1);
        fuzz_body_pack(&desc_node_event,
                       &(struct fuzz_body){.full = true, .status = NODE_STATUS_READY}, &out);
    } else {
        mp_nil(&out);
    }
    b->p = buf_take(&out, &b->n);
}

static void fill_number(const struct field *f, void *at, const struct fuzz_body *o)
{
    if (strcmp(f->name, "MinQueryIndex") == 0)
        *(uint64_t *)at = o->index;
    else if (strcmp(f->name, "MaxQueryTime") == 0)
        *(uint64_t *)at = o->wait_ns;
    else if (o->full)
        *(uint64_t *)at = 7;
}

static void fill_more(const struct field *f, void *at, void *obj)
{
    switch (f->type) {
    case FT_BYTES:
    case FT_U8LIST:
        *(struct bytes *)at = (struct bytes){.p = xmemdup("\x01\x02", 2), .n = 2};
        break;
    case FT_STRVEC:
        *(char ***)at = xnew0_n(char *, 1);
        **(char ***)at = xstrdup("one");
        *(size_t *)((char *)obj + f->off_n) = 1;
        break;
    case FT_U16VEC:
        *(uint16_t **)at = xnew0_n(uint16_t, 3);
        *(size_t *)((char *)obj + f->off_n) = 3;
        break;
    case FT_OPT_I64:
        *(int64_t **)at = xnew0(int64_t);
        break;
    case FT_OPT_F64:
        *(double **)at = xnew0(double);
        break;
    case FT_OPT_BOOL:
        *(bool **)at = xnew0(bool);
        break;
    case FT_MAP:
        strmap_set(at, "key-1", "value");
        strmap_set(at, "key.2", "");
        break;
    case FT_OPT_MAP:
        ((struct optmap *)at)->items = xnew0_n(struct optpair, 1);
        ((struct optmap *)at)->items[0].key = xstrdup("key-1");
        ((struct optmap *)at)->n = 1;
        break;
    case FT_I64MAP:
        ((struct i64map *)at)->items = xnew0_n(struct i64pair, 1);
        ((struct i64map *)at)->items[0].key = xstrdup("key-1");
        ((struct i64map *)at)->n = 1;
        break;
    default:
        break;
    }
}

static void fill_field(const struct field *f, void *obj, const struct fuzz_body *o, unsigned depth)
{
    void *at = field_at(f, obj);
    bool more = o->full && depth < FILL_DEPTH;

    switch (f->type) {
    case FT_STR:
        *(char **)at = known_text(f->name, o);
        break;
    case FT_I64:
    case FT_U64:
        fill_number(f, at, o);
        break;
    case FT_TIME:
        if (o->full)
            *(struct gotime *)at = gotime_now();
        break;
    case FT_RAW:
        fill_raw(f, at, o);
        break;
    case FT_STRUCT:
    case FT_EMBED:
        fill(f->sub, at, o, depth + 1);
        break;
    case FT_PTR:
        if (f->sub == &desc_node && !more) {
            *(struct node **)at = make_node(o->node);
        } else if (more) {
            *(void **)at = xcalloc(1, f->sub->size);
            fill(f->sub, *(void **)at, o, depth + 1);
        }
        break;
    case FT_VEC:
    case FT_MAPVEC:
        if (more)
            fill_items(f, obj, o, depth + 1);
        break;
    default:
        if (more)
            fill_more(f, at, obj);
    }
}

static void fill(const struct desc *d, void *obj, const struct fuzz_body *o, unsigned depth)
{
    for (size_t i = 0; i < d->n_fields; i++)
        fill_field(&d->fields[i], obj, o, depth);
}

void fuzz_body_pack(const struct desc *d, const struct fuzz_body *o, struct buf *out)
{
    void *obj;

    if (!d) {
        mp_map(out, 0);
        return;
    }
    obj = xcalloc(1, d->size);
    fill(d, obj, o, 0);
    mp_encode(out, d, obj);
    ops_clear(d, obj);
    free(obj);
}

/* --- spoiling --- */

enum how {
    DROP,
    DOUBLE,
    TYPE,
    HUGE_COUNT,
    NEST,
    NOT_UTF8,
    NUMBER,
    OTHER_NODE,
    OTHER_SECRET,
    LONG,
    CUT,
    WORD,
    EMPTY,
    STRANGER,
    HOW_MAX,
};

struct spoil {
    struct {
        uint8_t which, how, param;
    } v[SPOILT_MAX];
    size_t n;
    unsigned at; /* values seen so far */
    size_t cut;  /* the object ends here; 0: it does not */
};

static void put_type(struct buf *out, uint8_t param)
{
    static const char *const kinds[] = {
        "\xc0",      "\xc3",      "\x05",         "\xff",
        "\xa1x",     "\x90",      "\x80",         "\xcb\x3f\xf0\0\0\0\0\0\0",
        "\xd4\x05z", "\xc4\x01q", "\x91\xc0",     "\x81\xa1k\xa1v",
        "\xd9\x01s", "\xc1",      "\x81\x01\x02",
    };
    static const uint8_t lengths[] = {1, 1, 1, 1, 2, 1, 1, 9, 3, 3, 2, 5, 3, 1, 3};

    param %= ARRAY_LEN(lengths);
    buf_add(out, kinds[param], lengths[param]);
}

static void put_huge(struct buf *out, uint8_t param)
{
    static const uint8_t tags[] = {0xdd, 0xdf, 0xdb, 0xc6, 0xc9, 0xdc, 0xde, 0xda};
    uint8_t tag = tags[param % ARRAY_LEN(tags)];

    buf_add_byte(out, tag);
    if (tag == 0xdc || tag == 0xde || tag == 0xda)
        buf_add_be16(out, 0xffff);
    else
        buf_add_be32(out, param & 0x80 ? UINT32_MAX : 0x00ffffffU);
}

static void put_number(struct buf *out, uint8_t param)
{
    static const int64_t signed_ones[] = {-1, INT64_MIN, INT32_MIN, -128, -32768};
    const uint8_t again[2] = {param >> 1, param};
    struct fuzz_in in = {again, again + sizeof(again)};

    if (param & 1)
        mp_i64(out, signed_ones[(param >> 1) % ARRAY_LEN(signed_ones)]);
    else
        mp_u64(out, fuzz_number(&in));
}

static void put_text(struct buf *out, enum how how, uint8_t param, bool is_secret)
{
    static const char *const words[] = {
        NODE_STATUS_READY,
        NODE_STATUS_INIT,
        NODE_STATUS_DOWN,
        NODE_STATUS_DISCONNECTED,
        NODE_ELIGIBLE,
        NODE_INELIGIBLE,
        "global",
        "other",
        "default",
        "*",
        "0",
        "Node.Register",
    };
    static const char *const bad[] = {
        "\xff\xfe", "\xc3", "a\xed\xa0\x80z", "\xf8\x88\x80\x80\x80", "\x1b[31m", "<b>\"'&"};
    char id[UUID_TEXT_LEN + 1];

    if (how == OTHER_SECRET && is_secret) {
        make_node_secret(param & 7, id);
        mp_str(out, id);
    } else if (how == OTHER_NODE || how == OTHER_SECRET) {
        make_node_id(param & 15, id);
        id[param & 0x80 ? 8 + (param >> 4) : UUID_TEXT_LEN] = 0;
        mp_str(out, id);
    } else if (how == LONG) {
        _cleanup_free_ char *text = xnew0_n(char, (size_t)param *LONG_UNIT + 1);

        memset(text, 'y', (size_t)param * LONG_UNIT);
        mp_str(out, text);
    } else {
        mp_str(out,
               how == NOT_UTF8 ? bad[param % ARRAY_LEN(bad)] : words[param % ARRAY_LEN(words)]);
    }
}

/* something else in a value's place */
static void put_other(struct buf *out, enum how how, uint8_t param, bool is_secret)
{
    switch (how) {
    case TYPE:
        put_type(out, param);
        break;
    case HUGE_COUNT:
        put_huge(out, param);
        break;
    case NEST:
        for (unsigned i = 0; i < param; i++)
            buf_add_byte(out, param & 1 ? 0x91 : 0x81);
        buf_add_byte(out, 0xc0);
        break;
    case NUMBER:
        put_number(out, param);
        break;
    case EMPTY:
        mp_str(out, "");
        break;
    default:
        put_text(out, how, param, is_secret);
    }
}

static bool is_secret_key(const struct mp_token *key)
{
    return key && ((key->n == 8 && memcmp(key->p, "SecretID", 8) == 0) ||
                   (key->n == 9 && memcmp(key->p, "AuthToken", 9) == 0));
}

static void put_count(struct buf *out, size_t at, bool is_map, size_t n)
{
    uint8_t head[3];
    size_t len = 1;

    if (n < 16) {
        head[0] = (uint8_t)((is_map ? 0x80 : 0x90) | n);
    } else {
        head[0] = is_map ? 0xde : 0xdc;
        head[1] = (uint8_t)(n >> 8);
        head[2] = (uint8_t)n;
        len = 3;
    }
    if (out->failed)
        return;
    memmove(out->p + at + len, out->p + at + 3, out->len - at - 3);
    memcpy(out->p + at, head, len);
    out->len -= 3 - len;
}

static size_t spoil_value(struct spoil *s, struct mp_in *in, struct buf *out,
                          const struct mp_token *key, const uint8_t *key_at);

static void spoil_content(struct spoil *s, struct mp_in *in, struct buf *out,
                          const struct mp_token *t)
{
    size_t at = out->len, n = 0;

    buf_add(out, "\0\0\0", 3);
    for (size_t i = 0; i < t->n; i++) {
        const uint8_t *key_at = in->p;
        struct mp_token key;

        if (t->type == MP_MAP && mp_next(in, &key) < 0)
            abort();
        n += spoil_value(s, in, out, t->type == MP_MAP ? &key : NULL, key_at);
    }
    put_count(out, at, t->type == MP_MAP, n);
}

/* with its key, if it has one; returns how many entries came of it */
static size_t spoil_value(struct spoil *s, struct mp_in *in, struct buf *out,
                          const struct mp_token *key, const uint8_t *key_at)
{
    const uint8_t *begin = in->p;
    enum how how = HOW_MAX;
    struct mp_token t;
    uint8_t param = 0;

    for (size_t i = 0; i < s->n; i++)
        if (s->v[i].which == (s->at & 0xff)) {
            how = s->v[i].how % HOW_MAX;
            param = s->v[i].param;
        }
    s->at++;
    if (how == CUT && s->cut == 0)
        s->cut = out->len + 1;
    if (how != HOW_MAX && how != CUT && mp_skip(in) < 0)
        abort();
    if (how == DROP)
        return 0;
    if (key)
        buf_add(out, key_at, (size_t)(begin - key_at));
    if (how == HOW_MAX || how == CUT) {
        if (mp_next(in, &t) < 0)
            abort();
        if (t.type == MP_MAP || t.type == MP_ARRAY)
            spoil_content(s, in, out, &t);
        else
            buf_add(out, begin, (size_t)(in->p - begin));
        return 1;
    }
    if (how == DOUBLE || how == STRANGER) {
        buf_add(out, begin, (size_t)(in->p - begin));
        if (key && how == DOUBLE)
            buf_add(out, key_at, (size_t)(begin - key_at));
        else if (key)
            mp_str(out, "Stranger");
        buf_add(out, begin, (size_t)(in->p - begin));
        return 2;
    }
    put_other(out, how, param, is_secret_key(key));
    return 1;
}

void fuzz_spoil(const uint8_t *p, size_t n, struct fuzz_in *in, struct buf *out)
{
    size_t start = out->len;
    struct mp_in from = mp_in(p, n);
    struct spoil s = {0};

    while (in->p < in->end && s.n < SPOILT_MAX) {
        s.v[s.n].which = fuzz_u8(in);
        s.v[s.n].how = fuzz_u8(in);
        s.v[s.n++].param = fuzz_u8(in);
    }
    if (s.n == 0) {
        buf_add(out, p, n);
        return;
    }
    s.at = 0;
    (void)spoil_value(&s, &from, out, NULL, p);
    if (s.cut > 0 && s.cut - 1 >= start && s.cut - 1 < out->len)
        out->len = s.cut - 1;
}
