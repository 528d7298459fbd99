/* Recordings of real Nomads, 1.0.18, 1.10.5 and 2.0.5 (tests/data): what it sent is read, and what
 * we write says the same.  Times carry a zone of 0 there and UTC here, which is why they are
 * compared as instants. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "codec/js.h"
#include "codec/mp.h"
#include "codec/ops.h"
#include "model/class.h"
#include "model/methods.h"
#include "model/node.h"
#include "model/rpc_types.h"
#include "tests/support/data.h"
#include "tests/support/mp_oracle.h"

#define RECORDED(name) "msgpack/1.0.18/" name ".msgpack"
#define PRINTED(name)  "json/1.0.18/" name ".json"

/* ---- msgpack ---- */

/* the zone of every packed time in its UTC form, so that bytes can be compared */
static void normalize_times(uint8_t *p, size_t n)
{
    for (size_t i = 0; i + 16 <= n; i++)
        if (p[i] == 0xaf && p[i + 1] == 1 && p[i + 14] == 0 && p[i + 15] == 0)
            p[i + 14] = p[i + 15] = 0xff;
}

/* reads a recording into a struct and writes it again; the answer must say all that the recording
 * says, and may add the fields (one a line) that 1.0 did not have */
static void reads_and_writes(const char *name, const struct desc *d, const char *added)
{
    _cleanup_free_ char *text = NULL, *why = NULL, *more = NULL, *obj = xcalloc(1, d->size);
    _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
    struct err e = {0};
    size_t n;

    text = data_read(name, &n);
    if (mp_decode(d, text, n, obj, &e) < 0)
        fail_msg("%s: %s", name, e.text);
    mp_encode(&b, d, obj);
    normalize_times((uint8_t *)text, n);
    normalize_times(b.p, b.len); /* objects that are passed through keep their zones */
    if (!mp_oracle_covers(text, n, b.p, b.len, &why, &more))
        fail_msg("%s differs at %s", name, why);
    assert_string_equal(more, added);
    ops_clear(d, obj);
}

#define ADDED_WRITE ".IdempotencyToken\n"
#define ADDED_QUERY ".Filter\n.NextToken\n.PerPage\n.Reverse\n"
#define ADDED_META  ".NextToken\n"

/* each network resource has two new fields, in the new form and in the old one */
#define ADDED_NETWORK(way) way ".Networks[].CNI\n" way ".Networks[].Hostname\n"
#define ADDED_REGISTER                                                                             \
    ".Node.HostVolumes.certs.ID\n"                                                                 \
    ".Node.NodeResources.Cpu.ReservableCpuCores\n"                                                 \
    ".Node.NodeResources.Cpu.TotalCpuCores\n" ADDED_NETWORK(".Node.NodeResources") ADDED_NETWORK(  \
        ".Node.NodeResources") ".Node.NodeResources.MaxDynamicPort\n"                              \
                               ".Node.NodeResources.MinDynamicPort\n"                              \
                               ".Node.NodeResources.Processors\n"                                  \
                               ".Node.ReservedResources.Cpu.ReservedCpuCores\n" ADDED_NETWORK(     \
                                   ".Node.Resources")                                              \
                                   ADDED_NETWORK(                                                  \
                                       ".Node.Resources") ".Node.CgroupParent\n"                   \
                                                          ".Node.GCVolumesOnNodeGC\n"              \
                                                          ".Node.HostNetworks\n"                   \
                                                          ".Node.IdentitySigningKeyID\n"           \
                                                          ".Node.LastAllocUpdateIndex\n"           \
                                                          ".Node.LastDrain\n"                      \
                                                          ".Node.LastMissedHeartbeatIndex\n"       \
                                                          ".Node.NodeMaxAllocs\n"                  \
                                                          ".Node.NodePool\n"                       \
                                                          ".CreateNodePool\n" ADDED_WRITE
#define ADDED_UPDATE ".SchedulingEligibility\n.SignedIdentity\n"

