/* api/server: every row of parameters, errors and headers for the routes there are; waiting. */
#include "api/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <zlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/rand.h"
#include "base/str.h"
#include "codec/js.h"
#include "codec/mp.h"
#include "model/stub.h"
#include "tests/support/api_bed.h"
#include "wire/budget.h"
#include "tests/support/wire_loop.h"

#define ID_A   "11d0a6c4-2f3e-4b5a-9c8d-7e6f50413223"
#define ID_B   "22e1b7d5-304f-5c6b-ad9e-8f7061524334"
#define ID_C   "22f1b7d5-304f-5c6b-ad9e-8f7061524334"
#define NOBODY "00000000-304f-5c6b-ad9e-8f7061524334"

static int setup(void **state)
{
    struct api_bed *b = xnew0(struct api_bed);

    api_bed_init(b);
    b->fake.index = 10;
    fake_view_put(&b->fake, ID_A, "a");
    fake_view_put(&b->fake, ID_B, "b");
    fake_view_put(&b->fake, ID_C, "c"); /* index 13 */
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct api_bed *b = *state;

    api_bed_done(b);
    free(b);
    return 0;
}

static int setup_fake_clock(void **state)
{
    clock_fake(true, 1000 * NSEC_PER_SEC, 1700000000 * (int64_t)NSEC_PER_SEC);
    return setup(state);
}

static int teardown_fake_clock(void **state)
{
    (void)teardown(state);
    clock_fake(false, 0, 0);
    return 0;
}

static void assert_body(const char *target, const struct answer *a, int status, const char *body)
{
    if (a->status != status || !str_eq(a->body, body))
        fail_msg("%s\n%s\n%s\ninstead of %d %s", target, a->head, a->body, status, body);
}

/* --- errors --- */

#define LOOKUP  "node lookup failed: index error: "
#define MISSING "not available in this release of Picket: "

static const struct {
    const char *method, *target;
    int status;
    const char *body;
} errors[] = {
  /* clang-format off */
    /* routing */
    {"GET", "/v1/nope", 404, ""},
    {"GET", "/v1/nodes/", 404, ""},
    {"GET", "/v2", 404, ""},
    {"POST", "/v1/nope", 404, ""},
    {"OPTIONS", "*", 404, ""},
    {"GET", "/v1/%zz", 400, "invalid URL escape in the path"},
    {"GET", "/v1/node/%00", 400, "invalid URL escape in the path"},
    /* methods */
    {"POST", "/v1/nodes", 405, "Invalid method"},
    {"PUT", "/v1/nodes", 405, "Invalid method"},
    {"DELETE", "/v1/nodes", 405, "Invalid method"},
    {"OPTIONS", "/v1/nodes", 405, "Invalid method"},
    {"PATCH", "/v1/nodes", 405, "Invalid method"},
    {"PUT", "/v1/node/" ID_A, 405, "Invalid method"},
    {"PUT", "/v1/node/" ID_A "/allocations", 405, "Invalid method"},
    {"GET", "/v1/node/" ID_A "/drain", 405, "Invalid method"},
    {"GET", "/v1/node/" ID_A "/evaluate", 405, "Invalid method"},
    {"GET", "/v1/node/" ID_A "/eligibility", 405, "Invalid method"},
    {"GET", "/v1/node/" ID_A "/purge", 405, "Invalid method"},
    {"DELETE", "/v1/node/" ID_A "/purge", 405, "Invalid method"},
    {"PUT", "/v1/status/leader", 405, "Invalid method"},
    {"PUT", "/v1/status/peers", 405, "Invalid method"},
    {"PUT", "/v1/regions", 405, "Invalid method"},
    {"PUT", "/v1/agent/self", 405, "Invalid method"},
    {"PUT", "/v1/agent/members", 405, "Invalid method"},
    {"PUT", "/v1/agent/health", 405, "Invalid method"},
    {"GET", "/v1/search", 405, "Invalid method"},
    {"GET", "/v1/system/gc", 405, "Invalid method"},
    /* known to Nomad, not here: never a silent 404 */
    {"PUT", "/v1/node/" ID_A "/drain", 501, MISSING "draining nodes"},
    {"POST", "/v1/node/" ID_A "/drain", 501, MISSING "draining nodes"},
    {"PUT", "/v1/node/a/b/drain", 501, MISSING "draining nodes"},
    {"PUT", "/v1/node/" ID_A "/eligibility", 501,
        MISSING "changing the scheduling eligibility of nodes"},
    {"PUT", "/v1/node/" ID_A "/evaluate", 501, MISSING "evaluating the jobs of a node"},
    {"PUT", "/v1/node/" ID_A "/purge", 501, MISSING "purging nodes"},
    {"GET", "/v1/node/pools", 501, MISSING "node pools"},
    {"GET", "/v1/node/pool/x/nodes", 501, MISSING "node pools"},
    {"POST", "/v1/jobs", 501, MISSING "jobs"},
    {"GET", "/v1/jobs", 501, MISSING "jobs"},
    {"DELETE", "/v1/job/x", 501, MISSING "jobs"},
    {"GET", "/v1/client/stats?node_id=" ID_A, 501, MISSING "ClientStats.Stats"},
    {"GET", "/v1/event/stream", 501, MISSING "the event stream"},
    {"GET", "/v1/metrics", 501, MISSING "metrics of a server"},
    {"GET", "/v1/operator/license", 501, MISSING "operator endpoints"},
    {"GET", "/v1/acl/policies", 400, "ACL support disabled"},
    {"PUT", "/v1/acl/bootstrap", 400, "ACL support disabled"},
    {"GET", "/v1/acl/token/self", 400, "ACL support disabled"},
    /* generic parameters */
    {"GET", "/v1/nodes?stale=zz", 400,
        "Expect `true` or `false` for `stale` query string parameter"},
    {"GET", "/v1/nodes?index=x", 400, "Invalid index"},
    {"GET", "/v1/nodes?index=-1", 400, "Invalid index"},
    {"GET", "/v1/nodes?index=1.0", 400, "Invalid index"},
    {"GET", "/v1/nodes?index=18446744073709551616", 400, "Invalid index"},
    {"GET", "/v1/nodes?wait=5", 400, "Invalid wait time"},
    {"GET", "/v1/nodes?wait=x", 400, "Invalid wait time"},
    {"GET", "/v1/nodes?per_page=x", 400,
        "Expect a number for `per_page` query string parameter"},
    {"GET", "/v1/nodes?per_page=2147483648", 400,
        "Expect a number for `per_page` query string parameter"},
    {"GET", "/v1/node/" ID_A "?index=x", 400, "Invalid index"},
    {"GET", "/v1/node/" ID_A "/allocations?wait=x", 400, "Invalid wait time"},
    {"GET", "/v1/status/leader?stale=zz", 400,
        "Expect `true` or `false` for `stale` query string parameter"},
    {"GET", "/v1/status/peers?index=q", 400, "Invalid index"},
    {"GET", "/v1/agent/health?index=q", 400, "Invalid index"},
    {"GET", "/v1/nodes?stale=zz&wait=x&index=q", 400,
        "Expect `true` or `false` for `stale` query string parameter"},
    {"GET", "/v1/nodes?wait=x&index=q", 400, "Invalid wait time"},
    {"GET", "/v1/nodes?index=q&region=mars", 400, "Invalid index"},
    {"GET", "/v1/nodes?resources=maybe", 400,
        "Failed to parse node list fields: Failed to parse value of \"resources\" (maybe) as a "
        "bool: strconv.ParseBool: parsing \"maybe\": invalid syntax"},
    {"GET", "/v1/nodes?os=a%22b", 400,
        "Failed to parse node list fields: Failed to parse value of \"os\" (a\"b) as a "
        "bool: strconv.ParseBool: parsing \"a\\\"b\": invalid syntax"},
    {"GET", "/v1/nodes?filter=Status%20==%20ready", 501,
        "filter expressions are not available in this release of Picket"},
    /* region */
    {"GET", "/v1/nodes?region=mars", 500, "No path to region"},
    {"GET", "/v1/node/" ID_A "?region=mars", 500, "No path to region"},
    {"GET", "/v1/node/" ID_A "/allocations?region=mars", 500, "No path to region"},
    {"GET", "/v1/node/?region=mars", 500, "No path to region"},
    {"GET", "/v1/status/leader?region=mars", 500, "No path to region"},
    {"GET", "/v1/status/peers?region=mars", 500, "No path to region"},
    /* ids */
    {"GET", "/v1/node/", 500, "missing node ID"},
    {"GET", "/v1/node/abc", 500, LOOKUP "UUID must be 36 characters"},
    {"GET", "/v1/node/drain", 500, LOOKUP "UUID must be 36 characters"},
    {"GET", "/v1/node/" ID_A "x", 500, LOOKUP "UUID must be 36 characters"},
    {"GET", "/v1/node/11d0a6c4-2f3e-4b5a-9c8d-7e6f-0413223", 500,
        LOOKUP "UUID should have maximum of 4 \"-\"; got 5"},
    {"GET", "/v1/node/11d0a6c4-2f3e-4b5a-9c8d07e6f50413223", 500,
        LOOKUP "Input (without hyphens) must be even length"},
    {"GET", "/v1/node/z1d0a6c4-2f3e-4b5a-9c8d-7e6f50413223", 500,
        LOOKUP "Invalid UUID: encoding/hex: invalid byte: U+007A 'z'"},
    {"GET", "/v1/nodes?prefix=abc", 500, LOOKUP "Input (without hyphens) must be even length"},
    {"GET", "/v1/nodes?prefix=zz", 500,
        LOOKUP "Invalid UUID: encoding/hex: invalid byte: U+007A 'z'"},
    {"GET", "/v1/nodes?prefix=" ID_A "00", 500,
        LOOKUP "Invalid UUID length. UUID have 36 characters; got 38"},
    {"GET", "/v1/node/" NOBODY, 404, "node not found"},
  /* clang-format on */
};

