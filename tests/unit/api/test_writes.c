/* api/h_node_write, h_servers, ask: bodies, what is passed on, who may do what over which socket.
 */
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/routes.h"
#include "tests/unit/api/opened.h"
#include "wire/conn.h"
#include "wire/http1.h"

/* --- writes --- */

#define REST                                                                                       \
    "\"AuthToken\":\"\",\"DrainStrategy\":%s,\"Forwarded\":false,\"IdempotencyToken\":\"\","       \
    "\"MarkEligible\":%s,\"Meta\":%s,\"Namespace\":\"default\",\"NodeID\":\"" ID_B "\","           \
    "\"Region\":\"global\",\"UpdatedAt\":0}"

static const struct {
    const char *target, *body, *strategy, *mark, *meta;
} drains[] = {
  /* clang-format off */
    {"", "{\"DrainSpec\":{\"Deadline\":3600000000000,\"IgnoreSystemJobs\":true},\"MarkEligible\":true}",
        "3600000000000,true", "true", "null"},
    {"", "{\"NodeID\":\"" ID_A "\",\"DrainSpec\":{\"Deadline\":-1}}", "-1,false", "false", "null"},
    {"", "{\"drainspec\":{},\"Meta\":{\"message\":\"x\"}}", "0,false", "false", "{\"message\":\"x\"}"},
    {"", "{\"DrainSpec\":null,\"MarkEligible\":true}", NULL, "true", "null"},
    {"", "{}", NULL, "false", "null"},
    {"", "null", NULL, "false", "null"},
    {"", "{} trailing", NULL, "false", "null"},
    {"?enable=true", "", "-1000000000,false", "false", "null"},
    {"?enable=1", "garbage", "-1000000000,false", "false", "null"},
    {"?enable=false", "", NULL, "true", "null"},
  /* clang-format on */
};

static void test_drains_are_passed_on(void **state)
{
    struct fixture *f = *state;

    f->call_meta.index = 77;
    for (size_t i = 0; i < ARRAY_LEN(drains); i++) {
        _cleanup_free_ char *target = xasprintf("/v1/node/" ID_B "/drain%s", drains[i].target);
        _cleanup_free_ char *strategy =
            drains[i].strategy ? xasprintf("{\"Deadline\":%.*s,\"ForceDeadline\":null,"
                                           "\"IgnoreSystemJobs\":%s,\"StartedAt\":null}",
                                           (int)strcspn(drains[i].strategy, ","),
                                           drains[i].strategy, strchr(drains[i].strategy, ',') + 1)
                               : xstrdup("null");
        _cleanup_free_ char *want = xasprintf("{" REST, strategy, drains[i].mark, drains[i].meta);
        _cleanup_close_ int fd = ask(f, i % 2 ? "PUT" : "POST", target, drains[i].body);
        _cleanup_answer_ struct answer a;

        assert_string_equal(f->method, "Node.UpdateDrain");
        assert_string_equal(buf_str(&f->request), want);
        buf_reset(&f->request);
        ready(f->v[i], NULL); /* by now the body of the HTTP request is gone */
        api_bed_hear(&f->bed, fd, &a);
        assert_int_equal(a.status, 200);
        assert_string_equal(buf_str(&f->request), want);
        assert_string_equal(
            a.body, "{\"EvalCreateIndex\":0,\"EvalIDs\":null,\"Index\":77,\"NodeModifyIndex\":0}");
        assert_string_equal(answer_header(&a, "X-Nomad-Index"), "77");
        assert_null(answer_header(&a, "X-Nomad-Knownleader"));
        assert_null(answer_header(&a, "X-Nomad-Lastcontact"));
    }
}

static void test_wrong_bodies_are_refused_here(void **state)
{
    static const struct {
        const char *target, *body, *text;
    } rows[] = {
  /* clang-format off */
        {"drain", "", "Request body is empty"},
        {"eligibility", "", "Request body is empty"},
        {"drain", "{", "unexpected EOF"},
        {"drain", "x", "invalid character 'x' looking for beginning of value"},
        {"drain", "[1]", "json: cannot unmarshal array into Go value of type api.NodeUpdateDrainRequest"},
        {"drain", "\"x\"", "json: cannot unmarshal string into Go value of type api.NodeUpdateDrainRequest"},
        {"eligibility", "[1]",
            "json: cannot unmarshal array into Go value of type structs.NodeUpdateEligibilityRequest"},
        {"drain", "{\"DrainSpec\":{\"Deadline\":\"x\"}}",
            "json: cannot unmarshal string into Go struct field DrainSpec.DrainSpec.Deadline of type time.Duration"},
        {"drain", "{\"DrainSpec\":{\"Deadline\":1.5}}",
            "json: cannot unmarshal number 1.5 into Go struct field DrainSpec.DrainSpec.Deadline of type time.Duration"},
        {"drain", "{\"DrainSpec\":{\"IgnoreSystemJobs\":\"x\"}}",
            "json: cannot unmarshal string into Go struct field DrainSpec.DrainSpec.IgnoreSystemJobs of type bool"},
        {"drain", "{\"MarkEligible\":1}",
            "json: cannot unmarshal number into Go struct field NodeUpdateDrainRequest.MarkEligible of type bool"},
        {"drain", "{\"DrainSpec\":\"x\"}",
            "json: cannot unmarshal string into Go struct field NodeUpdateDrainRequest.DrainSpec of type api.DrainSpec"},
        {"eligibility", "{\"Eligibility\":5}",
            "json: cannot unmarshal number into Go struct field NodeUpdateEligibilityRequest.Eligibility of type string"},
        {"drain?enable=x", "{}", "invalid enable value"},
  /* clang-format on */
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_free_ char *target = xasprintf("/v1/node/" ID_B "/%s", rows[i].target);
        _cleanup_close_ int fd = ask(f, "PUT", target, rows[i].body);

        expect(f, fd, 400, rows[i].text);
    }
    assert_null(f->method); /* nobody was asked */
}

