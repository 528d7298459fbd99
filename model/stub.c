#include "model/stub.h"

#include <errno.h>
#include <string.h>

#include "codec/js.h"
#include "codec/ops.h"

enum part {
    PART_ATTRIBUTES, /* the source of Version and os.name */
    PART_HTTP_ADDR,  /* the source of Address */
    /* from here on: the same name and form in the stub */
    PART_DATACENTER,
    PART_DRIVERS,
    PART_HOST_VOLUMES,
    PART_ID,
    PART_LAST_DRAIN,
    PART_NAME,
    PART_NODE_CLASS,
    PART_NODE_POOL,
    PART_NODE_RESOURCES,
    PART_RESERVED_RESOURCES,
    PART_SCHEDULING_ELIGIBILITY,
    PART_STATUS_DESCRIPTION,
    PART_MAX,
};

static const char *const part_names[PART_MAX] = {
    [PART_ATTRIBUTES] = "Attributes",
    [PART_HTTP_ADDR] = "HTTPAddr",
    [PART_DATACENTER] = "Datacenter",
    [PART_DRIVERS] = "Drivers",
    [PART_HOST_VOLUMES] = "HostVolumes",
    [PART_ID] = "ID",
    [PART_LAST_DRAIN] = "LastDrain",
    [PART_NAME] = "Name",
    [PART_NODE_CLASS] = "NodeClass",
    [PART_NODE_POOL] = "NodePool",
    [PART_NODE_RESOURCES] = "NodeResources",
    [PART_RESERVED_RESOURCES] = "ReservedResources",
    [PART_SCHEDULING_ELIGIBILITY] = "SchedulingEligibility",
    [PART_STATUS_DESCRIPTION] = "StatusDescription",
};

struct part_value {
    const uint8_t *p; /* NULL: the node has none */
    size_t n;
};

static int find_part(const struct mp_token *key)
{
    for (int i = 0; i < PART_MAX; i++)
        if (strlen(part_names[i]) == key->n && memcmp(part_names[i], key->p, key->n) == 0)
            return i;
    return -1;
}

/* one walk over the top-level keys */
static int collect(const struct node_item *it, struct part_value v[PART_MAX])
{
    struct mp_in in = mp_in(it->packed, it->packed_len);
    struct mp_token t;
    int r;

    r = mp_next(&in, &t);
    if (r < 0 || t.type != MP_MAP)
        return -EBADMSG;
    for (size_t left = t.n; left > 0; left--) {
        const uint8_t *from;
        int part;

        r = mp_next(&in, &t);
        if (r < 0 || t.type != MP_STR)
            return -EBADMSG;
        part = find_part(&t);
        from = in.p;
        r = mp_skip(&in);
        if (r < 0)
            return r;
        if (part >= 0)
            v[part] = (struct part_value){from, (size_t)(in.p - from)};
    }
    return 0;
}

/* the string that stands under key in a packed map of strings; n == 0 when there is none */
static struct mp_token attribute(const struct part_value *v, const char *key)
{
    struct mp_token t = {.type = MP_STR};
    const uint8_t *p;
    struct mp_in in;
    size_t n;

    if (!v->p || mp_map_find(v->p, v->n, key, &p, &n) < 0)
        return t;
    in = mp_in(p, n);
    if (mp_next(&in, &t) < 0 || t.type != MP_STR)
        t = (struct mp_token){.type = MP_STR};
    return t;
}

static void put_str(struct buf *out, const char *key, const char *value)
{
    mp_str(out, key);
    mp_str(out, value);
}

/* what stands in front of the last colon of HTTPAddr, without brackets */
static void put_address(struct buf *out, const struct part_value *v)
{
    struct mp_in in = mp_in(v->p, v->p ? v->n : 0);
    const char *host, *colon;
    struct mp_token t;
    size_t n;

    mp_str(out, "Address");
    if (!v->p || mp_next(&in, &t) < 0 || t.type != MP_STR) {
        mp_str(out, "");
        return;
    }
    host = (const char *)t.p;
    colon = t.n ? memrchr(host, ':', t.n) : NULL;
    n = colon ? (size_t)(colon - host) : 0;
    if (n >= 2 && host[0] == '[' && host[n - 1] == ']') {
        host++;
        n -= 2;
    }
    mp_raw(out, host, n);
}

static void put_os(struct buf *out, const struct part_value *attributes, bool os)
{
    struct mp_token name = attribute(attributes, "os.name");

    mp_str(out, "Attributes");
    if (!os) {
        mp_nil(out);
        return;
    }
    mp_map(out, 1);
    mp_str(out, "os.name");
    mp_raw(out, name.p, name.n);
}

int stub_pack(const struct node_item *it, bool resources, bool os, struct buf *out)
{
    struct part_value v[PART_MAX] = {{0}};
    struct mp_token version;
    int r = collect(it, v);

    if (r < 0)
        return r;
    if (!resources)
        v[PART_NODE_RESOURCES].p = v[PART_RESERVED_RESOURCES].p = NULL;
    version = attribute(&v[PART_ATTRIBUTES], "nomad.version");
    mp_map(out, 7 + (PART_MAX - PART_DATACENTER));
    put_address(out, &v[PART_HTTP_ADDR]);
    put_os(out, &v[PART_ATTRIBUTES], os);
    mp_str(out, "CreateIndex");
    mp_u64(out, it->create_index);
    for (int i = PART_DATACENTER; i < PART_MAX; i++) {
        mp_str(out, part_names[i]);
        if (v[i].p)
            buf_add(out, v[i].p, v[i].n);
        else
            mp_nil(out);
    }
    mp_str(out, "Drain");
    mp_bool(out, it->draining);
    mp_str(out, "ModifyIndex");
    mp_u64(out, it->modify_index);
    put_str(out, "Status", node_status_name((enum node_status)it->status));
    mp_str(out, "Version");
    mp_raw(out, version.p, version.n);
    return buf_ok(out);
}

/* an item that is a stub */
static int put_own(struct buf *b, const struct node_item *it, struct err *e)
{
    struct node_stub stub = {0};
    size_t len = b->len;
    int r;

    if (js_from_packed(b, &desc_node_stub, it->packed, it->packed_len, 0) == 0 || buf_ok(b) < 0)
        return 0;
    b->len = len; /* an odd form: by way of the struct */
    r = mp_decode(&desc_node_stub, it->packed, it->packed_len, &stub, e);
    if (r == 0)
        js_encode(b, &desc_node_stub, &stub, 0);
    ops_clear(&desc_node_stub, &stub);
    return r;
}

/* by way of the structs */
static int put_decoded(struct buf *b, const struct node_item *it, bool resources, bool os,
                       struct err *e)
{
    _cleanup_(node_freep) struct node *node = NULL;
    struct node_stub stub = {0};
    int r;

    r = node_item_decode(it, &node, e);
    if (r < 0)
        return r;
    node_make_stub(node, resources, os, &stub);
    js_encode(b, &desc_node_stub, &stub, 0);
    ops_clear(&desc_node_stub, &stub);
    return 0;
}

int stub_json(const struct node_item *it, bool resources, bool os, struct buf *b, struct err *e)
{
    _cleanup_buf_ struct buf packed = BUF_INIT(2 * NODE_PACKED_MAX);
    size_t len = b->len;

    if (it->is_stub)
        return put_own(b, it, e);
    if (stub_pack(it, resources, os, &packed) == 0 &&
        js_from_packed(b, &desc_node_stub, packed.p, packed.len, 0) == 0)
        return 0;
    if (buf_ok(b) < 0)
        return 0;
    b->len = len;
    return put_decoded(b, it, resources, os, e);
}