static void test_errors_have_nomads_codes_and_texts(void **state)
{
    struct api_bed *b = *state;

    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        _cleanup_answer_ struct answer a;

        api_bed_ask(b, errors[i].method, errors[i].target, "", "", &a);
        assert_body(errors[i].target, &a, errors[i].status, errors[i].body);
        if (a.body_len > 0)
            assert_string_equal(answer_header(&a, "Content-Type"), "text/plain; charset=utf-8");
        else
            assert_null(answer_header(&a, "Content-Type"));
        assert_string_equal(answer_header(&a, "Vary"), "Accept-Encoding");
    }
}

/* --- what the parameters do --- */

/* which of the nodes a, b, c are in the list, by their names in its order */
static void names_in(const struct answer *a, char ret[16])
{
    const char *at = a->body;
    size_t n = 0;

    while ((at = strstr(at, "\"Name\":\"")) && n < 15) {
        at += 8;
        ret[n++] = *at;
    }
    ret[n] = 0;
}

static const struct {
    const char *query, *names;
    const char *next_token; /* NULL = no such header */
} lists[] = {
    {"",                             "abc", NULL},
    {"?prefix=",                     "abc", NULL},
    {"?prefix=11",                   "a",   NULL},
    {"?prefix=22",                   "bc",  NULL},
    {"?prefix=22e1b7d5-30",          "b",   NULL},
    {"?prefix=22E1",                 "b",   NULL},
    {"?prefix=2-2-e1",               "b",   NULL},
    {"?prefix=" ID_C,                "c",   NULL},
    {"?prefix=33",                   "",    NULL},
    {"?prefix=11&prefix=22",         "a",   NULL},
    {"?prefix=%31%31",               "a",   NULL},
    {"?prefix=%zz",                  "abc", NULL},
    {"?prefix=11;x=1",               "abc", NULL},
    {"?&&prefix=11&",                "a",   NULL},
    {"?stale",                       "abc", NULL},
    {"?stale=",                      "abc", NULL},
    {"?stale=false",                 "abc", NULL},
    {"?stale=T",                     "abc", NULL},
    {"?consistent",                  "abc", NULL},
    {"?region=global",               "abc", NULL},
    {"?region=",                     "abc", NULL},
    {"?namespace=nope",              "abc", NULL},
    {"?namespace=*",                 "abc", NULL},
    {"?index=0",                     "abc", NULL},
    {"?index=",                      "abc", NULL},
    {"?index=5&wait=1h",             "abc", NULL},
    {"?wait=",                       "abc", NULL},
    {"?filter=",                     "abc", NULL},
    {"?token=zz",                    "abc", NULL},
    {"?unknown=1",                   "abc", NULL},
    {"?reverse=true",                "abc", NULL},
    {"?per_page=0",                  "abc", NULL},
    {"?per_page=1",                  "a",   ID_B},
    {"?per_page=%2B2",               "ab",  ID_C},
    {"?per_page=3",                  "abc", NULL},
    {"?per_page=9",                  "abc", NULL},
    {"?per_page=-1",                 "",    ID_A},
    {"?per_page=1&next_token=" ID_B, "b",   ID_C},
    {"?per_page=5&next_token=" ID_B, "bc",  NULL},
    {"?next_token=2",                "bc",  NULL},
    {"?next_token=z",                "",    NULL},
    {"?per_page=1&prefix=22",        "b",   ID_C},
    {"?per_page=1&next_token=" ID_C, "c",   NULL},
};