static void test_golden_requests_come_back_whole(void **state)
{
    (void)state;
    reads_and_writes(RECORDED("register-node-register-request-1"), &desc_node_register_request,
                     ADDED_REGISTER);
    reads_and_writes(RECORDED("register-node-register-request-2"), &desc_node_register_request,
                     ADDED_REGISTER);
    reads_and_writes(RECORDED("heartbeat-node-updatestatus-request-1"),
                     &desc_node_update_status_request,
                     ".ForceIdentityRenewal\n" ADDED_WRITE ".IdentitySigningKeyID\n");
    reads_and_writes(RECORDED("plain-node-updatestatus-request-1"),
                     &desc_node_update_status_request,
                     ".ForceIdentityRenewal\n" ADDED_WRITE ".IdentitySigningKeyID\n.NodeEvent\n"
                     ".UpdatedAt\n");
    reads_and_writes(RECORDED("emitevents-node-emitevents-request-1"),
                     &desc_emit_node_events_request, ADDED_WRITE);
    reads_and_writes(RECORDED("getclientallocs-node-getclientallocs-request-1"),
                     &desc_node_specific_request, ADDED_QUERY);
    reads_and_writes(RECORDED("getallocs-alloc-getallocs-request-1"), &desc_allocs_get_request,
                     ADDED_QUERY);
}

static void test_golden_replies_come_back_whole(void **state)
{
    (void)state;
    reads_and_writes(RECORDED("register-node-register-reply-1"), &desc_node_update_response,
                     ".NextToken\n" ADDED_UPDATE);
    reads_and_writes(RECORDED("heartbeat-node-updatestatus-reply-1"), &desc_node_update_response,
                     ".NextToken\n" ADDED_UPDATE);
    reads_and_writes(RECORDED("heartbeat-node-updatestatus-reply-2"), &desc_node_update_response,
                     ".NextToken\n" ADDED_UPDATE);
    reads_and_writes(RECORDED("emitevents-node-emitevents-reply-1"), &desc_write_meta, "");
    reads_and_writes(RECORDED("updatealloc-node-updatealloc-reply-1"), &desc_write_meta, "");
    for (int i = 1; i <= 4; i++) {
        _cleanup_free_ char *name =
            xasprintf(RECORDED("getclientallocs-node-getclientallocs-reply-%d"), i);

        reads_and_writes(name, &desc_node_client_allocs_response, ADDED_META);
    }
    reads_and_writes(RECORDED("plain-node-getnode-reply-1"), &desc_single_node_response,
                     ADDED_META);
    reads_and_writes(RECORDED("plain-alloc-getallocs-reply-1"), &desc_allocs_get_response,
                     ADDED_META);
    reads_and_writes(RECORDED("plain-status-version-reply-1"), &desc_version_response, ADDED_META);
    reads_and_writes(RECORDED("plain-status-members-reply-1"), &desc_server_members_response, "");
    reads_and_writes(RECORDED("plain-status-hasnodeconn-reply-1"), &desc_node_conn_query_response,
                     ADDED_META);
}

/* where 1.0 has all the fields that we have, the bytes are the same */
static void test_golden_small_objects_are_equal_byte_for_byte(void **state)
{
    static const struct {
        const char *name;
        const struct desc *d;
    } rows[] = {
        {RECORDED("emitevents-node-emitevents-reply-1"),   &desc_write_meta},
        {RECORDED("updatealloc-node-updatealloc-reply-3"), &desc_write_meta},
    };
    struct node_server_info server = {.rpc_advertise_addr = (char *)"127.0.0.1:24747",
                                      .rpc_major_version = 1,
                                      .rpc_minor_version = 1,
                                      .datacenter = (char *)"dc1"};
    _cleanup_buf_ struct buf b = BUF_INIT(4096);
    _cleanup_free_ char *reply = NULL;
    size_t n;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_free_ char *text = NULL, *obj = xcalloc(1, rows[i].d->size);

        text = data_read(rows[i].name, &n);
        assert_int_equal(mp_decode(rows[i].d, text, n, obj, NULL), 0);
        buf_reset(&b);
        mp_encode(&b, rows[i].d, obj);
        assert_int_equal(b.len, n);
        assert_memory_equal(b.p, text, n);
    }
    reply = data_read(RECORDED("register-node-register-reply-1"), &n);
    buf_reset(&b);
    mp_encode(&b, &desc_node_server_info, &server);
    assert_non_null(memmem(reply, n, b.p, b.len));
}

