/* api/router, api/url: which row takes a path, and Go's rules for paths and queries. */
#include "api/router.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api/handlers.h"
#include "api/quote.h"
#include "api/url.h"
#include "base/str.h"

static void test_rows_by_path(void **state)
{
    static const struct {
        const char *method, *path;
        int result;
        const char *pattern, *id;
    } rows[] = {
  /* clang-format off */
        {"GET", "/v1/nodes", ROUTER_FOUND, "/v1/nodes", ""},
        {"GET", "/v1/%6eodes", ROUTER_FOUND, "/v1/nodes", ""},
        {"GET", "/v1/node/x", ROUTER_FOUND, "/v1/node/:id", "x"},
        {"GET", "/v1/node/", ROUTER_FOUND, "/v1/node/:id", ""},
        {"GET", "/v1/node/x/y", ROUTER_FOUND, "/v1/node/:id", "x/y"},
        {"GET", "/v1/node/x%2Fy", ROUTER_FOUND, "/v1/node/:id", "x/y"},
        {"GET", "/v1/node/x/allocations", ROUTER_FOUND, "/v1/node/:id/allocations", "x"},
        {"GET", "/v1/node/x%2Fallocations", ROUTER_FOUND, "/v1/node/:id/allocations", "x"},
        {"GET", "/v1/node/a/b/allocations", ROUTER_FOUND, "/v1/node/:id/allocations", "a/b"},
        {"GET", "/v1/node/allocations", ROUTER_FOUND, "/v1/node/:id", "allocations"},
        {"GET", "/v1/node/x/allocationsx", ROUTER_FOUND, "/v1/node/:id", "x/allocationsx"},
        {"GET", "/v1/node/x/ALLOCATIONS", ROUTER_FOUND, "/v1/node/:id", "x/ALLOCATIONS"},
        {"GET", "/v1/node/x/allocations/", ROUTER_FOUND, "/v1/node/:id", "x/allocations/"},
        {"PUT", "/v1/node/a/drain", ROUTER_FOUND, "/v1/node/:id/drain", "a"},
        {"PUT", "/v1/node/x/evaluate/drain", ROUTER_FOUND, "/v1/node/:id/drain", "x/evaluate"},
        {"PUT", "/v1/node/x/drain/evaluate", ROUTER_FOUND, "/v1/node/:id/evaluate", "x/drain"},
        {"GET", "/v1/node/x/drain", ROUTER_METHOD, NULL, NULL},
        {"get", "/v1/nodes", ROUTER_METHOD, NULL, NULL},
        {"GET", "/v1/node/pools", ROUTER_FOUND, "/v1/node/pools", ""},
        {"GET", "/v1/node/pool/a", ROUTER_FOUND, "/v1/node/pool/*", "a"},
        {"GET", "/v1/node/pool/a/drain", ROUTER_FOUND, "/v1/node/pool/*", "a/drain"},
        {"GET", "/v1/node/poolx", ROUTER_FOUND, "/v1/node/:id", "poolx"},
        {"GET", "/", ROUTER_FOUND, "/", ""},
        {"GET", "/v1", ROUTER_NOT_FOUND, NULL, NULL},
        {"GET", "/v1/", ROUTER_NOT_FOUND, NULL, NULL},
        {"GET", "/v1/nodes/", ROUTER_NOT_FOUND, NULL, NULL},
        {"GET", "/v1/NODES", ROUTER_NOT_FOUND, NULL, NULL},
        {"GET", "/v1/nodesx", ROUTER_NOT_FOUND, NULL, NULL},
        {"GET", "*", ROUTER_NOT_FOUND, NULL, NULL},
        {"GET", "/v1/node", ROUTER_MOVED, NULL, NULL},
        {"GET", "/v1/%2e%2e/v1/nodes", ROUTER_MOVED, NULL, NULL},
        {"GET", "/%", -EINVAL, NULL, NULL},
        {"GET", "/%0", -EINVAL, NULL, NULL},
        {"GET", "/%g0", -EINVAL, NULL, NULL},
  /* clang-format on */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_(router_match_done) struct router_match m = {0};
        struct err e = {0};
        int r = router_find(rows[i].method, rows[i].path, "", &m, &e);

        if (r != rows[i].result)
            fail_msg("%s %s: %d", rows[i].method, rows[i].path, r);
        if (r != ROUTER_FOUND)
            continue;
        if (!str_eq(m.route->pattern, rows[i].pattern) || !str_eq(m.id, rows[i].id))
            fail_msg("%s: %s with id %s", rows[i].path, m.route->pattern, m.id);
    }
}