static void test_list_parameters(void **state)
{
    struct api_bed *b = *state;

    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        _cleanup_free_ char *target = xasprintf("/v1/nodes%s", lists[i].query);
        _cleanup_answer_ struct answer a;
        const char *token;
        char names[16];

        api_bed_get(b, target, &a);
        names_in(&a, names);
        if (a.status != 200 || !str_eq(names, lists[i].names))
            fail_msg("%s: %d, %s instead of %s\n%s", target, a.status, names, lists[i].names,
                     a.body);
        token = answer_header(&a, "X-Nomad-Nexttoken");
        if (!str_eq(str_or_empty(token), str_or_empty(lists[i].next_token)) ||
            !token != !lists[i].next_token)
            fail_msg("%s: next token %s", target, token);
        if (!*lists[i].names)
            assert_string_equal(a.body, "[]");
        assert_string_equal(answer_header(&a, "X-Nomad-Index"), "13");
        assert_string_equal(answer_header(&a, "X-Nomad-Knownleader"), "true");
        assert_string_equal(answer_header(&a, "X-Nomad-Lastcontact"), "0");
        assert_string_equal(answer_header(&a, "Content-Type"), "application/json");
    }
}

static void test_list_fields(void **state)
{
    static const struct {
        const char *query;
        bool resources, os;
    } rows[] = {
        {"",                        false, false},
        {"?resources=true",         true,  false},
        {"?resources=1",            true,  false},
        {"?resources=",             false, false},
        {"?resources=false&os=t",   false, true },
        {"?os=True&resources=TRUE", true,  true },
    };
    struct api_bed *b = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_free_ char *target = xasprintf("/v1/nodes%s", rows[i].query);
        _cleanup_answer_ struct answer a;

        api_bed_get(b, target, &a);
        assert_int_equal(a.status, 200);
        assert_int_equal(strstr(a.body, "\"Attributes\":{\"os.name\":\"debian\"}") != NULL,
                         rows[i].os);
        assert_null(strstr(a.body, "nomad.version")); /* of Attributes only what was asked for */
        assert_int_equal(strstr(a.body, "\"NodeResources\":{") != NULL, rows[i].resources);
    }
}

static void test_node_is_read_without_its_secret(void **state)
{
    struct api_bed *b = *state;
    _cleanup_answer_ struct answer a;

    api_bed_get(b, "/v1/node/" ID_B, &a);
    assert_int_equal(a.status, 200);
    assert_non_null(strstr(a.body, "\"ID\":\"" ID_B "\""));
    assert_non_null(strstr(a.body, "\"SecretID\":\"\""));
    assert_null(strstr(a.body, "5ec7e700"));
    assert_string_equal(answer_header(&a, "X-Nomad-Index"), "12");
    assert_true(a.body[a.body_len - 1] == '}');
}

static void test_missing_node_has_the_index_of_the_table(void **state)
{
    struct api_bed *b = *state;
    _cleanup_answer_ struct answer a;

    api_bed_get(b, "/v1/node/" NOBODY, &a);
    assert_body("", &a, 404, "node not found");
    assert_string_equal(answer_header(&a, "X-Nomad-Index"), "13");
    assert_string_equal(answer_header(&a, "X-Nomad-Knownleader"), "true");
    assert_string_equal(answer_header(&a, "X-Nomad-Lastcontact"), "0");
}

static void test_allocations_of_anything_are_a_list(void **state)
{
    static const char *const ids[] = {ID_A, NOBODY, "abc", "a/b"};
    struct api_bed *b = *state;

    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        _cleanup_free_ char *target = xasprintf("/v1/node/%s/allocations", ids[i]);
        _cleanup_answer_ struct answer a;

        api_bed_get(b, target, &a);
        assert_body(target, &a, 200, "[]");
        assert_string_equal(answer_header(&a, "X-Nomad-Index"), "1");
    }
    mp_array(&b->fake.allocs, 1);
    mp_map(&b->fake.allocs, 1);
    mp_str(&b->fake.allocs, "ID");
    mp_str(&b->fake.allocs, "x");
    for (int i = 0; i < 1; i++) {
        _cleanup_answer_ struct answer a;

        api_bed_get(b, "/v1/node/" ID_A "/allocations", &a);
        assert_body("", &a, 200, "[{\"ID\":\"x\"}]");
    }
}

static void test_small_endpoints(void **state)
{
    static const struct {
        const char *target;
        int status;
        const char *type, *body;
    } rows[] = {
  /* clang-format off */
        {"/v1/status/leader", 200, "application/json", "\"127.0.0.1:4647\""},
        {"/v1/status/leader?region=global&stale=", 200, "application/json", "\"127.0.0.1:4647\""},
        {"/v1/status/peers", 200, "application/json", "[\"127.0.0.1:4647\"]"},
        {"/v1/regions", 200, "application/json", "[\"global\"]"},
        {"/v1/regions?region=mars&index=x", 200, "application/json", "[\"global\"]"},
        {"/v1/agent/self", 200, "application/json", "{\"config\":{},\"stats\":{}}"},
        {"/v1/agent/self?index=x", 200, "application/json", "{\"config\":{},\"stats\":{}}"},
        {"/v1/agent/members", 200, "application/json", "{\"Members\":[]}"},
        {"/v1/agent/health", 200, "application/json", "{\"server\":{\"message\":\"ok\",\"ok\":true}}"},
        {"/v1/agent/health?type=nope", 200, "application/json", "{}"},
        {"/", 307, "text/html; charset=utf-8", "<a href=\"/ui/\">Temporary Redirect</a>.\n\n"},
        {"/ui/", 200, "text/html; charset=utf-8", "<html><p>Nomad UI is disabled</p></html>\n"},
        {"/ui/nodes", 200, "text/html; charset=utf-8", "<html><p>Nomad UI is disabled</p></html>\n"},
  /* clang-format on */
    };
    struct api_bed *b = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_answer_ struct answer a;

        api_bed_get(b, rows[i].target, &a);
        assert_body(rows[i].target, &a, rows[i].status, rows[i].body);
        assert_string_equal(answer_header(&a, "Content-Type"), rows[i].type);
        assert_null(answer_header(&a, "X-Nomad-Index"));
        assert_null(answer_header(&a, "X-Nomad-Knownleader"));
    }
}

