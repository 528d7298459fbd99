#include "tests/support/fake_server.h"

#include <errno.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/str.h"
#include "base/vec.h"
#include "codec/mp.h"
#include "codec/ops.h"
#include "model/rpc_types.h"
#include "model/rpc_write.h"
#include "model/texts.h"
#include "wire/accept.h"
#include "wire/conn.h"

struct arrived {
    char *method;
    uint8_t *body;
    size_t n;
};

struct held { /* a blocking query, or anything while mute */
    struct list link;
    struct rpc_request *q;
    bool mute;
};

struct fake_alloc {
    char *id, *desired, *client_status;
    uint64_t modify_index, alloc_modify_index;
};

struct fake_server {
    struct loop *loop;
    struct rpc_listener *listener;
    char *address;
    struct arrived *calls;
    size_t n_calls;
    struct list held;
    struct node *node; /* NULL = knows none */
    struct fake_alloc *allocs;
    size_t n_allocs;
    uint64_t index, node_index, alloc_index;
    int64_t ttl;
    char **servers;
    size_t n_servers;
    char *identity;
    bool strict, mute, garbage;
    const char *back_method;
    char *back_error; /* NULL = no answer yet */
    char *fail_method, *fail_text;
    unsigned fail_n;
    struct node_event *events; /* every one that was accepted, in order */
    size_t n_events;
    unsigned lose_n; /* so many Node.EmitEvents are done and not answered */
};

static void serve(struct fake_server *s, struct rpc_request *q);

/* --- answers --- */

static void answer(struct fake_server *s, struct rpc_request *q, const struct desc *d,
                   const void *obj)
{
    _cleanup_buf_ struct buf b = BUF_INIT(RPC_BODY_MAX);

    if (s->garbage) {
        mp_map(&b, 1);
        mp_str(&b, "HeartbeatTTL");
        mp_str(&b, "soon");
    } else if (d) {
        mp_encode(&b, d, obj);
    } else {
        mp_map(&b, 0);
    }
    rpc_reply(q, b.p, b.len);
}

static void answer_update(struct fake_server *s, struct rpc_request *q, uint64_t index)
{
    bool down = s->node && str_eq(s->node->status, NODE_STATUS_DOWN);
    struct node_update_response r = {.heartbeat_ttl = down ? 0 : s->ttl,
                                     .num_nodes = 1,
                                     .leader_rpc_addr = s->address,
                                     .signed_identity = s->identity,
                                     .q.index = index};

    for (size_t i = 0; i < s->n_servers; i++)
        vec_add(&r.servers, &r.n_servers)->rpc_advertise_addr = s->servers[i];
    answer(s, q, &desc_node_update_response, &r);
    free(r.servers);
}

/* --- blocking --- */

static void drop_held(struct held *h)
{
    list_remove(&h->link);
    free(h);
}

static void on_gone(void *arg, struct rpc_request *q)
{
    drop_held(arg);
    rpc_drop(q);
}

static void hold(struct fake_server *s, struct rpc_request *q)
{
    struct held *h = xnew0(struct held);

    h->q = q;
    h->mute = s->mute || str_eq(q->method, "Node.EmitEvents");
    q->on_gone = on_gone;
    q->arg = h;
    list_append(&s->held, &h->link);
}

/* runs the blocked queries again; those with nothing new hold again */
static void wake(struct fake_server *s)
{
    struct list ready;

    list_init(&ready);
    list_for_each (h, &s->held, struct held, link) {
        if (h->mute)
            continue;
        list_remove(&h->link);
        list_append(&ready, &h->link);
    }
    list_for_each (h, &ready, struct held, link) {
        struct rpc_request *q = h->q;

        drop_held(h);
        q->on_gone = NULL;
        serve(s, q);
    }
}

/* --- endpoints --- */

static bool is_allowed(const struct fake_server *s, const char *token)
{
    if (!s->strict)
        return true;
    return s->node && !str_empty(token) &&
           (str_eq(token, s->node->secret_id) || str_eq(token, s->identity));
}

static void node_changed(struct fake_server *s)
{
    s->node_index = ++s->index;
    if (s->node)
        s->node->modify_index = s->node_index;
}

