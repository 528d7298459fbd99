/* tests/fuzz/fuzz_msgpack.c - msgpack from peers.
 *
 * The first byte chooses a descriptor of the method table, the rest is the message.  Beyond "does
 * not crash": the framer, the skipper and msgpack-c agree on what one object is (both stop at a
 * depth of 32); what decodes is written, read again and equal; patched maps stay whole.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <msgpack.h>

#include "codec/js.h"
#include "codec/mp.h"
#include "codec/ops.h"
#include "model/item.h"
#include "model/methods.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OUT_MAX = 8 << 20 };

static void check(bool ok, const char *what)
{
    if (ok)
        return;
    (void)fprintf(stderr, "fuzz_msgpack: %s\n", what);
    abort();
}

/* length of the first object for msgpack-c, or -1.  It is asked only about objects that we found
 * whole, so its counts cannot make it allocate for more than there is. */
static ssize_t oracle_length(const uint8_t *p, size_t n)
{
    msgpack_unpacked u;
    size_t off = 0;
    bool ok;

    msgpack_unpacked_init(&u);
    ok = msgpack_unpack_next(&u, (const char *)p, n, &off) == MSGPACK_UNPACK_SUCCESS;
    msgpack_unpacked_destroy(&u);
    return ok ? (ssize_t)off : -1;
}

static void check_framing(const uint8_t *p, size_t n)
{
    struct mp_in in = mp_in(p, n);
    struct mp_frame once = {0}, steps = {0};
    size_t len = 0, step_len = 0, half = n / 2;
    int skip = mp_skip(&in), whole = mp_frame(&once, p, n, OUT_MAX, &len), r;

    check((skip == 0) == (whole == 0), "skip and frame disagree");
    r = mp_frame(&steps, p, half, OUT_MAX, &step_len);
    if (r == -EAGAIN)
        r = mp_frame(&steps, p, n, OUT_MAX, &step_len);
    check(r == whole, "a frame in two steps is another one");
    if (skip < 0)
        return;
    check((size_t)(in.p - p) == len && step_len == len, "lengths differ");
    check(oracle_length(p, n) == (ssize_t)len, "msgpack-c sees another object");
}

static void check_json(const struct desc *d, const void *obj)
{
    struct buf b = BUF_INIT(OUT_MAX), pretty = BUF_INIT(OUT_MAX);
    const char *at;
    size_t len;

    js_encode(&b, d, obj, JS_SECRETS);
    if (buf_ok(&b) == 0) {
        struct err e = {0};

        if (js_scan(buf_str(&b), b.len, &at, &len, &e) < 0)
            check(strcmp(e.text, "exceeded max depth") == 0, "JSON that is none");
        else
            check(len == b.len, "JSON ends early");
        js_pretty(&pretty, buf_str(&b), b.len);
    }
    buf_done(&b);
    buf_done(&pretty);
}

/* the short way to JSON writes what the long one does, and takes nothing that the decoder refuses
 */
static void check_short_way(const struct desc *d, const uint8_t *p, size_t n, const void *obj,
                            int decoded)
{
    struct buf b = BUF_INIT(OUT_MAX), want = BUF_INIT(OUT_MAX);

    if (js_from_packed(&b, d, p, n, 0) == 0) {
        check(decoded != -EBADMSG, "JSON of what the decoder refuses");
        if (decoded == 0) {
            js_encode(&want, d, obj, 0);
            check(b.len == want.len && memcmp(b.p, want.p, b.len) == 0, "another JSON");
        }
    }
    buf_done(&b);
    buf_done(&want);
}

static void check_struct(const struct desc *d, const uint8_t *p, size_t n)
{
    void *a = xcalloc(1, d->size), *b = xcalloc(1, d->size), *c = xcalloc(1, d->size);
    struct buf out = BUF_INIT(OUT_MAX), again = BUF_INIT(OUT_MAX);
    struct err e = {0};
    int r = mp_decode(d, p, n, a, &e);

    check((r < 0) == (e.text[0] != 0), "an error without words");
    check_short_way(d, p, n, a, r);
    if (r == 0) {
        ops_copy(d, c, a);
        check(ops_equal(d, a, c), "a copy differs");
        mp_encode(&out, d, a);
        if (buf_ok(&out) == 0) {
            check(oracle_length(out.p, out.len) == (ssize_t)out.len, "msgpack-c cannot read ours");
            check(mp_decode(d, out.p, out.len, b, &e) == 0, "we cannot read our own");
            mp_encode(&again, d, b);
            check(again.len == out.len && memcmp(again.p, out.p, out.len) == 0,
                  "written again it differs");
        }
        check_json(d, a);
    }
    ops_clear(d, a);
    ops_clear(d, b);
    ops_clear(d, c);
    free(a);
    free(b);
    free(c);
    buf_done(&out);
    buf_done(&again);
}

static void check_packed(const uint8_t *p, size_t n)
{
    static const struct mp_patch patches[] = {
        {"Status",
         "\xa4"
         "down",         5},
        {"Name",   NULL, 0}
    };
    struct node_item *it = NULL;
    struct buf out = BUF_INIT(OUT_MAX);
    const uint8_t *value;
    size_t len;
    int r;

    if (mp_map_patch(p, n, patches, 2, &out) == 0) {
        check(mp_map_find(out.p, out.len, "Status", &value, &len) == 0 && len == 5,
              "patch is lost");
        check(mp_map_find(out.p, out.len, "Name", &value, &len) == -ENOENT, "key is still there");
    }
    buf_reset(&out);
    r = js_from_mp(&out, p, n);
    check(r == 0 || r == -EBADMSG || r == -EMSGSIZE, "what kind of answer is this");
    if (node_item_new(p, n, &it, NULL) == 0) {
        struct node *node = NULL;

        check(node_item_decode(it, &node, NULL) == 0, "an item that does not decode");
        node_canonicalize(node);
        free(node_computed_class(node));
        check(node_validate_registration(node, NULL) <= 0, "neither yes nor no");
        node = node_free(node);
    }
    (void)node_item_unref(it);
    buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct method *m;

    if (size == 0)
        return 0;
    m = &methods[data[0] % M_MAX];
    data++;
    size--;
    check_framing(data, size);
    check_struct(m->request, data, size);
    if (m->reply)
        check_struct(m->reply, data, size);
    check_struct(&desc_node, data, size);
    check_packed(data, size);
    return 0;
}