static void test_health_by_type_and_illness(void **state)
{
    static const struct {
        const char *query, *type;
    } rows[] = {
        {"",                         ""      },
        {"?type=client",             "client"},
        {"?type=server",             "server"},
        {"?type=client&type=server", ""      },
        {"?type=x&type=client",      "client"},
    };
    struct api_bed *b = *state;
    _cleanup_answer_ struct answer ill;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_free_ char *target = xasprintf("/v1/agent/health%s", rows[i].query);
        _cleanup_answer_ struct answer a;

        api_bed_get(b, target, &a);
        assert_int_equal(a.status, 200);
        assert_string_equal(b->fake.health_type, rows[i].type);
    }
    b->fake.health_status = 500;
    b->fake.health_body = "{\"client\":{\"ok\":false,\"message\":\"no known servers\"}}";
    api_bed_get(b, "/v1/agent/health?pretty", &ill);
    assert_body("", &ill, 500, b->fake.health_body);
    assert_string_equal(answer_header(&ill, "Content-Type"), "text/plain; charset=utf-8");
}

static void test_fingerprint_is_there_only_where_there_is_one(void **state)
{
    struct api_bed *b = *state;
    _cleanup_answer_ struct answer none, some;

    api_bed_get(b, "/v1/agent/fingerprint", &none);
    assert_body("", &none, 404, "");
    fake_view_set_fingerprint(&b->fake);
    api_bed_get(b, "/v1/agent/fingerprint", &some);
    assert_body("", &some, 200, "{\"Probes\":[]}");
}

static void test_moved_paths(void **state)
{
    static const struct {
        const char *method, *target, *location;
    } rows[] = {
        {"GET",  "/v1//nodes?prefix=11", "/v1/nodes?prefix=11"},
        {"POST", "/v1/node//drain",      "/v1/node/drain"     },
        {"GET",  "/v1/./nodes",          "/v1/nodes"          },
        {"GET",  "/v1/x/../nodes",       "/v1/nodes"          },
        {"GET",  "/../../v1/nodes/..",   "/v1"                },
        {"GET",  "/v1/node/a%20b//c",    "/v1/node/a%20b/c"   },
        {"GET",  "/v1/node",             "/v1/node/"          },
        {"GET",  "/v1/node?x=1",         "/v1/node/?x=1"      },
        {"GET",  "/ui",                  "/ui/"               },
        {"GET",  "//",                   "/"                  },
        {"GET",  "/v1/node/pool",        "/v1/node/pool/"     },
    };
    struct api_bed *b = *state;

    strmap_set(&b->response_headers, "X-Test-Header", "hello");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_answer_ struct answer a;

        api_bed_ask(b, rows[i].method, rows[i].target, "", "", &a);
        if (a.status != 301 || !str_eq(answer_header(&a, "Location"), rows[i].location))
            fail_msg("%s: %s", rows[i].target, a.head);
        assert_null(answer_header(&a, "X-Test-Header"));
    }
}

static void test_configured_headers(void **state)
{
    struct api_bed *b = *state;
    _cleanup_answer_ struct answer a, method, unknown;

    strmap_set(&b->response_headers, "X-Test-Header", "hello");
    strmap_set(&b->response_headers, "Content-Type", "text/evil");
    strmap_set(&b->response_headers, "content-length", "1");
    strmap_set(&b->response_headers, "X-Split", "a\r\nX-Injected: 1");
    api_bed_get(b, "/v1/nodes", &a);
    assert_string_equal(answer_header(&a, "X-Test-Header"), "hello");
    assert_string_equal(answer_header(&a, "Content-Type"), "application/json");
    assert_null(answer_header(&a, "X-Injected"));
    api_bed_ask(b, "PUT", "/v1/nodes", "", "", &method);
    assert_string_equal(answer_header(&method, "X-Test-Header"), "hello");
    api_bed_get(b, "/v1/nope", &unknown);
    assert_null(answer_header(&unknown, "X-Test-Header"));
}

/* --- forms of the body --- */

static void test_pretty(void **state)
{
    static const struct {
        const char *query;
        bool pretty;
    } rows[] = {
        {"?pretty",       true },
        {"?pretty=",      true },
        {"?pretty=1",     true },
        {"?pretty=false", true },
        {"?pretty=0",     false},
        {"",              false},
    };
    struct api_bed *b = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_free_ char *target = xasprintf("/v1/regions%s", rows[i].query);
        _cleanup_answer_ struct answer a;

        api_bed_get(b, target, &a);
        assert_string_equal(a.body, rows[i].pretty ? "[\n    \"global\"\n]\n" : "[\"global\"]");
    }
}

static void inflate_body(const struct answer *a, int window_bits, struct buf *ret)
{
    z_stream z = {0};
    uint8_t piece[4096];
    int r;

    assert_int_equal(inflateInit2(&z, window_bits), Z_OK);
    z.next_in = (Bytef *)a->body;
    z.avail_in = (uInt)a->body_len;
    do {
        z.next_out = piece;
        z.avail_out = sizeof(piece);
        r = inflate(&z, Z_NO_FLUSH);
        assert_true(r == Z_OK || r == Z_STREAM_END);
        buf_add(ret, piece, sizeof(piece) - z.avail_out);
    } while (r != Z_STREAM_END);
    assert_int_equal(z.avail_in, 0);
    (void)inflateEnd(&z);
}

static void test_encodings(void **state)
{
    static const struct {
        const char *header, *coding;
    } rows[] = {
        {"Accept-Encoding: gzip\r\n",               "gzip"   },
        {"Accept-Encoding: gzip, deflate\r\n",      "gzip"   },
        {"Accept-Encoding: deflate, gzip\r\n",      "deflate"},
        {"Accept-Encoding: br,gzip\r\n",            "gzip"   },
        {"Accept-Encoding:  zstd , deflate \r\n",   "deflate"},
        {"Accept-Encoding: gzip;q=0\r\n",           NULL     },
        {"Accept-Encoding: gzip;q=1.0\r\n",         NULL     },
        {"Accept-Encoding: identity\r\n",           NULL     },
        {"Accept-Encoding: GZIP\r\n",               NULL     },
        {"Accept-Encoding:\r\n",                    NULL     },
        {"",                                        NULL     },
        {"Accept-Encoding: gzip\r\nUpgrade: x\r\n", NULL     },
    };
    struct api_bed *b = *state;
    _cleanup_answer_ struct answer plain, small;

    api_bed_get(b, "/v1/nodes", &plain);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_buf_ struct buf text = BUF_INIT(MIB);
        _cleanup_answer_ struct answer a;
        const char *coding;

        api_bed_ask(b, "GET", "/v1/nodes", rows[i].header, "", &a);
        coding = answer_header(&a, "Content-Encoding");
        if (!str_eq(str_or_empty(coding), str_or_empty(rows[i].coding)))
            fail_msg("%s: %s", rows[i].header, a.head);
        if (rows[i].coding)
            inflate_body(&a, str_eq(rows[i].coding, "gzip") ? 15 + 16 : -15, &text);
        else
            buf_add(&text, a.body, a.body_len);
        assert_string_equal(buf_str(&text), plain.body);
        assert_string_equal(answer_header(&a, "Vary"), "Accept-Encoding");
    }
    api_bed_ask(b, "GET", "/v1/regions", "Accept-Encoding: gzip\r\n", "", &small);
    assert_string_equal(small.body, "[\"global\"]"); /* too small to be worth it */
}