static void do_register(struct fake_server *s, struct rpc_request *q)
{
    struct node_register_request r = {0};
    struct err e = {0};

    if (mp_decode(&desc_node_register_request, q->body, q->body_len, &r, &e) < 0) {
        rpc_fail_close(q, e.text);
    } else if (!r.node || node_validate_registration(r.node, &e) < 0) {
        rpc_fail(q, r.node ? e.text : TEXT_MISSING_NODE);
    } else if (s->strict && !str_empty(r.w.auth_token) && !is_allowed(s, r.w.auth_token)) {
        rpc_fail(q, TEXT_PERMISSION_DENIED);
    } else if (s->node && !str_eq(s->node->secret_id, r.node->secret_id)) {
        rpc_fail(q, TEXT_SECRET_MISMATCH_REGISTER);
    } else {
        if (s->node) { /* since 1.3.10 */
            str_set(&r.node->status, s->node->status);
            for (size_t i = 0; i < s->node->n_events; i++)
                node_add_event(r.node, &s->node->events[i]);
        }
        (void)node_free(s->node);
        s->node = steal_ptr(&r.node);
        node_changed(s);
        answer_update(s, q, s->node_index);
        wake(s);
    }
    ops_clear(&desc_node_register_request, &r);
}

static void do_update_status(struct fake_server *s, struct rpc_request *q)
{
    struct node_update_status_request r = {0};
    struct err e = {0};
    bool changed;

    if (mp_decode(&desc_node_update_status_request, q->body, q->body_len, &r, &e) < 0) {
        rpc_fail_close(q, e.text);
    } else if (!is_allowed(s, r.w.auth_token)) {
        rpc_fail(q, TEXT_PERMISSION_DENIED);
    } else if (!s->node || !str_eq(s->node->id, r.node_id)) {
        rpc_fail(q, TEXT_NODE_NOT_FOUND);
    } else {
        changed = !str_eq(s->node->status, r.status);
        if (changed) {
            str_set(&s->node->status, r.status);
            node_changed(s);
        }
        answer_update(s, q, changed ? s->node_index : 0);
        if (changed)
            wake(s);
    }
    ops_clear(&desc_node_update_status_request, &r);
}

static void do_get_node(struct fake_server *s, struct rpc_request *q)
{
    struct node_specific_request r = {0};
    struct single_node_response out = {
        .q = {.index = MAX(s->node_index, 1), .known_leader = true}
    };
    _cleanup_buf_ struct buf b = BUF_INIT(RPC_BODY_MAX);
    struct err e = {0};

    if (mp_decode(&desc_node_specific_request, q->body, q->body_len, &r, &e) < 0) {
        rpc_fail_close(q, e.text);
    } else if (r.q.min_query_index >= s->node_index && r.q.min_query_index > 0) {
        hold(s, q);
    } else {
        if (s->node) {
            struct node shown = *s->node;

            shown.secret_id = NULL;
            mp_encode(&b, &desc_node, &shown);
        } else {
            mp_nil(&b);
        }
        out.node = (struct bytes){b.p, b.len};
        answer(s, q, &desc_single_node_response, &out);
    }
    ops_clear(&desc_node_specific_request, &r);
}

static void do_get_client_allocs(struct fake_server *s, struct rpc_request *q)
{
    struct node_specific_request r = {0};
    struct node_client_allocs_response out = {
        .q = {.index = MAX(s->alloc_index, 1), .known_leader = true}
    };
    struct err e = {0};

    if (mp_decode(&desc_node_specific_request, q->body, q->body_len, &r, &e) < 0) {
        rpc_fail_close(q, e.text);
    } else if (!is_allowed(s, r.q.auth_token)) {
        rpc_fail(q, TEXT_PERMISSION_DENIED);
    } else if (s->node && !str_eq(r.secret_id, s->node->secret_id)) {
        rpc_fail(q, TEXT_SECRET_MISMATCH);
    } else if (r.q.min_query_index >= MAX(s->alloc_index, 1)) {
        hold(s, q);
    } else {
        for (size_t i = 0; i < s->n_allocs; i++)
            *vec_add(&out.allocs.items, &out.allocs.n) =
                (struct i64pair){s->allocs[i].id, (int64_t)s->allocs[i].alloc_modify_index};
        answer(s, q, &desc_node_client_allocs_response, &out);
        free(out.allocs.items);
    }
    ops_clear(&desc_node_specific_request, &r);
}

