/* The API against answers recorded from a Nomad 1.0.18: the same requests over a view that holds
 * the recorded node.  Everything that Nomad said must be said, field by field; what newer releases
 * added may stand beside it. */
#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/parse.h"
#include "base/str.h"
#include "tests/support/api_bed.h"

#define FOLDER "tests/data/http/nomad-1.0.18/"

/* one file: "> GET target", empty line, status line and headers, empty line, body */
struct recording {
    char *text; /* owned; cut up */
    char *target;
    char *head;
    char *body;
    uint64_t status;
};

static void recording_done(struct recording *r)
{
    free(r->text);
}

static void recording_read(const char *name, struct recording *ret)
{
    _cleanup_free_ char *path = xasprintf(FOLDER "%s.txt", name);
    char status[4];
    size_t n;

    if (file_read(path, MIB, &ret->text, &n) < 0)
        fail_msg("cannot read %s (run from the repository's root)", path);
    ret->target = ret->text + strlen("> GET ");
    *strstr(ret->target, " HTTP/1.1") = 0;
    ret->head = strstr(ret->target + strlen(ret->target) + 1, "HTTP/1.1 ");
    (void)snprintf(status, sizeof(status), "%s", ret->head + strlen("HTTP/1.1 "));
    assert_int_equal(parse_u64(status, &ret->status), 0);
    ret->body = strstr(ret->head, "\n\n");
    *ret->body = 0;
    ret->body += 2;
    n = strlen(ret->body);
    while (n > 0 && ret->body[n - 1] == '\n') /* the recorder's and the body's */
        ret->body[--n] = 0;
}

/* --- comparing --- */

/* fields that releases after 1.0 brought to the objects compared here */
static const char *const newer[] = {
    "CgroupParent",
    "GCVolumesOnNodeGC",
    "HostNetworks",
    "IdentitySigningKeyID",
    "LastAllocUpdateIndex",
    "LastDrain",
    "LastMissedHeartbeatIndex",
    "NodeMaxAllocs",
    "NodePool",
    "ReservableCpuCores",
    "ReservedCpuCores",
    "TotalCpuCores",
    "Processors",
    "MaxDynamicPort",
    "MinDynamicPort",
    "Hostname",
    "CNI",
    "ID", /* of a host volume */
    "Cores",
    "MemoryMaxMB",
    "NUMA",
    "SecretsMB",
};
/* newer releases leave these out of networks when they are empty (fact: http-api 5.1) */
static const char *const omitted[] = {"DNS", "DynamicPorts", "ReservedPorts"};

static bool is_in(const char *name, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(list[i], name))
            return true;
    return false;
}

static void compare(const char *where, struct json_object *want, struct json_object *got);

static void compare_objects(const char *where, struct json_object *want, struct json_object *got)
{
    struct json_object *value;

    json_object_object_foreach(want, key, wanted)
    {
        char path[512];

        (void)snprintf(path, sizeof(path), "%s.%s", where, key);
        if (json_object_object_get_ex(got, key, &value))
            compare(path, wanted, value);
        else if (wanted || !is_in(key, omitted, ARRAY_LEN(omitted)))
            fail_msg("%s is missing", path);
    }
    json_object_object_foreach(got, name, unused)
    {
        (void)unused;
        if (!json_object_object_get_ex(want, name, &value) && !is_in(name, newer, ARRAY_LEN(newer)))
            fail_msg("%s.%s is no field of Nomad", where, name);
    }
}

static void compare(const char *where, struct json_object *want, struct json_object *got)
{
    if (json_object_get_type(want) != json_object_get_type(got))
        fail_msg("%s: %s instead of %s", where, json_object_to_json_string(got),
                 json_object_to_json_string(want));
    if (json_object_is_type(want, json_type_object)) {
        compare_objects(where, want, got);
    } else if (json_object_is_type(want, json_type_array)) {
        if (json_object_array_length(want) != json_object_array_length(got))
            fail_msg("%s: another length", where);
        for (size_t i = 0; i < json_object_array_length(want); i++) {
            char path[512];

            (void)snprintf(path, sizeof(path), "%s[%zu]", where, i);
            compare(path, json_object_array_get_idx(want, i), json_object_array_get_idx(got, i));
        }
    } else if (!str_eq(json_object_to_json_string(want), json_object_to_json_string(got))) {
        fail_msg("%s: %s instead of %s", where, json_object_to_json_string(got),
                 json_object_to_json_string(want));
    }
}