/* the whole list as gzip comes from kept pieces: the same text, also after changes */
static void test_a_long_list_as_gzip(void **state)
{
    struct api_bed *b = *state;

    for (unsigned i = 0; i < 300; i++) {
        _cleanup_free_ char *id = xasprintf("33%06x-0000-0000-0000-0000000000%02x", i, i % 256);

        fake_view_put(&b->fake, id, "n");
    }
    for (int round = 0; round < 3; round++) {
        static const char *const queries[] = {"",      "?prefix=33", "?per_page=200",
                                              "?os=1", "?pretty",    ""};

        for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
            _cleanup_free_ char *target = xasprintf("/v1/nodes%s", queries[i]);
            _cleanup_buf_ struct buf text = BUF_INIT(MIB);
            _cleanup_answer_ struct answer plain, zipped;

            api_bed_get(b, target, &plain);
            api_bed_ask(b, "GET", target, "Accept-Encoding: gzip\r\n", "", &zipped);
            assert_string_equal(answer_header(&zipped, "Content-Encoding"), "gzip");
            inflate_body(&zipped, 15 + 16, &text);
            assert_string_equal(buf_str(&text), plain.body);
        }
        fake_view_put(&b->fake, ID_B, round ? "y" : "x");
    }
}

/* answers made in slices, one after the other, while some of those who asked go away */
static void test_long_answers_in_slices(void **state)
{
    enum { ASKED = 6 };
    struct api_bed *b = *state;
    int fds[ASKED];

    for (unsigned i = 0; i < 2000; i++) {
        _cleanup_free_ char *id = xasprintf("33%06x-0000-0000-0000-0000000000%02x", i, i % 256);

        fake_view_put(&b->fake, id, "n");
    }
    for (int i = 0; i < ASKED; i++) {
        fds[i] = api_bed_dial(b);
        api_bed_say(b, fds[i],
                    i % 2 ? "GET /v1/nodes HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\n\r\n"
                          : "GET /v1/nodes?resources=1 HTTP/1.1\r\nHost: h\r\n\r\n");
        if (i == 1 || i == 2)
            (void)fd_close(fds[i]);
    }
    for (int i = 0; i < ASKED; i++) {
        _cleanup_answer_ struct answer a;

        if (i == 1 || i == 2)
            continue;
        api_bed_hear(b, fds[i], &a);
        assert_int_equal(a.status, 200);
        if (i % 2 == 0) {
            size_t n = 0;

            for (const char *at = a.body; (at = strstr(at, "\"NodeResources\":{")); at++)
                n++;
            assert_int_equal(n, 2003);
            assert_true(str_ends(a.body, "}]"));
        }
        (void)fd_close(fds[i]);
    }
    /* and one that is in work when everything ends */
    fds[0] = api_bed_dial(b);
    fake_view_put(&b->fake, ID_A, "x");
    api_bed_say(b, fds[0], "GET /v1/nodes?resources=1 HTTP/1.1\r\nHost: h\r\n\r\n");
    b->api = api_free(b->api);
    (void)fd_close(fds[0]);
}

/* what is laid out or compressed is made in slices as well: another request comes in between */
static void test_long_answers_in_every_form(void **state)
{
    static const char *const queries[] = {"", "prefix=33", "per_page=1900", "os=1"};
    static const char *const codings[] = {"", "gzip", "deflate"};
    struct api_bed *b = *state;

    for (unsigned i = 0; i < 2000; i++) {
        _cleanup_free_ char *id = xasprintf("33%06x-0000-0000-0000-0000000000%02x", i, i % 256);

        fake_view_put(&b->fake, id, "n");
    }
    for (size_t i = 0; i < 2 * ARRAY_LEN(queries) * ARRAY_LEN(codings); i++) {
        const char *query = queries[i / 6], *coding = codings[i / 2 % 3];
        _cleanup_free_ char *target = xasprintf("/v1/nodes?%s", query), *ask = NULL;
        _cleanup_buf_ struct buf want = BUF_INIT(16 * MIB), text = BUF_INIT(16 * MIB);
        _cleanup_answer_ struct answer plain, other, a;
        int fd = api_bed_dial(b), second = api_bed_dial(b);
        char c;

        api_bed_get(b, target, &plain);
        if (i % 2)
            js_pretty(&want, plain.body, plain.body_len);
        else
            buf_add(&want, plain.body, plain.body_len);
        ask = xasprintf("GET %s%s HTTP/1.1\r\nHost: h\r\nAccept-Encoding: %s\r\n\r\n", target,
                        i % 2 ? "&pretty" : "", coding);
        /* both are there before the loop turns */
        assert_int_equal(send(fd, ask, strlen(ask), 0), strlen(ask));
        api_bed_say(b, second, "GET /v1/status/leader HTTP/1.1\r\nHost: h\r\n\r\n");
        api_bed_hear(b, second, &other);
        assert_int_equal(other.status, 200);
        if (*coding && i >= 6) /* the whole list has pages */
            assert_int_equal(recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT), -1);
        api_bed_hear(b, fd, &a);
        if (*coding) {
            assert_string_equal(answer_header(&a, "Content-Encoding"), coding);
            inflate_body(&a, str_eq(coding, "gzip") ? 15 + 16 : -15, &text);
        } else {
            buf_add(&text, a.body, a.body_len);
        }
        assert_int_equal(text.len, want.len);
        assert_memory_equal(text.p, want.p, want.len);
        (void)fd_close(fd);
        (void)fd_close(second);
    }
}

/* --- what a view may say --- */