static void test_eligibility_takes_the_id_of_the_body(void **state)
{
    static const struct {
        const char *body, *id, *eligibility, *event;
    } rows[] = {
        {"{\"Eligibility\":\"eligible\"}",                                              ID_B, "eligible",   "null"},
        {"{\"Eligibility\":\"maybe\",\"NodeID\":\"\"}",                                 ID_B, "maybe",      "null"},
        {"{\"Eligibility\":\"ineligible\",\"NodeID\":\"" ID_A "\"}",                    ID_A, "ineligible", "null"},
        {"{}",                                                                          ID_B, "",           "null"},
        {"{\"NodeEvent\":{\"Message\":\"m\"},\"Region\":\"mars\",\"AuthToken\":\"t\"}", ID_B, "",
         "{\"CreateIndex\":0,\"Details\":null,\"Message\":\"m\",\"Subsystem\":\"\",\"Timestamp\":"
         "null}"                                                                                                  },
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_close_ int fd = ask(f, "PUT", "/v1/node/" ID_B "/eligibility", rows[i].body);
        _cleanup_free_ char *want =
            xasprintf("{\"AuthToken\":\"\",\"Eligibility\":\"%s\",\"Forwarded\":false,"
                      "\"IdempotencyToken\":\"\",\"Namespace\":\"default\",\"NodeEvent\":%s,"
                      "\"NodeID\":\"%s\",\"Region\":\"global\",\"UpdatedAt\":0}",
                      rows[i].eligibility, rows[i].event, rows[i].id);

        assert_string_equal(buf_str(&f->request), want);
        ready(f->v[i], NULL);
        expect(f, fd, 200, NULL);
    }
}

