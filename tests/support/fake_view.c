#include "tests/support/fake_view.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/str.h"
#include "codec/js.h"
#include "model/node.h"

struct fake_wait {
    struct list link;
    enum view_what what;
    char id[64];
    struct view_wait *wait;
};

static int fail(const struct fake_view *f, struct err *e)
{
    return err_set_status(e, -EIO, f->failure_status, "%s", f->failure);
}

static void fill_meta(const struct fake_view *f, uint64_t index, struct view_meta *m)
{
    *m = f->meta;
    m->index = index;
}

static void add_item(struct fake_view *f, size_t at, const struct node_item *take_it)
{
    f->v = xrealloc(f->v, f->n + 1, sizeof(void *));
    memmove(&f->v[at + 1], &f->v[at], (f->n - at) * sizeof(void *));
    f->v[at] = take_it;
    f->n++;
}

static int fake_nodes(void *impl, const char *prefix, struct node_list *ret, struct view_meta *m,
                      struct err *e)
{
    struct fake_view *f = impl;
    struct uuid key;
    size_t n = 0;
    int r;

    f->n_asked++;
    if (f->failure)
        return fail(f, e);
    r = uuid_index(prefix, true, &key, &n, e);
    if (r < 0)
        return r;
    for (size_t i = 0; i < f->n; i++)
        if (memcmp(f->v[i]->key.b, key.b, n) == 0)
            node_list_add(ret, node_item_ref(f->v[i]));
    fill_meta(f, f->index, m);
    return 0;
}

static const struct node_item *find(const struct fake_view *f, const char *id)
{
    for (size_t i = 0; i < f->n; i++)
        if (str_eq(f->v[i]->id, id))
            return f->v[i];
    return NULL;
}

static int fake_node(void *impl, const char *id, const struct node_item **ret, struct view_meta *m,
                     struct err *e)
{
    struct fake_view *f = impl;
    const struct node_item *it = find(f, id);

    f->n_asked++;
    if (f->failure)
        return fail(f, e);
    fill_meta(f, it ? it->modify_index : f->index, m);
    if (!it)
        return 1;
    *ret = node_item_ref(it);
    return 0;
}

static int fake_node_allocs(void *impl, const char *id, struct buf *ret, struct view_meta *m,
                            struct err *e)
{
    struct fake_view *f = impl;

    (void)id;
    f->n_asked++;
    if (f->failure)
        return fail(f, e);
    buf_add(ret, f->allocs.p, f->allocs.len);
    fill_meta(f, MAX(f->allocs_index, UINT64_C(1)), m);
    return 0;
}

static void fake_wait(void *impl, enum view_what what, const char *id, struct view_wait *w)
{
    struct fake_view *f = impl;
    struct fake_wait *fw = xnew0(struct fake_wait);

    fw->what = what;
    fw->wait = w;
    (void)snprintf(fw->id, sizeof(fw->id), "%s", id);
    w->impl = fw;
    list_append(&f->waits, &fw->link);
    f->n_waits++;
}

static void drop_wait(struct fake_view *f, struct fake_wait *fw)
{
    list_remove(&fw->link);
    f->n_waits--;
    free(fw);
}

static void fake_cancel(void *impl, struct view_wait *w)
{
    drop_wait(impl, w->impl);
}

/* id NULL: something about the table only */
static void fire(struct fake_view *f, const char *id)
{
    struct list due = LIST_INIT(due);

    list_for_each (fw, &f->waits, struct fake_wait, link) {
        if (fw->what == VIEW_NODES || (id && str_eq(fw->id, id))) {
            list_remove(&fw->link);
            list_append(&due, &fw->link);
        }
    }
    list_for_each (fw, &due, struct fake_wait, link) {
        struct view_wait *w = fw->wait;

        drop_wait(f, fw);
        w->fn(w->arg);
    }
}

static const char *fake_region(void *impl)
{
    return ((struct fake_view *)impl)->region;
}

static int fake_leader(void *impl, const char **ret, struct err *e)
{
    (void)e;
    *ret = ((struct fake_view *)impl)->leader;
    return 0;
}

static int fake_peers(void *impl, char ***ret, size_t *n, struct err *e)
{
    const char *leader = ((struct fake_view *)impl)->leader;

    (void)e;
    if (leader)
        strv_add(ret, n, leader);
    return 0;
}