static void test_failures_of_the_view(void **state)
{
    static const struct {
        const char *text;
        int given, status;
        const char *body;
    } rows[] = {
  /* clang-format off */
        {"it broke", 0, 500, "it broke"},
        {"it broke", 503, 503, "it broke"},
        {"No cluster leader", 0, 500, "No cluster leader"},
        {"rpc error: Permission denied", 0, 403, "Permission denied"},
        {"rpc error: ACL token not found", 0, 403, "ACL token not found"},
        {"Permission denied?", 0, 500, "Permission denied?"},
        {"RPC Error:: 404,Unknown node \"x\"", 0, 404, "Unknown node \"x\""},
        {"rpc error: RPC Error:: 400,bad", 0, 400, "bad"},
        {"RPC Error:: 4,bad", 0, 500, "RPC Error:: 4,bad"},
        {"RPC Error:: 999,bad", 0, 500, "RPC Error:: 999,bad"},
        {"x: Filter expression cannot be used with other filter parameters", 0, 400,
            "Filter expression cannot be used with other filter parameters"},
        {"x: Job registration, dispatch, and scale are disabled by the scheduler configuration", 0,
            403, "Job registration, dispatch, and scale are disabled by the scheduler configuration"},
  /* clang-format on */
    };
    static const char *const targets[] = {"/v1/nodes", "/v1/node/" ID_A,
                                          "/v1/node/" ID_A "/allocations", "/v1/agent/members",
                                          "/v1/nodes?index=99&wait=10m"};
    struct api_bed *b = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        b->fake.failure = rows[i].text;
        b->fake.failure_status = rows[i].given;
        for (size_t k = 0; k < ARRAY_LEN(targets); k++) {
            _cleanup_answer_ struct answer a;

            api_bed_get(b, targets[k], &a);
            assert_body(targets[k], &a, rows[i].status, rows[i].body);
            assert_null(answer_header(&a, "X-Nomad-Index"));
            assert_string_equal(answer_header(&a, "Content-Type"), "text/plain; charset=utf-8");
        }
    }
}

static void test_without_a_leader(void **state)
{
    struct api_bed *b = *state;
    _cleanup_answer_ struct answer leader, peers, list;

    b->fake.leader = NULL;
    b->fake.meta = (struct view_meta){.known_leader = false, .last_contact_ms = 9223372036854};
    api_bed_get(b, "/v1/status/leader", &leader);
    assert_body("", &leader, 500, "No cluster leader");
    api_bed_get(b, "/v1/status/peers", &peers);
    assert_body("", &peers, 200, "[]");
    api_bed_get(b, "/v1/nodes?stale", &list);
    assert_string_equal(answer_header(&list, "X-Nomad-Knownleader"), "false");
    assert_string_equal(answer_header(&list, "X-Nomad-Lastcontact"), "9223372036854");
}

/* --- waiting --- */

static void start(struct api_bed *b, int fd, const char *target)
{
    _cleanup_free_ char *text = xasprintf("GET %s HTTP/1.1\r\nHost: h\r\n\r\n", target);

    api_bed_say(b, fd, text);
    turn_some(b->loop, 3);
}

static void pass_ms(struct api_bed *b, uint64_t ms)
{
    clock_fake_advance(ms * NSEC_PER_MSEC);
    (void)loop_run_due(b->loop);
    turn_some(b->loop, 3);
}

static void test_a_change_ends_the_waiting(void **state)
{
    struct api_bed *b = *state;
    _cleanup_close_ int fd = api_bed_dial(b);
    _cleanup_answer_ struct answer a;

    start(b, fd, "/v1/nodes?index=13&wait=60s");
    assert_false(api_bed_has_answer(b, fd));
    assert_int_equal(b->fake.n_waits, 1);
    fake_view_put(&b->fake, ID_A, "a");
    api_bed_hear(b, fd, &a);
    assert_int_equal(a.status, 200);
    assert_string_equal(answer_header(&a, "X-Nomad-Index"), "14");
    assert_int_equal(b->fake.n_waits, 0);
}

static void test_waiting_ends_in_time_with_current_data(void **state)
{
    static const struct {
        const char *wait;
        uint64_t ms;
    } rows[] = {
        {"&wait=2s",       2000  },
        {"&wait=1m30s",    90000 },
        {"",               300000},
        {"&wait=0s",       300000},
        {"&wait=-1s",      300000},
        {"&wait=10m",      300000},
        {"&wait=300s",     300000},
        {"&wait=2562047h", 300000},
    };
    struct api_bed *b = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_free_ char *target = xasprintf("/v1/nodes?index=99%s", rows[i].wait);
        _cleanup_close_ int fd = api_bed_dial(b);
        _cleanup_answer_ struct answer a;

        start(b, fd, target);
        pass_ms(b, rows[i].ms - 1);
        if (api_bed_has_answer(b, fd))
            fail_msg("%s came early", target);
        pass_ms(b, 1 + rows[i].ms / 16);
        api_bed_hear(b, fd, &a);
        assert_int_equal(a.status, 200);
        assert_string_equal(answer_header(&a, "X-Nomad-Index"), "13");
        assert_int_equal(b->fake.n_waits, 0);
    }
}

static void test_an_older_index_does_not_wait(void **state)
{
    static const char *const targets[] = {
        "/v1/nodes?index=12&wait=60s", "/v1/node/" ID_A "?index=10&wait=60s",
        "/v1/nodes?index=0&wait=60s", "/v1/node/" NOBODY "?index=12&wait=60s"};
    struct api_bed *b = *state;

    for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
        _cleanup_close_ int fd = api_bed_dial(b);

        start(b, fd, targets[i]);
        assert_true(api_bed_has_answer(b, fd));
    }
}

/* one node: woken by its own changes, not by others', nor by events that leave its index */
static void test_a_reader_of_one_node_sleeps_through_other_changes(void **state)
{
    struct api_bed *b = *state;
    _cleanup_close_ int fd = api_bed_dial(b);
    _cleanup_answer_ struct answer a;

    start(b, fd, "/v1/node/" ID_A "?index=11&wait=60s");
    fake_view_put(&b->fake, ID_B, "b");
    fake_view_touch_table(&b->fake);
    assert_false(api_bed_has_answer(b, fd));
    fake_view_put(&b->fake, ID_A, "z");
    api_bed_hear(b, fd, &a);
    assert_non_null(strstr(a.body, "\"Name\":\"z\""));
    assert_string_equal(answer_header(&a, "X-Nomad-Index"), "16");
}

/* woken for nothing newer: it goes on waiting, up to the same deadline */
static void test_waking_without_news_goes_on_waiting(void **state)
{
    struct api_bed *b = *state;
    _cleanup_close_ int fd = api_bed_dial(b);
    _cleanup_answer_ struct answer a;

    start(b, fd, "/v1/nodes?index=50&wait=16s");
    pass_ms(b, 8000);
    fake_view_touch_table(&b->fake);
    turn_some(b->loop, 3);
    assert_false(api_bed_has_answer(b, fd));
    assert_int_equal(b->fake.n_waits, 1);
    pass_ms(b, 9000);
    api_bed_hear(b, fd, &a);
    assert_string_equal(answer_header(&a, "X-Nomad-Index"), "14");
}