static void test_golden_registration_is_understood(void **state)
{
    struct node_register_request req = {0};
    _cleanup_free_ char *text = NULL;
    const struct driver_info *exec;
    const struct node *node;
    size_t n;

    (void)state;
    text = data_read(RECORDED("register-node-register-request-1"), &n);
    assert_int_equal(mp_decode(&desc_node_register_request, text, n, &req, NULL), 0);
    node = req.node;
    assert_string_equal(req.w.region, "global");
    assert_null(req.node_event);
    assert_string_equal(node->datacenter, "dc1");
    assert_string_equal(node->status, "initializing");
    assert_string_equal(strmap_get(&node->attributes, "nomad.version"), "1.0.18");
    assert_int_equal(node->n_drivers, 6);
    exec = node_driver(node, "exec");
    assert_true(exec->detected && exec->healthy);
    assert_string_equal(exec->health_description, "Healthy");
    assert_false(gotime_is_zero(exec->update_time));
    assert_null(node_driver(node, "docker")->attributes.items);
    assert_int_equal(node->node_resources->cpu.cpu_shares, 5192);
    assert_int_equal(node->node_resources->n_networks, 2);
    assert_string_equal(node->node_resources->node_networks[0].addresses[0].family, "ipv4");
    assert_null(node->events);
    assert_int_equal(node_validate_registration(node, NULL), 0);
    ops_clear(&desc_node_register_request, &req);
}

static void test_golden_allocations_are_understood(void **state)
{
    struct allocs_get_response reply = {0};
    struct alloc_update_request update = {0};
    _cleanup_free_ char *text = NULL, *text2 = NULL;
    size_t n;

    (void)state;
    text = data_read(RECORDED("getallocs-alloc-getallocs-reply-1"), &n);
    assert_int_equal(mp_decode(&desc_allocs_get_response, text, n, &reply, NULL), 0);
    assert_int_equal(reply.n_allocs, 1);
    assert_string_equal(reply.allocs[0].desired_status, "run");
    assert_string_equal(reply.allocs[0].client_status, "pending");
    assert_string_equal(reply.allocs[0].job->task_groups[0].name, reply.allocs[0].task_group);
    assert_true(reply.allocs[0].job->task_groups[0].n_tasks > 0);
    assert_true(reply.q.known_leader);
    assert_true(reply.allocs[0].alloc_modify_index > 0);
    text2 = data_read(RECORDED("updatealloc-node-updatealloc-request-3"), &n);
    assert_int_equal(mp_decode(&desc_alloc_update_request, text2, n, &update, NULL), 0);
    assert_true(update.n_alloc > 0);
    assert_string_equal(update.alloc[0].client_status, "complete");
    assert_true(update.alloc[0].n_task_states > 0);
    assert_string_equal(update.alloc[0].task_states[0].state, "dead");
    assert_true(update.alloc[0].task_states[0].n_events > 0);
    ops_clear(&desc_allocs_get_response, &reply);
    ops_clear(&desc_alloc_update_request, &update);
}

static void test_golden_patching_a_stored_node_keeps_the_rest(void **state)
{
    static const struct mp_patch patches[] = {
        {"Status",
         "\xa4"
         "down",                        5},
        {"ModifyIndex", "\xcd\x01\x02", 3}
    };
    _cleanup_free_ char *text = NULL, *why = NULL;
    _cleanup_buf_ struct buf out = BUF_INIT(1 << 20), back = BUF_INIT(1 << 20);
    const uint8_t *node, *status, *index;
    size_t n, node_n, status_n, index_n;
    struct mp_patch undo[2];

    (void)state;
    text = data_read(RECORDED("register-node-register-request-1"), &n);
    assert_int_equal(mp_map_find(text, n, "Node", &node, &node_n), 0);
    assert_int_equal(mp_map_patch(node, node_n, patches, 2, &out), 0);
    assert_int_equal(mp_map_find(node, node_n, "Status", &status, &status_n), 0);
    assert_int_equal(mp_map_find(node, node_n, "ModifyIndex", &index, &index_n), 0);
    undo[0] = (struct mp_patch){"Status", status, status_n};
    undo[1] = (struct mp_patch){"ModifyIndex", index, index_n};
    assert_int_equal(mp_map_patch(out.p, out.len, undo, 2, &back), 0);
    assert_int_equal(back.len, node_n); /* byte for byte what it was */
    assert_memory_equal(back.p, node, node_n);
    assert_false(mp_oracle_equal(out.p, out.len, node, node_n, &why));
}