/* the table itself: what the router relies on */
static void test_the_table_is_in_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_routes; i++) {
        const struct route *r = &routes[i];

        assert_true(r->methods != 0);
        assert_true(r->pattern[0] == '/');
        /* both: the handler says so where the view has no such method */
        if (!r->handler && !r->missing)
            fail_msg("%s has neither handler nor missing", r->pattern);
        if ((r->flags & ROUTE_BLOCKING) && !(r->flags & ROUTE_PARAMS))
            fail_msg("%s waits without reading index and wait", r->pattern);
        for (size_t k = i + 2; k < n_routes; k++)
            if (str_eq(r->pattern, routes[k].pattern))
                assert_string_equal(r->pattern, routes[k - 1].pattern);
        for (size_t k = i + 1; k < n_routes; k++)
            if (str_eq(r->pattern, routes[k].pattern) && (r->methods & routes[k].methods))
                fail_msg("%s has two rows for one method", r->pattern);
    }
}

static void test_paths_are_cleaned_as_by_go(void **state)
{
    static const struct {
        const char *path, *clean;
    } rows[] = {
        {"/",        "/"     },
        {"//",       "/"     },
        {"/.",       "/"     },
        {"/..",      "/"     },
        {"/a",       "/a"    },
        {"/a/",      "/a/"   },
        {"//a//b//", "/a/b/" },
        {"/a/./b",   "/a/b"  },
        {"/a/../b",  "/b"    },
        {"/a/b/..",  "/a"    },
        {"/a/b/../", "/a/"   },
        {"/../../a", "/a"    },
        {"/a/...",   "/a/..."},
        {"/.a",      "/.a"   },
        {"/a/..b",   "/a/..b"},
        {"/a/.",     "/a"    },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_buf_ struct buf b = BUF_INIT(100);

        url_clean_path(&b, rows[i].path);
        if (!str_eq(buf_str(&b), rows[i].clean))
            fail_msg("%s: %s", rows[i].path, buf_str(&b));
    }
}

static void test_query_pairs(void **state)
{
    char text[] = "a=1&b&c=&=d&e=%41+%2B&%zz=1&f=%z&g;h=1&&i=j=k&%00=1";
    static const char *const want[][2] = {
        {"a", "1"  },
        {"b", ""   },
        {"c", ""   },
        {"",  "d"  },
        {"e", "A +"},
        {"i", "j=k"},
    };
    const char *key, *value;
    char *at = text;
    size_t n = 0;

    (void)state;
    while (url_next_pair(&at, &key, &value)) {
        assert_true(n < ARRAY_LEN(want));
        assert_string_equal(key, want[n][0]);
        assert_string_equal(value, want[n][1]);
        n++;
    }
    assert_int_equal(n, ARRAY_LEN(want));
}

static void test_paths_are_encoded(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(100);

    (void)state;
    url_encode_path(&b, "/a b/%?#\"\xc3\xa4\r\n");
    assert_string_equal(buf_str(&b), "/a%20b/%25%3F%23%22%C3%A4%0D%0A");
}

static void test_quotes_as_go_prints_them(void **state)
{
    static const struct {
        const char *text, *quoted;
    } rows[] = {
        {"maybe",      "\"maybe\""         },
        {"a\"b\\c",    "\"a\\\"b\\\\c\""   },
        {"\n\t\r\x01", "\"\\n\\t\\r\\x01\""},
        {"\xc3\xa4",   "\"\xc3\xa4\""      },
        {"\xff",       "\"\\xff\""         },
        {"",           "\"\""              },
    };
    char out[64], small[10];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        quote_go(rows[i].text, out, sizeof(out));
        assert_string_equal(out, rows[i].quoted);
    }
    quote_go("0123456789\n\n\n\n", small, sizeof(small));
    assert_string_equal(small, "\"012\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_by_path),
        cmocka_unit_test(test_the_table_is_in_order),
        cmocka_unit_test(test_paths_are_cleaned_as_by_go),
        cmocka_unit_test(test_query_pairs),
        cmocka_unit_test(test_paths_are_encoded),
        cmocka_unit_test(test_quotes_as_go_prints_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