static void test_deletion_wakes_with_404_and_the_tables_index(void **state)
{
    struct api_bed *b = *state;
    _cleanup_close_ int fd = api_bed_dial(b);
    _cleanup_answer_ struct answer a;

    start(b, fd, "/v1/node/" ID_A "?index=11&wait=60s&pretty");
    fake_view_remove(&b->fake, ID_A);
    api_bed_hear(b, fd, &a);
    assert_body("", &a, 404, "node not found");
    assert_string_equal(answer_header(&a, "X-Nomad-Index"), "14");
}

static void test_a_node_that_comes_wakes_who_waits_for_it(void **state)
{
    struct api_bed *b = *state;
    _cleanup_close_ int fd = api_bed_dial(b);
    _cleanup_answer_ struct answer a;

    start(b, fd, "/v1/node/" NOBODY "?index=13&wait=60s");
    assert_false(api_bed_has_answer(b, fd));
    fake_view_put(&b->fake, NOBODY, "n");
    api_bed_hear(b, fd, &a);
    assert_int_equal(a.status, 200);
}

static void test_pretty_and_gzip_survive_the_waiting(void **state)
{
    struct api_bed *b = *state;
    _cleanup_close_ int fd = api_bed_dial(b);
    _cleanup_buf_ struct buf text = BUF_INIT(MIB);
    _cleanup_answer_ struct answer a;

    strmap_set(&b->response_headers, "X-Test-Header", "hello");
    api_bed_say(b, fd,
                "GET /v1/nodes?index=13&pretty&prefix=11 HTTP/1.1\r\nHost: h\r\nAccept-Encoding: "
                "gzip\r\n\r\n");
    turn_some(b->loop, 3);
    fake_view_put(&b->fake, ID_A, "a");
    api_bed_hear(b, fd, &a);
    inflate_body(&a, 15 + 16, &text);
    assert_true(str_starts(buf_str(&text), "[\n    {\n        \"Address\": \"10.0.0.1\",\n"));
    assert_null(strstr(buf_str(&text), ID_B));
    assert_string_equal(answer_header(&a, "X-Test-Header"), "hello");
}

/* --- long lists: pages of 64 --- */

enum { LONG = 200 };

static void put_long(struct api_bed *b)
{
    for (unsigned i = 0; i < LONG; i++) {
        _cleanup_free_ char *id = xasprintf("%08x-0000-0000-0000-000000000000", 0xc0000000 + i);

        fake_view_put(&b->fake, id, "one of many");
    }
}

/* the same list in every form */
static void test_long_lists_are_the_same_in_every_form(void **state)
{
    static const struct {
        const char *query, *headers;
        int window; /* of zlib; 0 = plain */
    } rows[] = {
        {"",        "",                             0      },
        {"",        "Accept-Encoding: gzip\r\n",    15 + 16},
        {"",        "Accept-Encoding: deflate\r\n", -15    },
        {"?pretty", "",                             0      },
        {"?pretty", "Accept-Encoding: gzip\r\n",    15 + 16},
    };
    _cleanup_buf_ struct buf want = BUF_INIT(MIB), pretty = BUF_INIT(MIB);
    struct api_bed *b = *state;

    put_long(b);
    buf_add_byte(&want, '[');
    for (size_t i = 0; i < b->fake.n; i++) {
        if (i > 0)
            buf_add_byte(&want, ',');
        assert_int_equal(stub_json(b->fake.v[i], false, false, &want, NULL), 0);
    }
    buf_add_byte(&want, ']');
    js_pretty(&pretty, buf_str(&want), want.len);
    for (size_t i = 0; i < 2 * ARRAY_LEN(rows); i++) { /* made, then from what is kept */
        _cleanup_free_ char *target = xasprintf("/v1/nodes%s", rows[i / 2].query);
        _cleanup_buf_ struct buf text = BUF_INIT(MIB);
        _cleanup_answer_ struct answer a;
        const struct buf *expected = *rows[i / 2].query ? &pretty : &want;

        api_bed_ask(b, "GET", target, rows[i / 2].headers, "", &a);
        assert_int_equal(a.status, 200);
        if (rows[i / 2].window)
            inflate_body(&a, rows[i / 2].window, &text);
        else
            buf_add(&text, a.body, a.body_len);
        assert_string_equal(buf_str(&text), buf_str(expected));
    }
}

static size_t count_ids(const char *json)
{
    size_t n = 0;

    while ((json = strstr(json, "\"ID\":\""))) {
        json++;
        n++;
    }
    return n;
}

static void test_long_lists_are_read_in_pieces(void **state)
{
    static const unsigned steps[] = {1, 7, 63, 64, 65, 128, 199, 200, 500};
    _cleanup_answer_ struct answer all;
    struct api_bed *b = *state;

    put_long(b);
    api_bed_get(b, "/v1/nodes?prefix=c0", &all);
    assert_int_equal(count_ids(all.body), LONG);
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        _cleanup_buf_ struct buf joined = BUF_INIT(MIB);
        char token[64] = "";
        size_t turns = 0;

        do {
            _cleanup_free_ char *target =
                xasprintf("/v1/nodes?prefix=c0&per_page=%u&next_token=%s", steps[i], token);
            _cleanup_answer_ struct answer a;

            api_bed_get(b, target, &a);
            assert_int_equal(a.status, 200);
            assert_true(count_ids(a.body) == steps[i] ||
                        !*str_or_empty(answer_header(&a, "X-Nomad-Nexttoken")));
            buf_add_byte(&joined, turns++ == 0 ? '[' : ',');
            buf_add(&joined, a.body + 1, a.body_len - 2);
            (void)snprintf(token, sizeof(token), "%s",
                           str_or_empty(answer_header(&a, "X-Nomad-Nexttoken")));
        } while (*token);
        buf_add_byte(&joined, ']');
        assert_string_equal(buf_str(&joined), all.body);
        assert_int_equal(turns, (LONG + steps[i] - 1) / steps[i]);
    }
}