static struct fake_alloc *find_alloc(const struct fake_server *s, const char *id)
{
    for (size_t i = 0; i < s->n_allocs; i++)
        if (str_eq(s->allocs[i].id, id))
            return &s->allocs[i];
    return NULL;
}

static void mp_kv(struct buf *b, const char *key, const char *value)
{
    mp_str(b, key);
    mp_str(b, value);
}

/* the job comes with two groups, so that a reader has to find the right one */
static void encode_job(struct buf *b)
{
    static const char *const groups[][3] = {
        {"other", "x",   "y"  },
        {"g",     "web", "log"}
    };

    mp_map(b, 2);
    mp_kv(b, "ID", "job");
    mp_str(b, "TaskGroups");
    mp_array(b, 2);
    for (size_t i = 0; i < 2; i++) {
        mp_map(b, 2);
        mp_kv(b, "Name", groups[i][0]);
        mp_str(b, "Tasks");
        mp_array(b, 2);
        for (size_t t = 1; t < 3; t++) {
            mp_map(b, 2);
            mp_kv(b, "Driver", "raw_exec");
            mp_kv(b, "Name", groups[i][t]);
        }
    }
}

static void do_get_allocs(struct fake_server *s, struct rpc_request *q)
{
    struct allocs_get_request r = {0};
    _cleanup_buf_ struct buf b = BUF_INIT(RPC_BODY_MAX);
    struct err e = {0};
    size_t n = 0;

    if (mp_decode(&desc_allocs_get_request, q->body, q->body_len, &r, &e) < 0) {
        rpc_fail_close(q, e.text);
        return;
    }
    for (size_t i = 0; i < r.n_alloc_ids; i++)
        n += find_alloc(s, r.alloc_ids[i]) != NULL;
    mp_map(&b, 2);
    mp_str(&b, "Index");
    mp_u64(&b, s->alloc_index);
    mp_str(&b, "Allocs");
    mp_array(&b, n);
    for (size_t i = 0; i < r.n_alloc_ids; i++) {
        const struct fake_alloc *a = find_alloc(s, r.alloc_ids[i]);

        if (!a)
            continue;
        mp_map(&b, 7);
        mp_kv(&b, "ID", a->id);
        mp_kv(&b, "TaskGroup", "g");
        mp_kv(&b, "DesiredStatus", a->desired);
        mp_kv(&b, "ClientStatus", a->client_status);
        mp_str(&b, "AllocModifyIndex");
        mp_u64(&b, a->alloc_modify_index);
        mp_str(&b, "FieldOfTomorrow");
        mp_nil(&b);
        mp_str(&b, "Job");
        encode_job(&b);
    }
    if (is_allowed(s, r.q.auth_token))
        rpc_reply(q, b.p, b.len);
    else
        rpc_fail(q, TEXT_PERMISSION_DENIED);
    ops_clear(&desc_allocs_get_request, &r);
}

static void do_update_alloc(struct fake_server *s, struct rpc_request *q)
{
    struct alloc_update_request r = {0};
    struct write_meta out = {0};
    struct err e = {0};

    if (mp_decode(&desc_alloc_update_request, q->body, q->body_len, &r, &e) < 0) {
        rpc_fail_close(q, e.text);
    } else if (!is_allowed(s, r.w.auth_token)) {
        rpc_fail(q, TEXT_PERMISSION_DENIED);
    } else if (r.n_alloc == 0) {
        rpc_fail(q, TEXT_NO_ALLOCS);
    } else if (s->node && str_eq(s->node->status, "down")) {
        _cleanup_free_ char *text = xasprintf(TEXT_UPDATE_WHILE_DOWN, s->node->id, "down");

        rpc_fail(q, text);
    } else {
        s->alloc_index = ++s->index;
        for (size_t i = 0; i < r.n_alloc; i++) {
            struct fake_alloc *a = find_alloc(s, r.alloc[i].id);

            if (a)
                str_set(&a->client_status, r.alloc[i].client_status);
        }
        out.index = s->alloc_index;
        answer(s, q, &desc_write_meta, &out);
        wake(s);
    }
    ops_clear(&desc_alloc_update_request, &r);
}