/* ---- JSON ---- */

static void json_compare(struct json_object *a, struct json_object *b, struct buf *path,
                         struct buf *added);

/* 1.10's id of a volume: the volumes come in random order, so this one is not noted */
static bool is_volume_id(const char *path, size_t len, const char *name)
{
    return strcmp(name, "ID") == 0 && memmem(path, len, ".HostVolumes.", 13);
}

/* what later releases have put into the legacy resources, which are kept in the form of 1.0 */
static bool is_left_out(const char *path)
{
    static const char *const names[] = {
        ".Cores",
        ".MemoryMaxMB",
        ".NUMA",
        ".SecretsMB",
    };

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if ((str_starts(path, ".Resources.") || str_starts(path, ".Reserved.")) &&
            str_ends(path, names[i]))
            return true;
    return false;
}

static void json_compare_objects(struct json_object *a, struct json_object *b, struct buf *path,
                                 struct buf *added)
{
    size_t len = path->len;

    json_object_object_foreach(a, key, value)
    {
        struct json_object *other;

        buf_printf(path, ".%s", key);
        if (json_object_object_get_ex(b, key, &other))
            json_compare(value, other, path, added);
        else if (!is_left_out(buf_str(path)))
            fail_msg("%s is missing", buf_str(path));
        path->len = len;
    }
    json_object_object_foreach(b, name, ignored)
    {
        (void)ignored;
        if (!json_object_object_get_ex(a, name, NULL) && !is_volume_id(buf_str(path), len, name))
            buf_printf(added, "%.*s.%s\n", (int)len, buf_str(path), name);
    }
}

/* b says all that a says; what it says beyond is added */
static void json_compare(struct json_object *a, struct json_object *b, struct buf *path,
                         struct buf *added)
{
    size_t len = path->len;

    if (json_object_get_type(a) != json_object_get_type(b))
        fail_msg("%s has another type", buf_str(path));
    if (json_object_is_type(a, json_type_object)) {
        json_compare_objects(a, b, path, added);
    } else if (json_object_is_type(a, json_type_array)) {
        assert_int_equal(json_object_array_length(a), json_object_array_length(b));
        for (size_t i = 0; i < json_object_array_length(a); i++) {
            buf_printf(path, "[]");
            json_compare(json_object_array_get_idx(a, i), json_object_array_get_idx(b, i), path,
                         added);
            path->len = len;
        }
    } else if (!json_object_equal(a, b)) {
        fail_msg("%s: %s is not %s", buf_str(path), json_object_get_string(b),
                 json_object_get_string(a));
    }
}

static void json_covers(const char *recorded, const char *ours, const char *expected_added)
{
    struct json_object *a = json_tokener_parse(recorded), *b = json_tokener_parse(ours);
    _cleanup_buf_ struct buf path = BUF_INIT(4096), added = BUF_INIT(1 << 16);

    assert_non_null(a);
    assert_non_null(b);
    json_compare(a, b, &path, &added);
    if (expected_added) /* NULL: anything */
        assert_string_equal(buf_str(&added), expected_added);
    json_object_put(a);
    json_object_put(b);
}

#define ADDED_RESOURCES(way)                                                                       \
    way ".Cpu.ReservableCpuCores\n" way ".Cpu.TotalCpuCores\n" ADDED_JSON_NETWORK(way)             \
        ADDED_JSON_NETWORK(way) way ".MaxDynamicPort\n" way ".MinDynamicPort\n" way                \
                                    ".Processors\n"
