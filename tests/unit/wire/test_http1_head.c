/* wire/http1_head: which heads are read, how, and which are refused. */
#include "wire/http1_head.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"

static int parse(const char *text, struct http_head **ret, struct err *e)
{
    struct http_scan s = {0};
    ssize_t k;

    *e = (struct err){0};
    k = http_head_scan(&s, (const uint8_t *)text, strlen(text), e);
    if (k < 0)
        return (int)k;
    if (k == 0)
        return err_set(e, -EAGAIN, "incomplete");
    return http_head_parse((const uint8_t *)text, (size_t)k, 1000, ret, e);
}

/* of what must be fine; never NULL */
static struct http_head *parsed(const char *text)
{
    struct http_head *h = NULL;
    struct err e;

    if (parse(text, &h, &e) == 0 && h)
        return h;
    fail_msg("%s: %s", text, e.text);
    abort();
}

static void test_request_is_split_into_its_parts(void **state)
{
    static const char text[] = "POST /v1/node/x%20y/drain?a=1&b=%2F HTTP/1.1\r\nHost: h\r\n"
                               "X-Empty:\r\nX-Blank: \t v w \t\r\nContent-Length: 12\r\n\r\nbody";
    _cleanup_free_ struct http_head *h = parsed(text);

    (void)state;
    assert_string_equal(h->method, "POST");
    assert_string_equal(h->target, "/v1/node/x%20y/drain?a=1&b=%2F");
    assert_string_equal(h->path, "/v1/node/x%20y/drain");
    assert_string_equal(h->query, "a=1&b=%2F");
    assert_int_equal(h->n_headers, 4);
    assert_string_equal(http_headers_get(h->headers, h->n_headers, "host"), "h");
    assert_string_equal(http_headers_get(h->headers, h->n_headers, "X-EMPTY"), "");
    assert_string_equal(http_headers_get(h->headers, h->n_headers, "x-blank"), "v w");
    assert_null(http_headers_get(h->headers, h->n_headers, "x-nope"));
    assert_true(h->has_length);
    assert_int_equal(h->length, 12);
    assert_true(h->keep_alive);
    assert_false(h->chunked);
}

static void test_targets(void **state)
{
    static const struct {
        const char *target, *path, *query;
    } rows[] = {
        {"/",                     "/",         ""   },
        {"/?",                    "/",         ""   },
        {"/a?b?c",                "/a",        "b?c"},
        {"http://h:1/v1/nodes?p", "/v1/nodes", "p"  },
        {"http://h",              "/",         ""   },
        {"http://h?q=1",          "/",         "q=1"},
        {"*",                     "*",         ""   },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_free_ struct http_head *h = NULL;
        char text[128];

        (void)snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: h\r\n\r\n",
                       *rows[i].target == '*' ? "OPTIONS" : "GET", rows[i].target);
        h = parsed(text);
        assert_string_equal(h->target, rows[i].target);
        assert_string_equal(h->path, rows[i].path);
        assert_string_equal(h->query, rows[i].query);
    }
}

static void test_keep_alive_by_version_and_header(void **state)
{
    static const struct {
        const char *text;
        bool keep;
    } rows[] = {
        {"GET / HTTP/1.1\r\nHost: h\r\n\r\n",                         true },
        {"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",    false},
        {"GET / HTTP/1.1\r\nHost: h\r\nConnection: x, Close\r\n\r\n", false},
        {"GET / HTTP/1.0\r\n\r\n",                                    false},
        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",          true },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_free_ struct http_head *h = parsed(rows[i].text);

        assert_int_equal(h->keep_alive, rows[i].keep);
    }
}

#define R11 "GET / HTTP/1.1\r\nHost: h\r\n"