/* old texts that somebody holds are of all lists: the next reader is told to come later */
static void test_texts_that_are_held_end_lists(void **state)
{
    struct api_bed *b = *state;
    struct blob *held = blob_alloc(TEXTS_LIVE_MAX), *more = blob_alloc(MIB); /* never written to */
    _cleanup_answer_ struct answer busy, one, again, pretty, pretty2, well;
    size_t others = 0;

    put_long(b);
    assert_non_null(held);
    assert_non_null(more);
    api_bed_get(b, "/v1/nodes", &busy);
    assert_int_equal(busy.status, 503);
    assert_non_null(answer_header(&busy, "Retry-After"));
    assert_non_null(strstr(busy.body, "slow readers of node lists"));
    api_bed_get(b, "/v1/node/" ID_A, &one);
    assert_int_equal(one.status, 200);
    /* what was kept for others goes out as a copy, that is held against the ceiling of all answers
     */
    api_bed_get(b, "/v1/node/" ID_A, &again);
    assert_int_equal(again.status, 200);
    assert_string_equal(again.body, one.body);
    budget_limit(BUDGET_OUT, PEERS_SMALL);
    budget_hold(BUDGET_OUT, &others, PEERS_SMALL);
    api_bed_get(b, "/v1/nodes?pretty", &pretty); /* made, refused, kept */
    assert_int_equal(pretty.status, 503);
    api_bed_get(b, "/v1/nodes?pretty", &pretty2);
    assert_int_equal(pretty2.status, 503);
    budget_hold(BUDGET_OUT, &others, 0);
    budget_limit(BUDGET_OUT, 0);
    (void)blob_unref(held);
    (void)blob_unref(more);
    api_bed_get(b, "/v1/nodes", &well);
    assert_int_equal(well.status, 200);
}

/* the connection outlives a long answer without its body */
static void test_head_of_a_long_list(void **state)
{
    struct api_bed *b = *state;
    _cleanup_close_ int fd = api_bed_dial(b);
    _cleanup_answer_ struct answer get;

    put_long(b);
    api_bed_say(b, fd, "HEAD /v1/nodes HTTP/1.1\r\nHost: h\r\n\r\n");
    turn_some(b->loop, 5);
    while (api_bed_has_answer(b, fd)) {
        char head[4096];

        if (recv(fd, head, sizeof(head), 0) <= 0)
            break;
    }
    start(b, fd, "/v1/node/" ID_A);
    api_bed_hear(b, fd, &get);
    assert_int_equal(get.status, 200);
    assert_true(str_starts(get.body, "{"));
}

static void test_a_vanished_client_is_forgotten(void **state)
{
    struct api_bed *b = *state;
    int fd = api_bed_dial(b);
    size_t asked;

    start(b, fd, "/v1/nodes?index=13&wait=60s");
    assert_int_equal(b->fake.n_waits, 1);
    asked = b->fake.n_asked;
    (void)fd_close(fd);
    turn_until(b->loop, b->fake.n_waits == 0);
    fake_view_put(&b->fake, ID_A, "a");
    pass_ms(b, 400000);
    assert_int_equal(b->fake.n_asked, asked);
}

/* gone between being woken and being looked at again */
static void test_a_client_that_vanishes_as_it_is_woken(void **state)
{
    struct api_bed *b = *state;
    int fd = api_bed_dial(b);

    start(b, fd, "/v1/nodes?index=13&wait=60s");
    (void)fd_close(fd);
    fake_view_put(&b->fake, ID_A, "a");
    turn_some(b->loop, 5);
    assert_int_equal(b->fake.n_waits, 0);
}

static void test_many_readers_are_woken_by_one_change(void **state)
{
    enum { READERS = 200 };
    struct api_bed *b = *state;
    int fds[READERS];

    for (size_t i = 0; i < READERS; i++) {
        fds[i] = api_bed_dial(b);
        start(b, fds[i], i % 2 ? "/v1/nodes?index=13" : "/v1/node/" ID_A "?index=11");
    }
    assert_int_equal(b->fake.n_waits, READERS);
    fake_view_put(&b->fake, ID_A, "a");
    for (size_t i = 0; i < READERS; i++) {
        _cleanup_answer_ struct answer a;

        api_bed_hear(b, fds[i], &a);
        assert_int_equal(a.status, 200);
        assert_string_equal(answer_header(&a, "X-Nomad-Index"), "14");
        (void)fd_close(fds[i]);
    }
}

static void test_stopping_ends_what_waits(void **state)
{
    struct api_bed *b = *state;
    _cleanup_close_ int fd = api_bed_dial(b), woken = api_bed_dial(b);

    start(b, fd, "/v1/node/" ID_A "?index=11&wait=60s");
    start(b, woken, "/v1/nodes?index=13&wait=60s");
    fake_view_touch_table(&b->fake); /* on the way to be looked at */
    b->api = api_free(b->api);
    assert_int_equal(b->fake.n_waits, 0);
}

#define PLAIN(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define TIMED(test) cmocka_unit_test_setup_teardown(test, setup_fake_clock, teardown_fake_clock)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLAIN(test_errors_have_nomads_codes_and_texts),
        PLAIN(test_list_parameters),
        PLAIN(test_list_fields),
        PLAIN(test_node_is_read_without_its_secret),
        PLAIN(test_missing_node_has_the_index_of_the_table),
        PLAIN(test_allocations_of_anything_are_a_list),
        PLAIN(test_small_endpoints),
        PLAIN(test_health_by_type_and_illness),
        PLAIN(test_fingerprint_is_there_only_where_there_is_one),
        PLAIN(test_moved_paths),
        PLAIN(test_configured_headers),
        PLAIN(test_pretty),
        PLAIN(test_encodings),
        PLAIN(test_a_long_list_as_gzip),
        PLAIN(test_long_answers_in_slices),
        PLAIN(test_long_answers_in_every_form),
        PLAIN(test_failures_of_the_view),
        PLAIN(test_without_a_leader),
        TIMED(test_a_change_ends_the_waiting),
        TIMED(test_waiting_ends_in_time_with_current_data),
        TIMED(test_an_older_index_does_not_wait),
        TIMED(test_a_reader_of_one_node_sleeps_through_other_changes),
        TIMED(test_waking_without_news_goes_on_waiting),
        TIMED(test_deletion_wakes_with_404_and_the_tables_index),
        TIMED(test_a_node_that_comes_wakes_who_waits_for_it),
        TIMED(test_pretty_and_gzip_survive_the_waiting),
        PLAIN(test_long_lists_are_the_same_in_every_form),
        PLAIN(test_long_lists_are_read_in_pieces),
        PLAIN(test_texts_that_are_held_end_lists),
        PLAIN(test_head_of_a_long_list),
        TIMED(test_a_vanished_client_is_forgotten),
        TIMED(test_a_client_that_vanishes_as_it_is_woken),
        TIMED(test_many_readers_are_woken_by_one_change),
        TIMED(test_stopping_ends_what_waits),
    };

    loop_block_signals();
    rand_seed(7);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