/* body: the map of the request; keeps what is for the node it knows */
static int take_events(struct fake_server *s, const struct bytes *body)
{
    const uint8_t *p;
    size_t len;
    struct mp_token t;
    struct mp_in in;

    if (!s->node || mp_map_find(body->p, body->n, s->node->id, &p, &len) < 0)
        return -ENOENT;
    in = mp_in(p, len);
    if (mp_next(&in, &t) < 0 || t.type != MP_ARRAY)
        return -EBADMSG;
    for (size_t i = 0; i < t.n; i++) {
        struct node_event *ev = vec_add(&s->events, &s->n_events);
        struct err e = {0};

        if (mp_decode_at(&desc_node_event, &in, ev, &e) < 0)
            return -EBADMSG;
        node_add_event(s->node, ev);
    }
    return 0;
}

static void do_emit_events(struct fake_server *s, struct rpc_request *q)
{
    struct emit_node_events_request r = {0};
    struct write_meta out = {0};
    struct err e = {0};
    int err;

    if (mp_decode(&desc_emit_node_events_request, q->body, q->body_len, &r, &e) < 0) {
        rpc_fail_close(q, e.text);
    } else if (!is_allowed(s, r.w.auth_token)) {
        rpc_fail(q, TEXT_PERMISSION_DENIED);
    } else if ((err = take_events(s, &r.node_events)) < 0) {
        rpc_fail(q, err == -ENOENT ? TEXT_NODE_NOT_FOUND : TEXT_NO_EVENTS);
    } else if (s->lose_n > 0) {
        s->lose_n--;
        hold(s, q);
    } else {
        out.index = ++s->index;
        answer(s, q, &desc_write_meta, &out);
    }
    ops_clear(&desc_emit_node_events_request, &r);
}

/* Whoever waits for the node hears of it with the next change only, as over a slow line. */
static void do_update_eligibility(struct fake_server *s, struct rpc_request *q)
{
    struct node_update_eligibility_request r = {0};
    struct node_drain_update_response out = {0};
    struct err e = {0};

    if (mp_decode(&desc_node_update_eligibility_request, q->body, q->body_len, &r, &e) < 0) {
        rpc_fail_close(q, e.text);
    } else if (!s->node || !str_eq(s->node->id, r.node_id)) {
        rpc_fail(q, TEXT_NODE_NOT_FOUND);
    } else {
        str_set(&s->node->scheduling_eligibility, r.eligibility);
        node_changed(s);
        out.w.index = s->node_index;
        answer(s, q, &desc_node_drain_update_response, &out);
    }
    ops_clear(&desc_node_update_eligibility_request, &r);
}

static const struct {
    const char *method;
    void (*fn)(struct fake_server *s, struct rpc_request *q);
} endpoints[] = {
    {"Node.Register",          do_register          },
    {"Node.UpdateStatus",      do_update_status     },
    {"Node.GetNode",           do_get_node          },
    {"Node.GetClientAllocs",   do_get_client_allocs },
    {"Alloc.GetAllocs",        do_get_allocs        },
    {"Node.UpdateAlloc",       do_update_alloc      },
    {"Node.EmitEvents",        do_emit_events       },
    {"Node.UpdateEligibility", do_update_eligibility},
};

static void serve(struct fake_server *s, struct rpc_request *q)
{
    if (s->mute) {
        hold(s, q);
        return;
    }
    if (s->fail_n > 0 && (!s->fail_method || str_eq(s->fail_method, q->method))) {
        s->fail_n--;
        rpc_fail(q, s->fail_text);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(endpoints); i++) {
        if (!str_eq(endpoints[i].method, q->method))
            continue;
        endpoints[i].fn(s, q);
        return;
    }
    if (str_eq(q->method, "Status.Ping"))
        answer(s, q, NULL, NULL);
    else
        rpc_fail_close(q, "rpc: can't find method");
}

