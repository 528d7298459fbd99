/* agent/mirror_open: who answers which request. */
#include "agent/mirror_open.h"

#include <string.h>

#include "api/routes.h"
#include "base/str.h"
#include "tests/support/check.h"
#include "wire/http1.h"

#define OWN   "f7476465-4d6e-c0de-26d0-e383c49be941"
#define OWN_2 "F7476465-4D6E-C0DE-26D0-E383C49BE941"
#define OTHER "11d0a6c4-2f3e-4b5a-9c8d-7e6f50413223"

enum { CONTACT = 1, BEHIND = 2 };

static const struct {
    const char *rpc, *id, *query, *body;
    unsigned facts;
    enum mirror_way way;
} rows[] = {
  /* clang-format off */
    /* what has no RPC is local, whatever is asked */
    {NULL, "", "", "", 0, WAY_HERE},
    {NULL, "", "region=mars", "", CONTACT, WAY_HERE},
    /* the own node is the mirror, in either spelling; others are not */
    {"Node.GetNode", OWN, "", "", CONTACT, WAY_HERE},
    {"Node.GetNode", OWN, "index=4&stale", "", CONTACT, WAY_HERE},
    {"Node.GetNode", OWN_2, "", "", CONTACT, WAY_HERE},
    {"Node.GetNode", OWN, "", "", 0, WAY_HERE},
    {"Node.GetNode", OTHER, "", "", CONTACT, WAY_SERVERS},
    {"Node.GetNode", OTHER, "", "", 0, WAY_SERVERS},
    {"Node.GetNode", "short", "", "", CONTACT, WAY_SERVERS},
    {"Node.GetNode", "", "", "", CONTACT, WAY_SERVERS},
    /* its allocations are the servers' to tell; without them it has none */
    {"Node.GetAllocs", OWN, "", "", CONTACT, WAY_SERVERS},
    {"Node.GetAllocs", OWN_2, "", "", CONTACT | BEHIND, WAY_SERVERS},
    {"Node.GetAllocs", OWN, "", "", 0, WAY_HERE},
    {"Node.GetAllocs", OTHER, "", "", 0, WAY_SERVERS},
    {"Node.GetAllocs", OTHER, "", "", CONTACT, WAY_SERVERS},
    /* behind a write it is read through, while there is somebody to ask */
    {"Node.GetNode", OWN, "", "", CONTACT | BEHIND, WAY_SERVERS},
    {"Node.GetNode", OWN, "", "", BEHIND, WAY_HERE},
    /* lists as long as servers answer */
    {"Node.List", "", "", "", CONTACT, WAY_SERVERS},
    {"Node.List", "", "", "", 0, WAY_HERE},
    {"Region.List", "", "", "", CONTACT, WAY_SERVERS},
    {"Region.List", "", "", "", 0, WAY_HERE},
    {"Status.Members", "", "", "", CONTACT, WAY_SERVERS},
    {"Status.Members", "", "", "", 0, WAY_SERVERS},
    {"Status.Leader", "", "", "", CONTACT, WAY_HERE},
    {"Status.Peers", "", "", "", CONTACT, WAY_HERE},
    /* another region is never ours to answer; our own by name is */
    {"Node.GetNode", OWN, "region=mars", "", CONTACT, WAY_SERVERS},
    {"Node.GetNode", OWN, "region=global", "", CONTACT, WAY_HERE},
    {"Node.List", "", "region=mars", "", 0, WAY_SERVERS},
    {"Status.Leader", "", "region=mars", "", CONTACT, WAY_SERVERS},
    {"ClientStats.Stats", "", "region=mars", "", CONTACT, WAY_SERVERS},
    /* writes */
    {"Node.UpdateDrain", OWN, "", "{}", CONTACT, WAY_SERVERS},
    {"Node.UpdateDrain", OWN, "", "{}", 0, WAY_SERVERS},
    {"Node.Evaluate", OWN, "", "", CONTACT, WAY_SERVERS},
    {"Node.Deregister", OTHER, "", "", CONTACT, WAY_SERVERS},
    /* what one agent is asked for: this one unless another is named */
    {"ClientStats.Stats", "", "", "", 0, WAY_OWN},
    {"ClientStats.Stats", "", "node_id=", "", CONTACT, WAY_OWN},
    {"ClientStats.Stats", "", "node_id=" OWN, "", CONTACT, WAY_OWN},
    {"ClientStats.Stats", "", "node_id=" OWN_2, "", CONTACT, WAY_OWN},
    {"ClientStats.Stats", "", "node_id=" OTHER, "", CONTACT, WAY_SERVERS},
    {"ClientStats.Stats", "", "node_id=f747", "", CONTACT, WAY_SERVERS},
    {"Agent.Host", "", "server_id=leader", "", CONTACT, WAY_SERVERS},
    {"Agent.Host", "", "", "", CONTACT, WAY_OWN},
    {"NodeMeta.Apply", "", "", "{\"NodeID\":\"" OTHER "\"}", CONTACT, WAY_SERVERS},
    {"NodeMeta.Apply", "", "", "{\"NodeID\":\"" OWN "\",\"Meta\":{\"a\":null}}", CONTACT, WAY_OWN},
    {"NodeMeta.Apply", "", "", "{\"NodeID\":\"\",\"Meta\":{}}", CONTACT, WAY_OWN},
    {"NodeMeta.Apply", "", "", "no JSON", CONTACT, WAY_OWN}, /* refused there */
    {"NodeMeta.Apply", "", "", "", CONTACT, WAY_OWN},
    {"NodeMeta.Apply", "", "node_id=" OWN, "{\"NodeID\":\"" OTHER "\"}", CONTACT, WAY_SERVERS},
    /* a stream: its handler knows where */
    {"Agent.Monitor", "", "node_id=" OTHER, "", CONTACT, WAY_OWN},
  /* clang-format on */
};

static void test_who_answers(void **state)
{
    struct uuid own;

    (void)state;
    assert_int_equal(uuid_parse(OWN, &own), 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct route row = {
            .pattern = "/x", .rpc = rows[i].rpc, .flags = ROUTE_PARAMS | ROUTE_BODY};
        struct http_request hq = {.method = "GET",
                                  .path = "/x",
                                  .query = rows[i].query,
                                  .body = (const uint8_t *)rows[i].body,
                                  .body_len = strlen(rows[i].body)};
        struct mirror_facts f = {.node = &own,
                                 .region = "global",
                                 .in_contact = rows[i].facts & CONTACT,
                                 .behind = rows[i].facts & BEHIND};
        struct ask q;
        struct err e;
        enum mirror_way way;

        assert_int_equal(ask_parse(&q, &hq, &row, rows[i].id, &e), 0);
        way = mirror_way(&q, &f);
        if (way != rows[i].way)
            fail_msg("%s %s %s %s: %d instead of %d", str_or_empty(rows[i].rpc), rows[i].id,
                     rows[i].query, rows[i].body, way, rows[i].way);
        ask_done(&q);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_who_answers)};

    return cmocka_run_group_tests_name("agent/mirror_open", tests, NULL, NULL);
}