static void test_evaluate_and_purge_read_no_body(void **state)
{
    static const struct {
        const char *target, *method;
    } rows[] = {
        {"evaluate", "Node.Evaluate"  },
        {"purge",    "Node.Deregister"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_free_ char *target = xasprintf("/v1/node/" ID_B "/%s?region=mars", rows[i].target);
        _cleanup_close_ int fd = ask(f, "POST", target, "no JSON");
        _cleanup_answer_ struct answer a;

        assert_string_equal(f->method, rows[i].method);
        assert_non_null(
            strstr(buf_str(&f->request), "\"NodeID\":\"" ID_B "\",\"Region\":\"mars\""));
        ready(f->v[i], NULL);
        api_bed_hear(&f->bed, fd, &a);
        assert_int_equal(a.status, 200);
        assert_non_null(strstr(a.body, "\"NumNodes\":0,\"SchedulingEligibility\":\"\","
                                       "\"Servers\":null,\"SignedIdentity\":null}"));
    }
}

static void test_the_token_of_the_request_travels(void **state)
{
    struct fixture *f = *state;
    _cleanup_close_ int fd = api_bed_dial(&f->bed);
    struct write_request w;

    api_bed_say(&f->bed, fd,
                "PUT /v1/node/" ID_B "/purge HTTP/1.1\r\nHost: h\r\nX-Nomad-Token: tok\r\n"
                "Content-Length: 0\r\n\r\n");
    turn_some(f->bed.loop, 3);
    w = ask_write_request(f->v[0]->q, "global");
    assert_string_equal(w.auth_token, "tok");
    ready(f->v[0], "rpc error: ACL token not found");
    expect(f, fd, 403, "ACL token not found");
}

/* --- the server list of an agent --- */

static void test_server_list(void **state)
{
    struct fixture *f = *state;
    _cleanup_answer_ struct answer none, list, missing, set, bad;

    f->bed.fake.ops.open = NULL;
    api_bed_get(&f->bed, "/v1/agent/servers", &none);
    assert_int_equal(none.status, 501);
    assert_string_equal(none.body, "Invalid method");
    f->bed.fake.ops.set_servers = fake_set_servers;
    api_bed_get(&f->bed, "/v1/agent/servers", &list);
    assert_int_equal(list.status, 200);
    assert_string_equal(list.body, "[\"127.0.0.1:4647\"]");
    api_bed_ask(&f->bed, "PUT", "/v1/agent/servers?addresses=x", "", "", &missing);
    assert_int_equal(missing.status, 400);
    assert_string_equal(missing.body, "missing server address");
    api_bed_ask(&f->bed, "POST", "/v1/agent/servers?address=a%3A1&x=y&address=b", "", "", &set);
    assert_int_equal(set.status, 200);
    assert_int_equal(set.body_len, 0);
    assert_int_equal(f->n_servers, 2);
    assert_string_equal(f->servers[0], "a:1");
    assert_string_equal(f->servers[1], "b");
    api_bed_ask(&f->bed, "PUT", "/v1/agent/servers?address=bad", "", "", &bad);
    assert_int_equal(bad.status, 400);
    assert_string_equal(bad.body, "bad is bad");
}

static void test_no_more_addresses_than_a_list_holds(void **state)
{
    struct fixture *f = *state;
    _cleanup_buf_ struct buf target = BUF_INIT(65536);
    struct http_request hq = {.method = "PUT", .path = "/v1/agent/servers"};
    static const struct route row = {.pattern = "/v1/agent/servers"};
    struct ask q = {0};
    struct err e;

    (void)f;
    for (int i = 0; i < 1000; i++)
        buf_printf(&target, "address=%d&", i);
    hq.query = buf_str(&target);
    assert_int_equal(ask_parse(&q, &hq, &row, "", &e), 0);
    assert_int_equal(q.n_addresses, 64);
    assert_string_equal(q.addresses[63], "63");
    ask_done(&q);
}

/* --- parameters of a log stream --- */

static void test_parameters_of_a_log_stream(void **state)
{
    static const struct {
        const char *query, *text;
    } rows[] = {
  /* clang-format off */
        {"", ""}, {"log_level=&log_json=&plain=", ""}, {"log_level=DEBUG&plain=1", ""},
        {"log_level=warn&log_json=true", ""}, {"node_id=x", ""}, {"server_id=x", ""},
        {"log_level=zz", "Unknown log level: zz"},
        {"log_json=x", "Unknown option for log json: strconv.ParseBool: parsing \"x\": invalid syntax"},
        {"plain=yes", "Unknown option for plain: strconv.ParseBool: parsing \"yes\": invalid syntax"},
        {"node_id=a&server_id=b", "Cannot target node and server simultaneously"},
        {"node_id=a&server_id=b&log_level=x", "Unknown log level: x"},
  /* clang-format on */
    };
    static const struct route row = {.pattern = "/x", .flags = ROUTE_LOG};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct http_request hq = {.method = "GET", .path = "/x", .query = rows[i].query};
        struct ask q = {0};
        struct err e = {0};
        int r = ask_parse(&q, &hq, &row, "", &e);

        assert_string_equal(e.text, rows[i].text);
        assert_int_equal(r < 0, *rows[i].text != 0);
        if (r < 0) {
            assert_int_equal(e.status, 400);
            continue;
        }
        assert_int_equal(q.plain, strstr(rows[i].query, "plain=1") != NULL);
        assert_int_equal(q.log_json, strstr(rows[i].query, "log_json=t") != NULL);
        ask_done(&q);
    }
}

/* --- the unix socket --- */

static int dial_unix(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    return fd;
}

static int fake_reload(void *impl, struct buf *ret)
{
    (void)impl;
    buf_add_str(ret, "{}");
    return 200;
}

static void test_what_only_the_local_root_may(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *path = xasprintf("%s/picket-%d.sock", getenv("TMPDIR"), (int)getpid());
    _cleanup_free_ char *address = xasprintf("unix:%s", path);
    _cleanup_answer_ struct answer tcp;
    struct err e = {0};
    int fd = -1;

    f->bed.fake.ops.open = NULL;
    f->bed.fake.ops.reload = fake_reload;
    assert_int_equal(listen_open(address, &fd, NULL, &e), 0);
    assert_int_equal(api_listen(f->bed.api, fd, &e), 0);
    api_bed_ask(&f->bed, "PUT", "/v1/agent/reload", "", "", &tcp);
    assert_int_equal(tcp.status, 403);
    assert_string_equal(tcp.body, "Permission denied");
    fd = dial_unix(path); /* as the user who runs the test: root's or the daemon's own */
    api_bed_say(&f->bed, fd,
                "PUT /v1/agent/reload HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
    expect(f, fd, 200, "{}");
    (void)fd_close(fd);
    (void)unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_drains_are_passed_on),
        TEST(test_wrong_bodies_are_refused_here),
        TEST(test_eligibility_takes_the_id_of_the_body),
        TEST(test_evaluate_and_purge_read_no_body),
        TEST(test_the_token_of_the_request_travels),
        TEST(test_server_list),
        TEST(test_no_more_addresses_than_a_list_holds),
        TEST(test_parameters_of_a_log_stream),
        TEST(test_what_only_the_local_root_may),
    };

    return cmocka_run_group_tests_name("api/writes", tests, NULL, NULL);
}
