#include <json-c/json.h>

#include "agent/mirror.h"
#include "api/ask.h"
#include "api/routes.h"
#include "base/buf.h"
#include "drivers/driver.h"
#include "model/methods.h"
#include "model/rpc_write.h"
#include "tests/support/wire_loop.h"
#include "tests/unit/agent/fixture.h"
#include "wire/http1.h"

/* what a test needs besides a session */
struct more {
    struct fixture *f;
    struct mirror *m;
    const struct view *v;
    struct probe_run *run;
    struct probe_conf pc;
    unsigned nodes_given;
    enum node_status last_status;
};
static struct more x;

static void on_node(void *arg, const struct node_item *it)
{
    struct more *m = arg;

    m->nodes_given++;
    m->last_status = (enum node_status)it->status;
}

static int setup(void **state)
{
    struct fixture *f;
    const char *address;

    assert_int_equal(fixture_setup(state), 0);
    f = *state;
    address = fake_server_address(f->a);
    open_session(f, &address, 1);
    start_allocs(f);
    x = (struct more){.f = f};
    x.m = mirror_new(&(struct mirror_opts){.loop = f->loop,
                                           .pool = f->pool,
                                           .session = f->session,
                                           .allocs = f->allocs,
                                           .probes = (const struct probe_run *const *)&x.run,
                                           .conf = &f->conf,
                                           .http_addr = "10.0.0.9:4646",
                                           .node_id = NODE_ID,
                                           .secret_id = SECRET,
                                           .on_node = on_node,
                                           .arg = &x});
    x.v = mirror_view(x.m);
    return 0;
}

static struct ask request;

static int teardown(void **state)
{
    ask_done(&request);
    x.m = mirror_free(x.m);
    x.run = probe_run_free(x.run);
    return fixture_teardown(state);
}

static void go(struct fixture *f)
{
    session_start(f->session);
    publish(f);
    mirror_set_local(x.m, collect_snap(f->collect));
    settle(f);
    mirror_start(x.m, true);
    settle(f);
}

static char *node_status(struct view_meta *meta)
{
    const struct node_item *it = NULL;
    struct node *n = NULL;
    struct err e = {0};
    char *status;

    assert_int_equal(x.v->ops->node(x.v->impl, NODE_ID, &it, meta, &e), 0);
    assert_int_equal(node_item_decode(it, &n, &e), 0);
    status = xstrdup(n->status);
    (void)node_free(n);
    (void)node_item_unref(it);
    return status;
}

static void test_before_contact_the_local_snapshot_with_index_zero(void **state)
{
    struct fixture *f = *state;
    struct node_list l = {0};
    struct view_meta meta;
    struct err e = {0};

    assert_int_equal(x.v->ops->nodes(x.v->impl, "", &l, &meta, &e), 0);
    assert_int_equal(l.n, 0); /* the probes still run */
    publish(f);
    mirror_set_local(x.m, collect_snap(f->collect));
    assert_int_equal(x.v->ops->nodes(x.v->impl, "", &l, &meta, &e), 0);
    assert_int_equal(l.n, 1);
    assert_string_equal(l.pages[0]->items[0]->id, NODE_ID);
    assert_int_equal(meta.index, 0);
    assert_false(meta.known_leader);
    node_list_done(&l);
    clock_fake_advance(7 * SEC);
    assert_int_equal(x.v->ops->nodes(x.v->impl, "f7", &l, &meta, &e), 0);
    assert_int_equal(meta.last_contact_ms, 7000);
    node_list_done(&l);
}