#define ADDED_JSON_NETWORK(way) way ".Networks[].CNI\n" way ".Networks[].Hostname\n"
#define ADDED_NODE                                                                                 \
    ADDED_RESOURCES(".NodeResources")                                                              \
    ".ReservedResources.Cpu.ReservedCpuCores\n" ADDED_JSON_NETWORK(".Resources")                   \
        ADDED_JSON_NETWORK(".Resources") ".CgroupParent\n.GCVolumesOnNodeGC\n.HostNetworks\n"      \
                                         ".IdentitySigningKeyID\n.LastAllocUpdateIndex\n"          \
                                         ".LastDrain\n.LastMissedHeartbeatIndex\n"                 \
                                         ".NodeMaxAllocs\n.NodePool\n"

/* a recorded node, read and printed again; the same node from a server and from the node's agent */
static void test_golden_node_json_comes_back_whole(void **state)
{
    static const char *const names[] = {PRINTED("node-read"), PRINTED("node-read-draining"),
                                        PRINTED("client-node")};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        _cleanup_(node_freep) struct node *node = node_new();
        _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
        _cleanup_free_ char *text = NULL;
        struct err e = {0};
        size_t n;

        text = data_read(names[i], &n);
        if (js_decode(&desc_node, text, n, node, &e) < 0)
            fail_msg("%s: %s", names[i], e.text);
        assert_true(str_empty(node->secret_id));
        str_set(&node->secret_id, "a secret that must not be seen");
        js_encode(&b, &desc_node, node, 0);
        json_covers(text, buf_str(&b), ADDED_NODE);
    }
}

static void test_golden_stubs_are_made_of_the_node(void **state)
{
    _cleanup_(node_freep) struct node *node = node_new();
    _cleanup_free_ char *node_text = NULL, *list = NULL, *list_resources = NULL;
    size_t n;

    (void)state;
    node_text = data_read(PRINTED("node-read"), &n);
    assert_int_equal(js_decode(&desc_node, node_text, n, node, NULL), 0);
    list = data_read(PRINTED("nodes-list"), &n);
    list_resources = data_read(PRINTED("nodes-list-resources"), &n);
    for (int resources = 0; resources <= 1; resources++) {
        _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
        struct node_stub stub = {0};

        node_make_stub(node, resources, false, &stub);
        js_encode_array(&b, &desc_node_stub, &stub, 1, 0);
        ops_clear(&desc_node_stub, &stub);
        json_covers(
            resources ? list_resources : list, buf_str(&b),
            resources
                ? ADDED_RESOURCES("[].NodeResources") "[].ReservedResources.Cpu.ReservedCpuCores\n"
                                                      "[].LastDrain\n[].NodePool\n"
                : "[].LastDrain\n[].NodePool\n");
    }
}

static void test_golden_packed_node_prints_as_its_struct(void **state)
{
    _cleanup_(node_freep) struct node *node = node_new();
    _cleanup_buf_ struct buf raw = BUF_INIT(1 << 20), ours = BUF_INIT(1 << 20);
    _cleanup_free_ char *text = NULL;
    struct single_node_response reply = {0};
    size_t n;

    (void)state;
    text = data_read(RECORDED("plain-node-getnode-reply-1"), &n);
    assert_int_equal(mp_decode(&desc_single_node_response, text, n, &reply, NULL), 0);
    assert_int_equal(mp_decode(&desc_node, reply.node.p, reply.node.n, node, NULL), 0);
    assert_int_equal(js_from_mp(&raw, reply.node.p, reply.node.n), 0);
    js_encode(&ours, &desc_node, node, 0);
    assert_non_null(strstr(buf_str(&raw), node->id));
    {
        struct json_object *a = json_tokener_parse(buf_str(&raw));
        struct json_object *b = json_tokener_parse(buf_str(&ours));
        _cleanup_buf_ struct buf path = BUF_INIT(4096), added = BUF_INIT(1 << 16);

        json_compare(a, b, &path, &added); /* fails when anything is missing or differs */
        json_object_put(a);
        json_object_put(b);
    }
    ops_clear(&desc_single_node_response, &reply);
}

