/* The one extra thread: order, delivery on the loop, an orderly end. */
#include "base/writer.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/wire_loop.h"

struct job {
    struct writer_job j; /* first: the job is found by its address */
    int id;
    bool again; /* submits a second one from done() */
    pid_t ran_on;
    struct log_of_runs *log;
};

static struct log_of_runs {
    struct writer *w;
    int ran[100], done[100];
    size_t n_ran, n_done;
} runs;

static void run(struct writer_job *j)
{
    struct job *job = (struct job *)j;

    job->ran_on = gettid();
    job->log->ran[job->log->n_ran++] = job->id; /* read only after done() */
    if (job->id % 10 == 0)
        (void)usleep(2000);
}

static void submit(int id, bool again);

static void done(struct writer_job *j)
{
    struct job *job = (struct job *)j;

    assert_int_equal(gettid(), getpid()); /* on the loop's thread */
    job->log->done[job->log->n_done++] = job->id;
    if (job->again)
        submit(job->id + 1, false);
    free(job);
}

static void submit(int id, bool again)
{
    struct job *job = xnew0(struct job);

    *job = (struct job){
        .j = {.run = run, .done = done},
          .id = id, .again = again, .log = &runs
    };
    writer_submit(runs.w, &job->j);
}

static void start(struct loop *l)
{
    runs = (struct log_of_runs){0};
    assert_int_equal(writer_new(l, "test-writer", &runs.w), 0);
}

static void test_jobs_run_and_end_in_order(void **state)
{
    _cleanup_(loop_freep) struct loop *l = NULL;

    (void)state;
    assert_int_equal(loop_new(&l), 0);
    start(l);
    for (int i = 0; i < 50; i++)
        submit(i, false);
    assert_true(writer_pending(runs.w) == 50); /* done() needs the loop to turn */
    turn_until(l, writer_pending(runs.w) == 0);
    assert_int_equal(runs.n_done, 50);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(runs.ran[i], i);
        assert_int_equal(runs.done[i], i);
    }
    runs.w = writer_free(runs.w);
    assert_null(runs.w);
    assert_null(writer_free(NULL));
}

static void test_flush_waits_for_all(void **state)
{
    _cleanup_(loop_freep) struct loop *l = NULL;

    (void)state;
    assert_int_equal(loop_new(&l), 0);
    start(l);
    submit(10, true);
    submit(20, false);
    writer_flush(runs.w);
    assert_int_equal(writer_pending(runs.w), 0);
    assert_int_equal(runs.n_done, 3); /* also the one that done() submitted */
    writer_flush(runs.w);             /* nothing to wait for */
    runs.w = writer_free(runs.w);
}

static void test_free_runs_what_is_queued(void **state)
{
    _cleanup_(loop_freep) struct loop *l = NULL;

    (void)state;
    assert_int_equal(loop_new(&l), 0);
    start(l);
    for (int i = 0; i < 5; i++)
        submit(i * 10, i == 4);
    runs.w = writer_free(runs.w);
    assert_int_equal(runs.n_ran, 6);
    assert_int_equal(runs.n_done, 6);
    assert_int_equal(runs.done[5], 41);
}

static void test_the_thread_takes_no_signals(void **state)
{
    _cleanup_(loop_freep) struct loop *l = NULL;
    sigset_t before, after;

    (void)state;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &before);
    assert_int_equal(loop_new(&l), 0);
    start(l);
    (void)pthread_sigmask(SIG_SETMASK, NULL, &after); /* ours is as it was */
    for (int s = 1; s < 32; s++)
        assert_int_equal(sigismember(&before, s), sigismember(&after, s));
    runs.w = writer_free(runs.w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jobs_run_and_end_in_order),
        cmocka_unit_test(test_flush_waits_for_all),
        cmocka_unit_test(test_free_runs_what_is_queued),
        cmocka_unit_test(test_the_thread_takes_no_signals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