static void test_then_the_copy_of_the_server_kept_current(void **state)
{
    struct fixture *f = *state;
    struct view_meta meta;
    _cleanup_free_ char *status_1 = NULL, *status_2 = NULL;

    go(f);
    status_1 = node_status(&meta);
    assert_string_equal(status_1, "ready");
    assert_int_equal(meta.index, fake_server_index(f->a));
    assert_true(meta.known_leader);
    assert_int_equal(meta.last_contact_ms, 0);
    fake_server_set_node_status(f->a, "down");
    settle(f);
    status_2 = node_status(&meta);
    assert_string_equal(status_2, "down");
    assert_int_equal(x.last_status, STATUS_DOWN);
    /* a local change is shown when the server has it */
    fp_set(f->fp, "x", "y", "z");
    publish(f);
    mirror_set_local(x.m, collect_snap(f->collect));
    assert_ptr_not_equal(mirror_item(x.m), NULL);
    assert_true(meta.index == fake_server_index(f->a));
}

static const char *leader_of(const struct view *v)
{
    const char *leader = NULL;
    struct err e = {0};

    assert_int_equal(v->ops->leader(v->impl, &leader, &e), 0);
    return leader;
}

static void test_while_no_server_answers_its_age_is_told(void **state)
{
    struct fixture *f = *state;
    struct view_meta meta;
    _cleanup_free_ char *status_1 = NULL;

    go(f);
    fake_server_stop(f->a);
    pass(f, 60 * SEC);
    status_1 = node_status(&meta);
    assert_string_equal(status_1, "ready");
    assert_false(meta.known_leader);
    assert_in_range(meta.last_contact_ms, 50000, 61000);
    assert_true(meta.index > 0);
    assert_null(leader_of(x.v));
}

static void test_server_that_lost_its_state_is_followed_from_its_new_index(void **state)
{
    struct fixture *f = *state;
    struct view_meta meta;
    _cleanup_free_ char *status_1 = NULL;
    size_t before;

    go(f);
    before = x.nodes_given;
    fake_server_forget(f->a);
    mirror_start(x.m, false);
    settle(f);
    assert_int_equal(x.nodes_given, before); /* nil: the last copy stays */
    status_1 = node_status(&meta);
    assert_string_equal(status_1, "ready");
    pass(f, 30 * SEC);
    assert_true(fake_server_knows(f->a));
    assert_true(x.nodes_given > before);
}

static unsigned woken[3];

static void on_wake(void *arg)
{
    (*(unsigned *)arg)++;
}

static void test_waiters_are_woken_once_by_a_new_copy(void **state)
{
    struct fixture *f = *state;
    static struct view_wait w[3]; /* outlives the test: one is dropped with the mirror */

    memset(woken, 0, sizeof(woken));
    go(f);
    for (int i = 0; i < 3; i++) {
        w[i] = (struct view_wait){.fn = on_wake, .arg = &woken[i]};
        x.v->ops->wait(x.v->impl, VIEW_NODE, NODE_ID, &w[i]);
    }
    x.v->ops->cancel(x.v->impl, &w[1]);
    x.v->ops->cancel(x.v->impl, &w[1]);
    fake_server_set_node_status(f->a, "down");
    settle(f);
    fake_server_set_node_status(f->a, "ready");
    settle(f);
    assert_int_equal(woken[0], 1);
    assert_int_equal(woken[1], 0);
    assert_int_equal(woken[2], 1);
    x.v->ops->wait(x.v->impl, VIEW_NODES, "", &w[0]); /* still waiting at the end: dropped */
}