/* 1.0 computed the class without the pool */
static void test_golden_computed_class_is_reproduced(void **state)
{
    static const char *const names[] = {PRINTED("node-read"), PRINTED("node-read-draining"),
                                        PRINTED("node-read-down"), PRINTED("client-node")};
    unsigned long long seen[ARRAY_LEN(names)];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        _cleanup_(node_freep) struct node *node = node_new();
        _cleanup_free_ char *text = NULL, *class = NULL;
        size_t n;

        text = data_read(names[i], &n);
        assert_int_equal(js_decode(&desc_node, text, n, node, NULL), 0);
        seen[i] = class_hash(node, false);
        class = xasprintf("v1:%llu", seen[i]);
        assert_string_equal(class, node->computed_class);
    }
}

/* ---- newer releases ---- */

static const char *const newer[] = {"1.10.5", "2.0.5"};

/* nothing that they print or send is missing or differs; what we add are the zero fields that they
 * leave out */
static void test_golden_newer_nodes_come_back_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(newer); i++) {
        _cleanup_free_ char *name = xasprintf("json/%s/node-read.json", newer[i]), *text = NULL;
        _cleanup_free_ char *mp_name = xasprintf("msgpack/%s/node-getnode-reply.msgpack", newer[i]);
        _cleanup_free_ char *packed = NULL, *why = NULL, *more = NULL;
        _cleanup_(node_freep) struct node *node = node_new(), *sent = node_new();
        _cleanup_buf_ struct buf b = BUF_INIT(1 << 20), out = BUF_INIT(1 << 20);
        _cleanup_buf_ struct buf cut = BUF_INIT(1 << 20);
        const struct mp_patch legacy[] = {
            {"Reserved",  NULL, 0},
            {"Resources", NULL, 0}
        };
        struct single_node_response reply = {0};
        struct err e = {0};
        size_t n;

        text = data_read(name, &n);
        if (js_decode(&desc_node, text, n, node, &e) < 0)
            fail_msg("%s: %s", name, e.text);
        js_encode(&b, &desc_node, node, 0);
        json_covers(text, buf_str(&b), NULL);
        packed = data_read(mp_name, &n);
        if (mp_decode(&desc_single_node_response, packed, n, &reply, &e) < 0 ||
            mp_decode(&desc_node, reply.node.p, reply.node.n, sent, &e) < 0)
            fail_msg("%s: %s", mp_name, e.text);
        mp_encode(&out, &desc_node, sent);
        normalize_times(reply.node.p, reply.node.n);
        assert_int_equal(mp_map_patch(reply.node.p, reply.node.n, legacy, 2, &cut), 0);
        if (!mp_oracle_covers(cut.p, cut.len, out.p, out.len, &why, &more))
            fail_msg("%s differs at %s", mp_name, why);
        assert_true(reply.q.known_leader);
        ops_clear(&desc_single_node_response, &reply);
    }
}

/* the same node by RPC and by HTTP: what we print of the packed one is what it prints */
static void test_golden_newer_packed_nodes_print_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(newer); i++) {
        _cleanup_free_ char *name = xasprintf("json/%s/node-read.json", newer[i]), *text = NULL;
        _cleanup_free_ char *mp_name = xasprintf("msgpack/%s/node-getnode-reply.msgpack", newer[i]);
        _cleanup_free_ char *packed = NULL;
        _cleanup_(node_freep) struct node *sent = node_new();
        _cleanup_buf_ struct buf b = BUF_INIT(1 << 20), direct = BUF_INIT(1 << 20);
        struct single_node_response reply = {0};
        size_t n;

        text = data_read(name, &n);
        packed = data_read(mp_name, &n);
        assert_int_equal(mp_decode(&desc_single_node_response, packed, n, &reply, NULL), 0);
        assert_int_equal(mp_decode(&desc_node, reply.node.p, reply.node.n, sent, NULL), 0);
        js_encode(&b, &desc_node, sent, 0);
        json_covers(text, buf_str(&b), NULL);
        assert_int_equal(js_from_packed(&direct, &desc_node, reply.node.p, reply.node.n, 0), 0);
        assert_string_equal(buf_str(&direct), buf_str(&b));
        ops_clear(&desc_single_node_response, &reply);
    }
}

