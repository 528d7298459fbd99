#include "wire/rpc_wire.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"

/* --- headers --- */

enum header_field { F_NONE, F_SEQ, F_METHOD, F_ERROR };

static enum header_field field_of(const struct mp_token *key)
{
    static const struct {
        const char *name;
        enum header_field field;
    } names[] = {
        {"Error",         F_ERROR },
        {"Seq",           F_SEQ   },
        {"ServiceMethod", F_METHOD},
    };

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (key->n == strlen(names[i].name) && memcmp(key->p, names[i].name, key->n) == 0)
            return names[i].field;
    return F_NONE;
}

static int read_text(struct mp_in *in, const uint8_t **ret, size_t *ret_len)
{
    struct mp_token t;
    int r = mp_next(in, &t);

    if (r < 0)
        return r;
    if (t.type != MP_STR && t.type != MP_NIL)
        return -EBADMSG;
    *ret = t.type == MP_STR ? t.p : NULL;
    *ret_len = t.type == MP_STR ? t.n : 0;
    return 0;
}

static int read_field(struct mp_in *in, enum header_field field, struct rpc_header *h)
{
    struct mp_token t;
    int r;

    switch (field) {
    case F_METHOD:
        return read_text(in, &h->method, &h->method_len);
    case F_ERROR:
        return read_text(in, &h->error, &h->error_len);
    case F_SEQ:
        r = mp_next(in, &t);
        if (r < 0)
            return r;
        if (t.type == MP_NIL)
            return 0;
        if (t.type != MP_INT || (t.i < 0 && !t.is_unsigned))
            return -EBADMSG;
        h->seq = t.is_unsigned ? t.u : (uint64_t)t.i;
        return 0;
    default:
        return mp_skip(in);
    }
}

/* order: the fields of the array form */
static int read_header(const uint8_t *p, size_t n, const enum header_field *order, size_t n_order,
                       struct rpc_header *ret)
{
    struct rpc_header h = {0};
    struct mp_in in = mp_in(p, n);
    struct mp_token top, key;
    int r;

    r = mp_next(&in, &top);
    if (r == 0 && top.type != MP_MAP && top.type != MP_ARRAY)
        r = -EBADMSG;
    for (size_t i = 0; r == 0 && i < top.n; i++) {
        enum header_field field = i < n_order ? order[i] : F_NONE;

        if (top.type == MP_MAP) {
            r = mp_next(&in, &key);
            if (r < 0)
                break;
            if (key.type != MP_STR)
                return -EBADMSG;
            field = field_of(&key);
        }
        r = read_field(&in, field, &h);
    }
    if (r < 0 || in.p != in.end)
        return -EBADMSG;
    *ret = h;
    return 0;
}

int rpc_request_header_read(const uint8_t *p, size_t n, struct rpc_header *ret)
{
    static const enum header_field order[] = {F_METHOD, F_SEQ};

    return read_header(p, n, order, ARRAY_LEN(order), ret);
}

int rpc_reply_header_read(const uint8_t *p, size_t n, struct rpc_header *ret)
{
    static const enum header_field order[] = {F_METHOD, F_SEQ, F_ERROR};

    return read_header(p, n, order, ARRAY_LEN(order), ret);
}

void rpc_request_header_write(struct buf *b, uint64_t seq, const char *method)
{
    mp_map(b, 2);
    mp_str(b, "Seq");
    mp_u64(b, seq);
    mp_str(b, "ServiceMethod");
    mp_str(b, method);
}

void rpc_reply_header_write(struct buf *b, const char *error, uint64_t seq, const char *method)
{
    mp_map(b, 3);
    mp_str(b, "Error");
    mp_str(b, error);
    mp_str(b, "Seq");
    mp_u64(b, seq);
    mp_str(b, "ServiceMethod");
    mp_str(b, method);
}

int rpc_stream_header_read(const uint8_t *p, size_t n, char **ret_method)
{
    const uint8_t *value;
    struct mp_token t;
    struct mp_in in;
    size_t len;
    int r;

    r = mp_map_find(p, n, "Method", &value, &len);
    if (r < 0)
        return -EBADMSG;
    in = mp_in(value, len);
    r = mp_next(&in, &t);
    if (r < 0 || t.type != MP_STR)
        return -EBADMSG;
    *ret_method = xstrndup((const char *)t.p, t.n);
    return 0;
}

/* as Go's %q prints names: what is not plain ASCII is escaped */
static void add_quoted(struct buf *b, const char *s)
{
    buf_add_byte(b, '"');
    for (; *s; s++) {
        uint8_t c = (uint8_t)*s;

        if (c == '"' || c == '\\')
            buf_printf(b, "\\%c", c);
        else if (c < 0x20 || c >= 0x7f)
            buf_printf(b, "\\x%02x", c);
        else
            buf_add_byte(b, c);
    }
    buf_add_byte(b, '"');
}

void rpc_unknown_stream_text(struct buf *b, const char *method)
{
    buf_add_str(b, "Unknown rpc method: ");
    add_quoted(b, method);
}

/* --- cutting --- */

void rpc_inbox_init(struct rpc_inbox *b)
{
    *b = (struct rpc_inbox){.in = BUF_INIT(RPC_HEADER_MAX + RPC_BODY_MAX + 2 * YAMUX_WINDOW)};
}

void rpc_inbox_done(struct rpc_inbox *b)
{
    buf_done(&b->in);
    b->frame = mem_free(b->frame);
    b->header_len = 0;
}

bool rpc_inbox_add(struct rpc_inbox *b, const uint8_t *p, size_t n)
{
    buf_add(&b->in, p, n);
    return !b->in.failed;
}

/* one object at an offset; its state is kept only while it is not whole */
int rpc_inbox_object_at(struct rpc_inbox *b, size_t at, size_t max, size_t *ret_len)
{
    struct mp_frame local = {0}, *f = b->frame ? b->frame : &local;
    int r;

    if (at >= b->in.len)
        return -EAGAIN;
    r = mp_frame(f, b->in.p + at, b->in.len - at, max, ret_len);
    if (r == -EAGAIN && !b->frame) {
        b->frame = xnew0(struct mp_frame);
        *b->frame = local;
    } else if (r != -EAGAIN) {
        b->frame = mem_free(b->frame);
    }
    return r;
}

int rpc_inbox_object(struct rpc_inbox *b, size_t *ret_len)
{
    return rpc_inbox_object_at(b, 0, RPC_HEADER_MAX, ret_len);
}

int rpc_inbox_message(struct rpc_inbox *b, size_t *ret_body)
{
    int r;

    if (b->header_len == 0) {
        r = rpc_inbox_object(b, &b->header_len);
        if (r < 0) {
            b->header_len = 0;
            return r;
        }
    }
    return rpc_inbox_object_at(b, b->header_len, RPC_BODY_MAX, ret_body);
}

uint8_t *rpc_inbox_take(struct rpc_inbox *b, size_t n)
{
    uint8_t *p;

    b->header_len = 0;
    if (n == b->in.len)
        return buf_take(&b->in, NULL);
    p = try_alloc(n);
    if (!p)
        return NULL;
    memcpy(p, b->in.p, n);
    buf_drop(&b->in, n);
    return p;
}