static int fake_self(void *impl, struct buf *ret, struct err *e)
{
    (void)impl;
    (void)e;
    buf_add_str(ret, "{\"config\":{},\"stats\":{}}");
    return 0;
}

static int fake_members(void *impl, struct buf *ret, struct err *e)
{
    struct fake_view *f = impl;

    if (f->failure)
        return fail(f, e);
    buf_add_str(ret, "{\"Members\":[]}");
    return 0;
}

static int fake_health(void *impl, const char *type, struct buf *ret)
{
    struct fake_view *f = impl;

    f->health_type = type;
    buf_add_str(ret, f->health_body);
    return f->health_status;
}

static int fake_fingerprint(void *impl, const char *explain, struct buf *ret, struct err *e)
{
    (void)explain;
    (void)impl;
    (void)e;
    buf_add_str(ret, "{\"Probes\":[]}");
    return 0;
}

void fake_view_set_fingerprint(struct fake_view *f)
{
    f->ops.fingerprint = fake_fingerprint;
}

void fake_view_init(struct fake_view *f)
{
    *f = (struct fake_view){
        .allocs = BUF_INIT(MIB),
        .meta = {.known_leader = true         },
        .leader = "127.0.0.1:4647",
        .region = "global",
        .health_status = 200,
        .health_body = "{\"server\":{\"message\":\"ok\",\"ok\":true}}",
        .ops =
            {
                 .nodes = fake_nodes,
                 .node = fake_node,
                 .node_allocs = fake_node_allocs,
                 .wait = fake_wait,
                 .cancel = fake_cancel,
                 .region = fake_region,
                 .leader = fake_leader,
                 .peers = fake_peers,
                 .agent_self = fake_self,
                 .agent_members = fake_members,
                 .agent_health = fake_health,
                 },
    };
    list_init(&f->waits);
    f->view = (struct view){&f->ops, f};
}

void fake_view_done(struct fake_view *f)
{
    list_for_each (fw, &f->waits, struct fake_wait, link)
        drop_wait(f, fw);
    for (size_t i = 0; i < f->n; i++)
        (void)node_item_unref(f->v[i]);
    free(f->v);
    buf_done(&f->allocs);
}

static void put_item(struct fake_view *f, const struct node_item *take_it)
{
    size_t i = 0;

    while (i < f->n && memcmp(&f->v[i]->key, &take_it->key, UUID_BYTES) < 0)
        i++;
    if (i < f->n && memcmp(&f->v[i]->key, &take_it->key, UUID_BYTES) == 0) {
        (void)node_item_unref(f->v[i]);
        f->v[i] = take_it;
    } else {
        add_item(f, i, take_it);
    }
    f->index = MAX(f->index, take_it->modify_index);
    fire(f, take_it->id);
}

void fake_view_put_json(struct fake_view *f, const char *json, size_t n, bool set_index)
{
    _cleanup_(node_freep) struct node *node = node_new();
    struct node_item *it;
    struct err e = {0};

    if (js_decode(&desc_node, json, n, node, &e) < 0)
        abort();
    if (set_index)
        node->modify_index = f->index + 1;
    if (node_item_from_node(node, &it, &e) < 0)
        abort();
    put_item(f, it);
}

void fake_view_put(struct fake_view *f, const char *id, const char *name)
{
    _cleanup_free_ char *json =
        xasprintf("{\"ID\":\"%s\",\"Name\":\"%s\",\"Status\":\"ready\",\"Datacenter\":\"dc1\","
                  "\"SecretID\":\"5ec7e700-0000-0000-0000-000000000000\","
                  "\"SchedulingEligibility\":\"eligible\",\"HTTPAddr\":\"10.0.0.1:4646\","
                  "\"NodeResources\":{\"Cpu\":{\"CpuShares\":1000}},"
                  "\"Attributes\":{\"os.name\":\"debian\",\"nomad.version\":\"1.10.5\"}}",
                  id, name);

    fake_view_put_json(f, json, strlen(json), true);
}

void fake_view_remove(struct fake_view *f, const char *id)
{
    for (size_t i = 0; i < f->n; i++) {
        if (!str_eq(f->v[i]->id, id))
            continue;
        (void)node_item_unref(f->v[i]);
        memmove(&f->v[i], &f->v[i + 1], (f->n - 1 - i) * sizeof(void *));
        f->n--;
        break;
    }
    f->index++;
    fire(f, id);
}

void fake_view_touch_table(struct fake_view *f)
{
    f->index++;
    fire(f, NULL);
}