static void compare_headers(const char *name, const struct recording *r, const struct answer *a)
{
    static const char *const own[] = {"Date", "Content-Length", "Transfer-Encoding"};

    for (char *line = strchr(r->head, '\n'); line; line = strchr(line, '\n')) {
        char header[128], value[256];

        line++;
        if (sscanf(line, "%127[^:]: %255[^\n]", header, value) != 2 ||
            is_in(header, own, ARRAY_LEN(own)))
            continue;
        if (!str_eq(answer_header(a, header), value))
            fail_msg("%s: no %s: %s in\n%s", name, header, value, a->head);
        if (!strstr(a->head, header))
            fail_msg("%s: %s is spelled otherwise", name, header);
    }
}

/* --- the view as it was --- */

/* holds the node of a recording; the table's index is the list's */
static void fill_view(struct api_bed *b, const char *node, uint64_t index)
{
    _cleanup_(recording_done) struct recording r = {0};

    recording_read(node, &r);
    fake_view_put_json(&b->fake, r.body, strlen(r.body), false);
    b->fake.index = index;
    b->fake.leader = "127.0.0.1:27647";
    strmap_set(&b->response_headers, "X-Test-Header", "hello");
}

static const struct {
    const char *node;
    uint64_t index;
    const char *name;
} rows[] = {
    {"node-read",          101, "nodes-list"           },
    {"node-read",          101, "nodes-list-prefix"    },
    {"node-read",          101, "nodes-list-empty"     },
    {"node-read",          101, "nodes-list-resources" },
    {"node-read",          101, "nodes-list-pretty"    },
    {"node-read",          101, "node-read"            },
    {"node-read",          101, "node-read-pretty"     },
    {"node-read",          105, "node-read-after-purge"},
    {"node-read-draining", 120, "nodes-list-draining"  },
    {"node-read-draining", 120, "node-read-draining"   },
    {"node-read-down",     128, "node-read-down"       },
    {"node-read",          101, "notfound"             },
    {"node-read",          101, "root"                 },
    {"node-read",          101, "server-agent-health"  },
    {"node-read",          101, "server-status-leader" },
    {"node-read",          101, "server-status-peers"  },
    {"node-read",          101, "server-regions"       },
};

static void test_recorded_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_(recording_done) struct recording r = {0};
        _cleanup_(api_bed_done) struct api_bed b;
        _cleanup_answer_ struct answer a;
        struct json_object *want, *got;

        api_bed_init(&b);
        fill_view(&b, rows[i].node, rows[i].index);
        recording_read(rows[i].name, &r);
        api_bed_get(&b, r.target, &a);
        assert_int_equal(a.status, r.status);
        compare_headers(rows[i].name, &r, &a);
        want = json_tokener_parse(r.body);
        got = json_tokener_parse(a.body);
        if (want)
            compare(rows[i].name, want, got);
        else
            assert_true(str_starts(a.body, r.body));
        json_object_put(want);
        json_object_put(got);
    }
}

static void test_a_pretty_answer_has_the_layout_of_nomads(void **state)
{
    _cleanup_(recording_done) struct recording r = {0};
    _cleanup_(api_bed_done) struct api_bed b;
    _cleanup_answer_ struct answer a;
    size_t n;

    (void)state;
    api_bed_init(&b);
    fill_view(&b, "node-read", 101);
    recording_read("nodes-list-pretty", &r);
    api_bed_get(&b, r.target, &a);
    n = strlen("[\n    {\n        \"Address\": \"127.0.0.1\",\n        \"CreateIndex\": 7,\n");
    assert_memory_equal(a.body, r.body, n);
    assert_true(str_ends(a.body, "    }\n]\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded_answers),
        cmocka_unit_test(test_a_pretty_answer_has_the_layout_of_nomads),
    };

    loop_block_signals();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