static void handle(void *arg, struct rpc_request *q)
{
    struct fake_server *s = arg;
    struct arrived *a = vec_add(&s->calls, &s->n_calls);

    a->method = xstrdup(q->method);
    a->body = xmemdup(q->body, q->body_len);
    a->n = q->body_len;
    serve(s, q);
}

/* --- the object --- */

static void listen_on(struct fake_server *s, const char *address)
{
    struct err e = {0};
    int fd = -1;
    char *bound = NULL;
    int r = listen_open(address, &fd, &bound, &e);

    /* a child that is just being started has a copy of the old socket until its exec */
    for (int i = 0; r == -EADDRINUSE && i < 1000; i++) {
        (void)poll(NULL, 0, 5);
        r = listen_open(address, &fd, &bound, &e);
    }
    if (r < 0 ||
        rpc_listen(s->loop, fd, &(struct rpc_listen_opts){.handler = handle, .handler_arg = s},
                   &s->listener) < 0) {
        (void)fprintf(stderr, "fake server: %s\n", e.text);
        abort();
    }
    free(s->address);
    s->address = bound;
}

/* A loopback address that no other process listens on: the port is free again while the server is
 * stopped, and nobody may take it then. */
static void own_host(char *ret, size_t n)
{
    unsigned pid = (unsigned)getpid();

    (void)snprintf(ret, n, "127.%u.%u.%u:0", 1 + (pid >> 16) % 254, (pid >> 8) % 256, pid % 256);
}

struct fake_server *fake_server_new(struct loop *l)
{
    struct fake_server *s = xnew0(struct fake_server);
    char host[32];

    s->loop = l;
    s->ttl = 10 * (int64_t)NSEC_PER_SEC;
    s->index = 10;
    list_init(&s->held);
    own_host(host, sizeof(host));
    listen_on(s, host);
    strv_add(&s->servers, &s->n_servers, s->address);
    return s;
}

static void clear_calls(struct fake_server *s)
{
    for (size_t i = 0; i < s->n_calls; i++) {
        free(s->calls[i].method);
        free(s->calls[i].body);
    }
    s->calls = mem_free(s->calls);
    s->n_calls = 0;
}

static void clear_alloc(struct fake_alloc *a)
{
    free(a->id);
    free(a->desired);
    free(a->client_status);
}

void fake_server_stop(struct fake_server *s)
{
    s->listener = rpc_listener_free(s->listener);
    list_for_each (h, &s->held, struct held, link) /* of connections that are gone */
    {
        struct rpc_request *q = h->q;

        drop_held(h);
        rpc_drop(q);
    }
}

void fake_server_start(struct fake_server *s)
{
    _cleanup_free_ char *address = xstrdup(s->address);

    if (!s->listener)
        listen_on(s, address);
}

void fake_server_cut(struct fake_server *s)
{
    fake_server_stop(s);
    fake_server_start(s);
}

struct fake_server *fake_server_free(struct fake_server *s)
{
    if (!s)
        return NULL;
    fake_server_stop(s);
    clear_calls(s);
    for (size_t i = 0; i < s->n_allocs; i++)
        clear_alloc(&s->allocs[i]);
    free(s->allocs);
    (void)node_free(s->node);
    strv_done(&s->servers, &s->n_servers);
    free(s->identity);
    for (size_t i = 0; i < s->n_events; i++)
        ops_clear(&desc_node_event, &s->events[i]);
    free(s->events);
    free(s->back_error);
    free(s->fail_method);
    free(s->fail_text);
    free(s->address);
    return mem_free(s);
}

const char *fake_server_address(const struct fake_server *s)
{
    return s->address;
}

void fake_server_forget(struct fake_server *s)
{
    s->node = node_free(s->node);
}

size_t fake_server_calls(const struct fake_server *s, const char *method)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n_calls; i++)
        n += !method || str_eq(s->calls[i].method, method);
    return n;
}