static void test_golden_newer_stubs_are_made_of_the_node(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(newer); i++) {
        _cleanup_free_ char *name = xasprintf("json/%s/node-read.json", newer[i]), *text = NULL;
        _cleanup_free_ char *stubs = xasprintf("json/%s/nodes-list-resources-os.json", newer[i]);
        _cleanup_free_ char *mp_name = xasprintf("msgpack/%s/node-list-reply.msgpack", newer[i]);
        _cleanup_free_ char *list = NULL, *packed = NULL;
        _cleanup_(node_freep) struct node *node = node_new();
        _cleanup_buf_ struct buf b = BUF_INIT(1 << 20);
        struct node_list_response reply = {0};
        struct node_stub stub = {0};
        size_t n;

        text = data_read(name, &n);
        list = data_read(stubs, &n);
        assert_int_equal(js_decode(&desc_node, text, strlen(text), node, NULL), 0);
        node_make_stub(node, true, true, &stub);
        js_encode_array(&b, &desc_node_stub, &stub, 1, 0);
        json_covers(list, buf_str(&b), NULL);
        packed = data_read(mp_name, &n);
        assert_int_equal(mp_decode(&desc_node_list_response, packed, n, &reply, NULL), 0);
        assert_int_equal(reply.n_nodes, 1);
        assert_true(ops_equal(&desc_node_stub, &stub, &reply.nodes[0]));
        ops_clear(&desc_node_stub, &stub);
        ops_clear(&desc_node_list_response, &reply);
    }
}

/* 1.6 and newer compute the class with the pool */
static void test_golden_newer_computed_class_is_reproduced(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(newer); i++) {
        _cleanup_free_ char *name = xasprintf("json/%s/node-read.json", newer[i]), *text = NULL;
        _cleanup_(node_freep) struct node *node = node_new();
        _cleanup_free_ char *class = NULL;
        size_t n;

        text = data_read(name, &n);
        assert_int_equal(js_decode(&desc_node, text, n, node, NULL), 0);
        class = node_computed_class(node);
        assert_string_equal(class, node->computed_class);
    }
}

/* the fuzzers start from these files: each decodes with every method's descriptors or fails clean
 */
static void test_golden_any_file_in_any_struct(void **state)
{
    static const char *const names[] = {
        RECORDED("register-node-register-request-1"), RECORDED("getallocs-alloc-getallocs-reply-2"),
        RECORDED("updatealloc-node-updatealloc-request-3"), RECORDED("plain-status-peers-reply-1")};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        for (int m = 0; m < M_MAX; m++) {
            const struct desc *d = methods[m].request;
            _cleanup_free_ char *text = NULL, *obj = xcalloc(1, d->size);
            struct err e = {0};
            size_t n;

            text = data_read(names[i], &n);
            if (mp_decode(d, text, n, obj, &e) < 0)
                assert_true(e.text[0] != 0);
            ops_clear(d, obj);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_requests_come_back_whole),
        cmocka_unit_test(test_golden_replies_come_back_whole),
        cmocka_unit_test(test_golden_small_objects_are_equal_byte_for_byte),
        cmocka_unit_test(test_golden_registration_is_understood),
        cmocka_unit_test(test_golden_allocations_are_understood),
        cmocka_unit_test(test_golden_patching_a_stored_node_keeps_the_rest),
        cmocka_unit_test(test_golden_node_json_comes_back_whole),
        cmocka_unit_test(test_golden_stubs_are_made_of_the_node),
        cmocka_unit_test(test_golden_packed_node_prints_as_its_struct),
        cmocka_unit_test(test_golden_computed_class_is_reproduced),
        cmocka_unit_test(test_golden_newer_nodes_come_back_whole),
        cmocka_unit_test(test_golden_newer_packed_nodes_print_the_same),
        cmocka_unit_test(test_golden_newer_stubs_are_made_of_the_node),
        cmocka_unit_test(test_golden_newer_computed_class_is_reproduced),
        cmocka_unit_test(test_golden_any_file_in_any_struct),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