static const struct {
    const char *text;
    int status;
    const char *part; /* of the sentence */
} refused[] = {
  /* clang-format off */
    {"GET / HTTP/1.1\nHost: h\n\n", 400, "line feed without"},
    {"GET / HTTP/1.1\r\nHost: h\n\r\n", 400, "line feed without"},
    {"GET / HTTP/1.1\r\nHost: h\rX: 1\r\n\r\n", 400, "carriage return without"},
    {R11 "X: a\r\n b\r\n\r\n", 400, "folded"},
    {R11 "X: a\r\n\tb\r\n\r\n", 400, "folded"},
    {" GET / HTTP/1.1\r\n\r\n", 400, "blank before"},
    {R11 "X: \x01\r\n\r\n", 400, "control character"},
    {R11 "X: \x7f\r\n\r\n", 400, "control character"},
    {R11 "X : 1\r\n\r\n", 400, ""},
    {R11 "Transfer-Encoding : chunked\r\n\r\n", 400, ""},
    {R11 "X Y: 1\r\n\r\n", 400, ""},
    {R11 ": 1\r\n\r\n", 400, ""},
    {R11 "no colon\r\n\r\n", 400, ""},
    {"GET / HTTP/1.1\r\n\r\n", 400, "missing Host"},
    {R11 "Host: i\r\n\r\n", 400, "more than one Host"},
    {R11 "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400, ""},
    {R11 "Content-Length: 1, 1\r\n\r\n", 400, ""},
    {R11 "Content-Length: +1\r\n\r\n", 400, ""},
    {R11 "Content-Length: -1\r\n\r\n", 400, ""},
    {R11 "Content-Length: 0x1\r\n\r\n", 400, ""},
    {R11 "Content-Length:\r\n\r\n", 400, ""},
    {R11 "Content-Length: 1 2\r\n\r\n", 400, ""},
    {R11 "Content-Length: 1001\r\n\r\n", 413, "larger than 1000"},
    {R11 "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400, ""},
    {R11 "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", 400, ""},
    {R11 "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "more than one"},
    {R11 "Transfer-Encoding: gzip\r\n\r\n", 501, "unsupported"},
    {R11 "Transfer-Encoding: gzip, chunked\r\n\r\n", 501, "unsupported"},
    {R11 "Transfer-Encoding: xchunked\r\n\r\n", 501, "unsupported"},
    {"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "HTTP/1.0"},
    {R11 "Expect: tea\r\n\r\n", 417, "expectation"},
    {"GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505, "version"},
    {"GET / HTTP/0.9\r\nHost: h\r\n\r\n", 505, "version"},
    {"GET /\r\n\r\n", 505, "version"},
    {"GET / HTTP/1.2\r\nHost: h\r\n\r\n", 505, "version"},
    {"GET / HTTP/1.1 x\r\nHost: h\r\n\r\n", 400, ""},
    {"GET  HTTP/1.1\r\nHost: h\r\n\r\n", 400, ""},
    {"FOO / HTTP/1.1\r\nHost: h\r\n\r\n", 400, ""},
    {"get / HTTP/1.1\r\nHost: h\r\n\r\n", 400, ""},
    {"GET nodes HTTP/1.1\r\nHost: h\r\n\r\n", 400, ""},
    {"CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n", 400, "no path"},
    {"HTTP/1.1 200 OK\r\n\r\n", 400, ""},
    {"\x16\x03\x01\x02", 400, "control character"},
  /* clang-format on */
};

static void test_doubtful_requests_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        _cleanup_free_ struct http_head *h = NULL;
        struct err e;
        int r = parse(refused[i].text, &h, &e);

        if (r >= 0 || e.status != refused[i].status || !strstr(e.text, refused[i].part))
            fail_msg("%s -> %d, %d %s", refused[i].text, r, e.status, e.text);
    }
}

static void test_nul_is_refused_at_once(void **state)
{
    struct http_scan s = {0};
    struct err e = {0};

    (void)state;
    assert_int_equal(http_head_scan(&s, (const uint8_t *)"GET /\0", 6, &e), -EBADMSG);
    assert_int_equal(e.status, 400);
}

/* the end is found wherever the bytes are cut, and nothing is looked at twice */
static void test_scan_goes_on_where_it_stopped(void **state)
{
    static const char text[] = R11 "X: 1\r\n\r\nrest";
    size_t len = strlen(text), head = len - 4;

    (void)state;
    for (size_t cut = 1; cut < head; cut++) {
        struct http_scan s = {0};
        struct err e = {0};

        assert_int_equal(http_head_scan(&s, (const uint8_t *)text, cut, &e), 0);
        assert_int_equal(s.at, cut);
        assert_int_equal(http_head_scan(&s, (const uint8_t *)text, len, &e), head);
    }
}

static void test_too_large_a_head_is_431(void **state)
{
    size_t n = HTTP_HEAD_MAX + 100;
    _cleanup_free_ char *text = xnew0_n(char, n + 1);
    struct http_scan s = {0};
    struct err e = {0};

    (void)state;
    memset(text, 'a', n);
    assert_int_equal(http_head_scan(&s, (const uint8_t *)text, n, &e), -EMSGSIZE);
    assert_int_equal(e.status, 431);
    assert_int_equal(s.at, HTTP_HEAD_MAX);
}

static void test_too_many_headers_are_431(void **state)
{
    _cleanup_free_ struct http_head *h = NULL;
    _cleanup_buf_ struct buf b = BUF_INIT(HTTP_HEAD_MAX);
    struct err e;

    (void)state;
    buf_add_str(&b, R11);
    for (int i = 1; i < HTTP_HEADERS_MAX; i++)
        buf_add_str(&b, "X: 1\r\n");
    buf_add_str(&b, "\r\n");
    assert_int_equal(parse(buf_str(&b), &h, &e), 0);
    assert_int_equal(h->n_headers, HTTP_HEADERS_MAX);
    h = mem_free(h);
    buf_drop(&b, b.len);
    buf_add_str(&b, R11);
    for (int i = 0; i < HTTP_HEADERS_MAX; i++)
        buf_add_str(&b, "X: 1\r\n");
    buf_add_str(&b, "\r\n");
    assert_int_equal(parse(buf_str(&b), &h, &e), -EMSGSIZE);
    assert_int_equal(e.status, 431);
}

static void test_no_memory_is_503(void **state)
{
    struct http_head *h = NULL;
    struct err e;

    (void)state;
    mem_torture(1);
    assert_int_equal(parse(R11 "\r\n", &h, &e), -ENOMEM);
    mem_torture(0);
    assert_int_equal(e.status, 503);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_is_split_into_its_parts),
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_keep_alive_by_version_and_header),
        cmocka_unit_test(test_doubtful_requests_are_refused),
        cmocka_unit_test(test_nul_is_refused_at_once),
        cmocka_unit_test(test_scan_goes_on_where_it_stopped),
        cmocka_unit_test(test_too_large_a_head_is_431),
        cmocka_unit_test(test_too_many_headers_are_431),
        cmocka_unit_test(test_no_memory_is_503),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