static void test_ids_and_prefixes_are_checked_as_servers_do(void **state)
{
    static const struct {
        const char *id, *text;
    } bad[] = {
        {"",                                     "missing node ID"                                            },
        {"nope",                                 "node lookup failed: index error: UUID must be 36 characters"},
        {"zzzzzzzz-4d6e-c0de-26d0-e383c49be941",
         "node lookup failed: index error: Invalid UUID: encoding/hex: invalid byte: U+007A 'z'"              },
    };
    const struct node_item *it = NULL;
    struct node_list l = {0};
    struct view_meta meta;
    struct err e = {0};

    go(*state);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_true(x.v->ops->node(x.v->impl, bad[i].id, &it, &meta, &e) < 0);
        assert_string_equal(e.text, bad[i].text);
        assert_int_equal(e.status, 500);
    }
    assert_int_equal(
        x.v->ops->node(x.v->impl, "00000000-4d6e-c0de-26d0-e383c49be941", &it, &meta, &e), 1);
    assert_true(meta.index > 0);
    assert_true(x.v->ops->nodes(x.v->impl, "f74", &l, &meta, &e) < 0);
    assert_string_equal(e.text, "node lookup failed: index error: Input (without hyphens) must be "
                                "even length");
    assert_int_equal(x.v->ops->nodes(x.v->impl, "F747", &l, &meta, &e), 0);
    assert_int_equal(l.n, 1);
    node_list_done(&l);
    assert_int_equal(x.v->ops->nodes(x.v->impl, "f748", &l, &meta, &e), 0);
    assert_int_equal(l.n, 0);
    node_list_done(&l);
}

static void test_allocations_are_an_empty_list(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1024);
    struct view_meta meta;
    struct err e = {0};

    go(*state);
    assert_int_equal(x.v->ops->node_allocs(x.v->impl, NODE_ID, &b, &meta, &e), 0);
    assert_int_equal(b.len, 1);
    assert_int_equal(b.p[0], 0x90);
    assert_true(meta.index > 0);
}

static void test_region_leader_and_peers(void **state)
{
    struct fixture *f = *state;
    char **peers = NULL;
    struct err e = {0};
    size_t n = 0;

    assert_null(leader_of(x.v));
    go(f);
    assert_string_equal(x.v->ops->region(x.v->impl), "global");
    assert_string_equal(leader_of(x.v), fake_server_address(f->a));
    assert_int_equal(x.v->ops->peers(x.v->impl, &peers, &n, &e), 0);
    assert_int_equal(n, 1);
    assert_string_equal(peers[0], fake_server_address(f->a));
    strv_done(&peers, &n);
}

/* --- what is asked of the servers --- */

static struct view_wait wake_up;
static unsigned told;

static void on_told(void *arg)
{
    (void)arg;
    told++;
}

/* the view that answers a request for the node of this id; NULL = the mirror itself */
static const struct view *open_for(const char *rpc, const char *id)
{
    static struct route row;
    struct http_request hq = {.method = "GET", .path = "/x", .query = ""};
    struct err e;

    row = (struct route){.pattern = "/x", .rpc = rpc};
    ask_done(&request);
    assert_int_equal(ask_parse(&request, &hq, &row, id, &e), 0);
    told = 0;
    wake_up = (struct view_wait){.fn = on_told};
    return x.v->ops->open(x.v->impl, &request, &wake_up);
}

static void write_eligibility(struct fixture *f, const char *node_id, const char *value)
{
    const struct view *v = open_for("Node.UpdateEligibility", node_id);
    struct node_update_eligibility_request q = {
        .node_id = (char *)(uintptr_t)node_id,
        .eligibility = (char *)(uintptr_t)value,
        .w = ask_write_request(&request, "global"),
    };
    const struct method *m = &methods[M_NODE_UPDATE_ELIGIBILITY];
    struct node_drain_update_response reply = {0};
    struct view_meta meta;
    struct err e = {0};

    assert_int_equal(v->ops->call(v->impl, m, &q, &reply, &meta, &e), -EINPROGRESS);
    turn_until(f->loop, told > 0);
    assert_int_equal(v->ops->call(v->impl, m, &q, &reply, &meta, &e),
                     str_eq(node_id, NODE_ID) ? 0 : -EREMOTEIO);
    v->ops->close(v);
}

