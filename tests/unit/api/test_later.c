/* api/server, dispatch: requests whose answer comes later, from a view of their own. */
#include "tests/unit/api/opened.h"

/* --- later --- */

static void test_the_answer_comes_when_the_view_has_it(void **state)
{
    struct fixture *f = *state;
    _cleanup_close_ int fd = ask(f, "GET", "/v1/node/" ID_B, "");
    _cleanup_answer_ struct answer a;

    assert_false(api_bed_has_answer(&f->bed, fd));
    assert_int_equal(f->n_opened, 1);
    ready(f->v[0], NULL);
    api_bed_hear(&f->bed, fd, &a);
    assert_int_equal(a.status, 200);
    assert_non_null(strstr(a.body, "\"ID\":\"" ID_B "\""));
    assert_string_equal(answer_header(&a, "X-Nomad-Index"), "12");
    assert_int_equal(f->n_closed, 1);
}

static void test_a_view_that_knows_at_once_answers_at_once(void **state)
{
    struct fixture *f = *state;
    _cleanup_close_ int fd = -1;

    f->ready_at_once = true;
    fd = ask(f, "GET", "/v1/nodes", "");
    expect(f, fd, 200, NULL);
    assert_int_equal(f->n_closed, 1);
}

static void test_no_view_of_its_own_waits_here(void **state)
{
    struct fixture *f = *state;
    _cleanup_close_ int fd = ask(f, "GET", "/v1/node/" ID_A "?index=99&wait=60s", "");

    assert_int_equal(f->n_opened, 0);
    assert_int_equal(f->bed.fake.n_waits, 1);
    f->bed.fake.index = 200;
    fake_view_put(&f->bed.fake, ID_A, "a");
    expect(f, fd, 200, NULL);
}

/* the other side has blocked: whatever it says is the answer */
static void test_an_answer_from_elsewhere_never_blocks_here(void **state)
{
    struct fixture *f = *state;
    _cleanup_close_ int fd = ask(f, "GET", "/v1/nodes?index=99&wait=60s", "");

    assert_int_equal(f->v[0]->q->index, 99);
    assert_true(f->v[0]->q->wait_ns == 60 * (int64_t)NSEC_PER_SEC);
    ready(f->v[0], NULL);
    expect(f, fd, 200, NULL);
    assert_int_equal(f->bed.fake.n_waits, 0);
}

static void test_a_wakeup_too_early_waits_on(void **state)
{
    struct fixture *f = *state;
    _cleanup_close_ int fd = ask(f, "GET", "/v1/nodes", "");

    f->v[0]->wait->fn(f->v[0]->wait->arg);
    assert_false(api_bed_has_answer(&f->bed, fd));
    ready(f->v[0], NULL);
    expect(f, fd, 200, NULL);
}

static void test_a_failure_that_comes_later_is_the_answer(void **state)
{
    static const struct {
        const char *failure;
        int status;
        const char *body;
    } rows[] = {
        {"rpc error: RPC Error:: 404,Unknown node \"x\"", 404, "Unknown node \"x\"" },
        {"rpc error: Permission denied",                  403, "Permission denied"  },
        {"rpc error: it broke",                           500, "rpc error: it broke"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_close_ int fd = ask(f, "GET", "/v1/nodes?pretty", "");

        ready(f->v[i], rows[i].failure);
        expect(f, fd, rows[i].status, rows[i].body);
    }
}

static void test_a_peer_that_goes_closes_the_view(void **state)
{
    struct fixture *f = *state;
    int fd = ask(f, "GET", "/v1/nodes", "");

    assert_int_equal(f->n_closed, 0);
    (void)fd_close(fd);
    turn_some(f->bed.loop, 20);
    assert_int_equal(f->n_closed, 1);
}

static void test_a_peer_that_goes_after_the_wakeup_closes_it_once(void **state)
{
    struct fixture *f = *state;
    int fd = ask(f, "GET", "/v1/nodes", "");

    ready(f->v[0], NULL);
    (void)fd_close(fd);
    turn_some(f->bed.loop, 20);
    assert_int_equal(f->n_closed, 1);
}

static void test_the_end_of_the_api_closes_what_waits(void **state)
{
    struct fixture *f = *state;
    _cleanup_close_ int a = ask(f, "GET", "/v1/nodes", "");
    _cleanup_close_ int b = ask(f, "GET", "/v1/node/" ID_B, "");

    assert_int_equal(f->n_opened, 2); /* teardown counts */
    (void)a;
    (void)b;
}

/* answers on one connection come in the order of the questions, whoever is ready first */
static void test_pipelined_requests_keep_their_order(void **state)
{
    struct fixture *f = *state;
    _cleanup_close_ int fd = ask(f, "GET", "/v1/node/" ID_B, "");

    api_bed_say(&f->bed, fd, "GET /v1/node/" ID_A " HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_false(api_bed_has_answer(&f->bed, fd));
    ready(f->v[0], NULL);
    for (int i = 0; i < 2; i++) {
        _cleanup_answer_ struct answer a;

        api_bed_hear(&f->bed, fd, &a);
        assert_int_equal(a.status, 200);
        assert_non_null(strstr(a.body, i == 0 ? ID_B : ID_A));
    }
}

static void test_many_at_once(void **state)
{
    struct fixture *f = *state;
    int fds[OPENED_MAX];

    for (size_t i = 0; i < OPENED_MAX; i++)
        fds[i] = ask(f, "GET", "/v1/nodes", "");
    for (size_t i = OPENED_MAX; i-- > 0;)
        ready(f->v[i], NULL);
    for (size_t i = 0; i < OPENED_MAX; i++) {
        expect(f, fds[i], 200, NULL);
        (void)fd_close(fds[i]);
    }
    assert_int_equal(f->n_closed, OPENED_MAX);
}

static void test_another_region_goes_along(void **state)
{
    struct fixture *f = *state;
    _cleanup_close_ int fd = ask(f, "GET", "/v1/nodes?region=mars", "");
    struct query_options o = ask_query_options(f->v[0]->q, "global");

    assert_string_equal(o.region, "mars");
    ready(f->v[0], NULL);
    expect(f, fd, 200, NULL);
}

static void test_filters_and_pages_are_left_to_who_answers(void **state)
{
    struct fixture *f = *state;
    _cleanup_close_ int fd = ask(
        f, "GET", "/v1/nodes?filter=Name%20%3D%3D%20a&per_page=1&next_token=x&reverse=true", "");
    struct query_options o = ask_query_options(f->v[0]->q, "global");

    assert_string_equal(o.filter, "Name == a");
    assert_int_equal(o.per_page, 1);
    assert_string_equal(o.next_token, "x");
    assert_true(o.reverse);
    ready(f->v[0], NULL);
    expect(f, fd, 200, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_answer_comes_when_the_view_has_it),
        TEST(test_a_view_that_knows_at_once_answers_at_once),
        TEST(test_no_view_of_its_own_waits_here),
        TEST(test_an_answer_from_elsewhere_never_blocks_here),
        TEST(test_a_wakeup_too_early_waits_on),
        TEST(test_a_failure_that_comes_later_is_the_answer),
        TEST(test_a_peer_that_goes_closes_the_view),
        TEST(test_a_peer_that_goes_after_the_wakeup_closes_it_once),
        TEST(test_the_end_of_the_api_closes_what_waits),
        TEST(test_pipelined_requests_keep_their_order),
        TEST(test_many_at_once),
        TEST(test_another_region_goes_along),
        TEST(test_filters_and_pages_are_left_to_who_answers),
    };

    return cmocka_run_group_tests_name("api/later", tests, NULL, NULL);
}