bool fake_server_last(const struct fake_server *s, const char *method, const struct desc *d,
                      void *obj)
{
    struct err e = {0};

    for (size_t i = s->n_calls; i-- > 0;)
        if (str_eq(s->calls[i].method, method))
            return mp_decode(d, s->calls[i].body, s->calls[i].n, obj, &e) == 0;
    return false;
}

void fake_server_reset_calls(struct fake_server *s)
{
    clear_calls(s);
}

bool fake_server_knows(const struct fake_server *s)
{
    return s->node != NULL;
}

const char *fake_server_node_status(const struct fake_server *s)
{
    return s->node ? str_or_empty(s->node->status) : "";
}

void fake_server_set_node_status(struct fake_server *s, const char *status)
{
    str_set(&s->node->status, status);
    node_changed(s);
    wake(s);
}

void fake_server_set_secret(struct fake_server *s, const char *secret)
{
    str_set(&s->node->secret_id, secret);
}

uint64_t fake_server_index(const struct fake_server *s)
{
    return s->index;
}

void fake_server_set_ttl(struct fake_server *s, int64_t ns)
{
    s->ttl = ns;
}

void fake_server_set_servers(struct fake_server *s, const char *const *addresses, size_t n)
{
    char **list = NULL; /* addresses may be of the list that goes */
    size_t n_list = 0;

    for (size_t i = 0; i < n; i++)
        strv_add(&list, &n_list, addresses[i]);
    strv_done(&s->servers, &s->n_servers);
    s->servers = list;
    s->n_servers = n_list;
}

void fake_server_set_identity(struct fake_server *s, const char *jwt)
{
    str_set(&s->identity, jwt);
}

void fake_server_set_strict(struct fake_server *s, bool strict)
{
    s->strict = strict;
}

void fake_server_fail(struct fake_server *s, const char *method, const char *text, unsigned n)
{
    str_set(&s->fail_method, method);
    str_set(&s->fail_text, text);
    s->fail_n = n;
}

const struct node_event *fake_server_events(const struct fake_server *s, size_t *ret_n)
{
    *ret_n = s->n_events;
    return s->events;
}

void fake_server_lose_events(struct fake_server *s, unsigned n)
{
    s->lose_n = n;
}

void fake_server_mute(struct fake_server *s, bool mute)
{
    s->mute = mute;
}

void fake_server_garbage(struct fake_server *s, bool on)
{
    s->garbage = on;
}

void fake_server_put_alloc(struct fake_server *s, const char *id, const char *desired,
                           const char *client_status)
{
    struct fake_alloc *a = find_alloc(s, id);

    if (!a) {
        a = vec_add(&s->allocs, &s->n_allocs);
        a->id = xstrdup(id);
    }
    str_set(&a->desired, desired);
    str_set(&a->client_status, client_status);
    a->alloc_modify_index = s->alloc_index = ++s->index;
    wake(s);
}

void fake_server_remove_alloc(struct fake_server *s, const char *id)
{
    struct fake_alloc *a = find_alloc(s, id);

    if (!a)
        return;
    clear_alloc(a);
    *a = s->allocs[--s->n_allocs];
    s->alloc_index = ++s->index;
    wake(s);
}

const char *fake_server_alloc_status(const struct fake_server *s, const char *id)
{
    const struct fake_alloc *a = find_alloc(s, id);

    return a ? a->client_status : "";
}

static void on_back_done(void *arg, enum rpc_result how, const char *text, const uint8_t *body,
                         size_t n)
{
    struct fake_server *s = arg;

    (void)body;
    (void)n;
    str_set(&s->back_error, how == RPC_OK ? "" : text);
}

static void call_session(void *arg, struct rpc_session *rs)
{
    struct fake_server *s = arg;
    static const uint8_t empty_map = 0x80;

    if (!s->back_method)
        return; /* only the newest */
    (void)rpc_call(rs, s->back_method, &empty_map, 1, 0, on_back_done, s);
    s->back_method = NULL;
}

void fake_server_call_back(struct fake_server *s, const char *method)
{
    str_set(&s->back_error, NULL);
    s->back_method = method;
    rpc_listener_each(s->listener, call_session, s);
}

const char *fake_server_call_back_error(const struct fake_server *s)
{
    return s->back_error;
}