/* "nomad node eligibility -self" right behind must see it */
static void test_behind_a_write_the_own_node_is_read_through(void **state)
{
    struct fixture *f = *state;
    const struct node_item *it = NULL;
    struct view_meta meta;
    struct err e = {0};
    const struct view *v;

    go(f);
    assert_null(open_for("Node.GetNode", NODE_ID));
    write_eligibility(f, NODE_ID, "eligible");
    v = open_for("Node.GetNode", NODE_ID);
    assert_non_null(v);
    assert_int_equal(v->ops->node(v->impl, NODE_ID, &it, &meta, &e), -EINPROGRESS);
    turn_until(f->loop, told > 0);
    assert_int_equal(v->ops->node(v->impl, NODE_ID, &it, &meta, &e), 0);
    assert_true(it->eligible);
    assert_false(mirror_item(x.m)->eligible); /* the copy is behind still */
    (void)node_item_unref(it);
    v->ops->close(v);
    fake_server_set_node_status(f->a, "ready"); /* now it is told */
    settle(f);
    assert_true(mirror_item(x.m)->eligible);
    assert_null(open_for("Node.GetNode", NODE_ID));
}

static void test_a_write_that_failed_or_was_about_another_changes_nothing(void **state)
{
    struct fixture *f = *state;

    go(f);
    write_eligibility(f, "00000000-1111-2222-3333-444455556666", "eligible");
    assert_null(open_for("Node.GetNode", NODE_ID));
}

/* who has nobody to ask shows what there is */
static void test_behind_a_write_but_without_servers_the_copy_is_shown(void **state)
{
    struct fixture *f = *state;
    struct view_meta meta;

    go(f);
    write_eligibility(f, NODE_ID, "eligible");
    fake_server_stop(f->a);
    pass(f, 60 * SEC);
    assert_null(open_for("Node.GetNode", NODE_ID));
    free(node_status(&meta));
    assert_false(meta.known_leader);
}

static void test_lists_are_the_servers_while_they_answer(void **state)
{
    struct fixture *f = *state;
    const struct view *v;

    assert_null(open_for("Node.List", "")); /* before first contact */
    go(f);
    v = open_for("Node.List", "");
    assert_non_null(v);
    v->ops->close(v);
    fake_server_stop(f->a);
    pass(f, 60 * SEC);
    assert_null(open_for("Node.List", ""));
}

/* the member of a path like "stats.client.node_id"; fails the test when it is not there */
static struct json_object *at(struct json_object *o, const char *path)
{
    char **keys = NULL;
    size_t n = 0;

    strv_split(path, ".", &keys, &n);
    for (size_t i = 0; i < n; i++)
        if (!json_object_object_get_ex(o, keys[i], &o))
            fail_msg("no %s in %s", keys[i], path);
    strv_done(&keys, &n);
    return o;
}

static struct json_object *parse(const struct buf *b)
{
    struct json_object *o = json_tokener_parse(buf_str(b));

    assert_non_null(o);
    return o;
}

static void test_agent_self_is_what_the_command_reads(void **state)
{
    struct fixture *f = *state;
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    struct json_object *o;
    struct err e = {0};

    strmap_set(&f->conf.client.meta, "quoted \"key\"", "line\nbreak");
    f->conf.datacenter = xstrdup("dc1");
    go(f);
    assert_int_equal(x.v->ops->agent_self(x.v->impl, &b, &e), 0);
    assert_int_equal(buf_ok(&b), 0);
    o = parse(&b);
    assert_string_equal(json_object_get_string(at(o, "stats.client.node_id")), NODE_ID);
    assert_string_equal(json_object_get_string(at(o, "stats.client.known_servers")),
                        fake_server_address(f->a));
    assert_string_equal(json_object_get_string(at(o, "stats.client.num_allocations")), "0");
    assert_string_equal(json_object_get_string(at(o, "stats.client.heartbeat_ttl")), "10s");
    assert_string_equal(json_object_get_string(at(o, "stats.client.last_heartbeat")), "0s");
    assert_string_equal(json_object_get_string(at(o, "stats.client.registration")), "registered");
    assert_string_equal(json_object_get_string(at(o, "config.Region")), "global");
    assert_string_equal(json_object_get_string(at(o, "config.Datacenter")), "dc1");
    assert_false(json_object_get_boolean(at(o, "config.Server.Enabled")));
    assert_true(json_object_get_boolean(at(o, "config.Client.Enabled")));
    assert_string_equal(json_object_get_string(at(o, "config.AdvertiseAddrs.HTTP")),
                        "10.0.0.9:4646");
    assert_string_equal(json_object_get_string(at(o, "member.Status")), "none");
    assert_string_equal(json_object_get_string(at(at(o, "config.Client.Meta"), "quoted \"key\"")),
                        "line\nbreak");
    (void)json_object_put(o);
    assert_null(strstr(buf_str(&b), SECRET));
    free(f->conf.datacenter);
    strmap_done(&f->conf.client.meta);
}

static void test_health_of_client_and_server(void **state)
{
    static const struct {
        const char *type, *body;
        int status;
    } rows[] = {
        {"",       "{\"client\":{\"message\":\"ok\",\"ok\":true}}",                  200},
        {"client", "{\"client\":{\"message\":\"ok\",\"ok\":true}}",                  200},
        {"server", "{\"server\":{\"message\":\"server not enabled\",\"ok\":false}}", 500},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_buf_ struct buf b = BUF_INIT(1024);

        assert_int_equal(x.v->ops->agent_health(x.v->impl, rows[i].type, &b), rows[i].status);
        assert_string_equal(buf_str(&b), rows[i].body);
    }
}

static void test_fingerprint_lists_every_probe(void **state)
{
    struct fixture *f = *state;
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    struct json_object *o, *list;
    struct err e = {0};

    assert_true(x.v->ops->fingerprint(x.v->impl, "", &b, &e) < 0);
    assert_int_equal(e.status, 503);
    x.run = probe_run_new(&(struct probe_run_opts){.loop = f->loop,
                                                   .probe_path = "/nonexistent",
                                                   .rows = probes,
                                                   .n_rows = n_probes,
                                                   .conf = &x.pc});
    assert_int_equal(x.v->ops->fingerprint(x.v->impl, "", &b, &e), 0);
    o = parse(&b);
    list = at(o, "Probes");
    /* the row for each host volume is the last, and there is none */
    assert_int_equal(json_object_array_length(list), n_probes - 1);
    for (size_t i = 0; i < n_probes - 1; i++) {
        struct json_object *p = json_object_array_get_idx(list, i);

        assert_string_equal(json_object_get_string(at(p, "Name")), probes[i]->name);
        assert_string_equal(json_object_get_string(at(p, "State")), "never");
        assert_null(at(p, "AgeMs"));
        assert_int_equal(json_object_array_length(at(p, "Checks")), 0);
    }
    (void)json_object_put(o);
}

#undef TEST
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_before_contact_the_local_snapshot_with_index_zero),
        TEST(test_then_the_copy_of_the_server_kept_current),
        TEST(test_while_no_server_answers_its_age_is_told),
        TEST(test_server_that_lost_its_state_is_followed_from_its_new_index),
        TEST(test_waiters_are_woken_once_by_a_new_copy),
        TEST(test_ids_and_prefixes_are_checked_as_servers_do),
        TEST(test_allocations_are_an_empty_list),
        TEST(test_region_leader_and_peers),
        TEST(test_agent_self_is_what_the_command_reads),
        TEST(test_health_of_client_and_server),
        TEST(test_fingerprint_lists_every_probe),
        TEST(test_behind_a_write_the_own_node_is_read_through),
        TEST(test_a_write_that_failed_or_was_about_another_changes_nothing),
        TEST(test_behind_a_write_but_without_servers_the_copy_is_shown),
        TEST(test_lists_are_the_servers_while_they_answer),
    };

    return cmocka_run_group_tests_name("agent/mirror", tests, NULL, NULL);
}
