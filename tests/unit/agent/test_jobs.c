#include "agent/jobs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/alloc_dirs.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/str.h"
#include "codec/mp.h"
#include "tests/support/hold.h"

/* A picket-probe that is a script; its calls are in <dir>/calls, those that make the folder for all
 * allocations in <dir>/made: they fail as long as there is <dir>/read-only. */
struct world {
    struct loop *loop;
    struct job job;
    char *dir, *script;
    int answers, r;
    char *text; /* the last one */
    char *name, *kept;
    int64_t uid;
    bool found;
    bool again; /* ask once more from inside of the answer */
    bool done;  /* job_done() from inside */
};

static int setup(void **state)
{
    struct world *w = xnew0(struct world);

    assert_int_equal(loop_new(&w->loop), 0);
    w->dir = xasprintf("%s/jobs-XXXXXX", getenv("TMPDIR"));
    assert_non_null(mkdtemp(w->dir));
    w->script = xasprintf("%s/picket-probe", w->dir);
    job_init(&w->job, w->loop, w->script, w);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    job_done(&w->job);
    w->loop = loop_free(w->loop);
    free(w->dir);
    free(w->script);
    free(w->text);
    free(w->name);
    free(w->kept);
    free(w);
    return 0;
}

static void put_script(struct world *w, const char *body)
{
    _cleanup_free_ char *text =
        xasprintf("#!/bin/sh\nD='%s'\n"
                  "if [ \"$1\" = -make-folder ]; then\n"
                  "  echo \"$@\" >>$D/made\n"
                  "  [ ! -e $D/read-only ] || { echo 'picket-probe: Read-only' >&2; exit 1; }\n"
                  "  exit 0\n"
                  "fi\n"
                  "echo \"$@\" >>$D/calls\n%s\n",
                  w->dir, body);

    assert_int_equal(file_write_atomic(w->script, text, strlen(text), 0755, NULL), 0);
}

static char *calls(struct world *w)
{
    _cleanup_free_ char *path = xasprintf("%s/calls", w->dir);
    char *text = NULL;

    if (file_read(path, 65536, &text, NULL) < 0)
        return xstrdup("");
    return text;
}

static void on_text(void *arg, int r, const char *text)
{
    struct world *w = arg;

    w->answers++;
    w->r = r;
    str_set(&w->text, text);
    if (w->done)
        job_done(&w->job);
    if (w->again) {
        w->again = false;
        job_resolve(&w->job, "second", "1", on_text);
    }
}

static void on_user(void *arg, int r, const char *text, const struct answer_user *a)
{
    struct world *w = arg;

    assert_true((r == 0) == (a != NULL));
    if (a) {
        str_set(&w->name, a->name);
        w->uid = a->uid;
        w->found = a->found;
    }
    on_text(w, r, text);
}

/* what was read as "path=text" or "path!error", one behind the other */
static void on_files(void *arg, int r, const char *text, const struct conf_files *files)
{
    _cleanup_buf_ struct buf b = BUF_INIT(65536);
    struct world *w = arg;

    assert_true((r == 0) == (files != NULL));
    for (size_t i = 0; files && i < files->n; i++) {
        const struct conf_file *f = &files->v[i];

        buf_printf(&b, "%s%s%s", f->path, str_empty(f->error) ? "=" : "!", str_or_empty(f->error));
        buf_add(&b, f->text.p, f->text.n);
        buf_add_byte(&b, ';');
    }
    on_text(w, r, files ? buf_str(&b) : text);
}

static void on_delete(void *arg, int r, const char *text, const struct answer_delete *a)
{
    struct world *w = arg;

    assert_true((r == 0) == (a != NULL));
    if (a && a->n_kept_texts > 0)
        str_set(&w->kept, a->kept[0]);
    on_text(w, r, text);
}

static void turn_until(struct world *w, int answers)
{
    uint64_t end = clock_boot_ns() + 60 * NSEC_PER_SEC;

    assert_true(w->answers < answers); /* never from inside */
    while (w->answers < answers && clock_boot_ns() < end)
        assert_int_equal(loop_turn(w->loop, 20 * NSEC_PER_MSEC), 0);
    assert_int_equal(w->answers, answers);
}

/* the script has written its file "said" */
static void turn_until_said(struct world *w)
{
    _cleanup_free_ char *path = xasprintf("%s/said", w->dir);
    uint64_t end = clock_boot_ns() + 60 * NSEC_PER_SEC;

    while (access(path, F_OK) < 0 && clock_boot_ns() < end)
        assert_int_equal(loop_turn(w->loop, 20 * NSEC_PER_MSEC), 0);
    assert_int_equal(access(path, F_OK), 0);
}

static void test_text_of_a_look_up(void **state)
{
    struct world *w = *state;
    _cleanup_free_ char *said = NULL;

    put_script(w, "echo 192.0.2.1:4647; echo 192.0.2.2:4647");
    job_resolve(&w->job, "server.example", "4647", on_text);
    assert_true(job_busy(&w->job));
    turn_until(w, 1);
    assert_false(job_busy(&w->job));
    assert_int_equal(w->r, 0);
    assert_string_equal(w->text, "192.0.2.1:4647\n192.0.2.2:4647\n");
    said = calls(w);
    assert_string_equal(said, "-resolve server.example 4647\n");
}

static void test_user_is_decoded(void **state)
{
    struct world *w = *state;

    put_script(w,
               "echo '{\"Found\":true,\"Name\":\"ann\",\"UID\":1000,\"GID\":7,\"Home\":\"/h\"}'");
    job_user(&w->job, "1000", on_user);
    turn_until(w, 1);
    assert_int_equal(w->r, 0);
    assert_string_equal(w->text, "");
    assert_string_equal(w->name, "ann");
    assert_int_equal(w->uid, 1000);
    put_script(w, "echo '{\"Found\":false}'");
    job_user(&w->job, "nobody-here", on_user);
    turn_until(w, 2);
    assert_int_equal(w->r, 0);
    assert_false(w->found);
}

static void test_answer_that_is_none(void **state)
{
    struct world *w = *state;

    put_script(w, "echo '{\"UID\":\"x\"}'");
    job_user(&w->job, "1", on_user);
    turn_until(w, 1);
    assert_int_equal(w->r, -EIO);
    assert_true(str_starts(w->text, "the answer: "));
    put_script(w, "head -c 100000 /dev/zero");
    job_user(&w->job, "1", on_user);
    turn_until(w, 2);
    assert_int_equal(w->r, -EIO);
    assert_string_equal(w->text, "the answer is too long");
}

static void test_words_of_the_program_are_the_reason(void **state)
{
    struct world *w = *state;

    put_script(w, "echo 'picket-probe: no such host' >&2; exit 1");
    job_resolve(&w->job, "x", "1", on_text);
    turn_until(w, 1);
    assert_int_equal(w->r, -EIO);
    assert_string_equal(w->text, "no such host");
    put_script(w, "exit 4");
    job_resolve(&w->job, "x", "1", on_text);
    turn_until(w, 2);
    assert_string_equal(w->text, "ended with exit status 4");
    (void)unlink(w->script);
    job_resolve(&w->job, "x", "1", on_text);
    turn_until(w, 3);
    assert_int_equal(w->r, -EIO);
    assert_non_null(strstr(w->text, "No such file or directory"));
}

static void test_next_one_may_be_asked_from_inside_and_replaces(void **state)
{
    struct world *w = *state;

    put_script(w, "echo $2");
    w->again = true;
    job_resolve(&w->job, "first", "1", on_text);
    turn_until(w, 2);
    assert_string_equal(w->text, "second\n");
    put_script(w, "[ $2 = slow ] && sleep 60; echo $2");
    job_resolve(&w->job, "slow", "1", on_text);
    job_resolve(&w->job, "quick", "1", on_text);
    turn_until(w, 3);
    assert_string_equal(w->text, "quick\n");
}

static void test_owner_may_end_from_inside(void **state)
{
    struct world *w = *state;

    put_script(w, "echo '{\"Found\":true,\"Name\":\"ann\"}'");
    w->done = true;
    job_user(&w->job, "ann", on_user);
    turn_until(w, 1);
    assert_string_equal(w->name, "ann");
}

static void test_done_is_silent(void **state)
{
    struct world *w = *state;
    struct job none = {0};

    put_script(w, "sleep 60");
    job_resolve(&w->job, "x", "1", on_text);
    job_done(&w->job);
    assert_false(job_busy(&w->job));
    job_done(&none);
    for (int i = 0; i < 10; i++)
        assert_int_equal(loop_turn(w->loop, 10 * NSEC_PER_MSEC), 0);
    assert_int_equal(w->answers, 0);
}

static void test_nothing_is_started_while_the_last_one_hangs(void **state)
{
    struct world *w = *state;
    uint64_t end;
    pid_t tracer;

    put_script(w, "echo read /a >&2; echo read /x >&2; echo >$D/said; exec sleep 60");
    job_resolve(&w->job, "x", "1", on_text);
    turn_until_said(w);
    tracer = hold(proc_pid(w->job.proc));
    if (tracer < 0)
        skip();
    proc_set_deadline(w->job.proc, 0);
    turn_until(w, 1);
    assert_int_equal(w->r, -ETIMEDOUT);
    assert_true(str_starts(w->text, "no answer in 10 s"));
    assert_true(job_busy(&w->job));
    put_script(w, "echo hello");
    job_resolve(&w->job, "y", "1", on_text);
    turn_until(w, 2);
    assert_int_equal(w->r, -EBUSY);
    assert_true(
        str_starts(w->text, "the last one still hangs: no answer in 10 s; last step: read /x ("));
    release(tracer);
    end = clock_boot_ns() + 60 * NSEC_PER_SEC;
    while (job_busy(&w->job) && clock_boot_ns() < end)
        assert_int_equal(loop_turn(w->loop, 20 * NSEC_PER_MSEC), 0);
    job_resolve(&w->job, "z", "1", on_text);
    turn_until(w, 3);
    assert_string_equal(w->text, "hello\n");
}

static void test_configuration_files_come_as_they_are(void **state)
{
    struct conf_file v[] = {
        {.path = xstrdup("/a.hcl"), .text = {(uint8_t *)xstrdup("x = 1\n"), 6}   },
        {.path = xstrdup("/b.hcl"), .error = xstrdup("/b.hcl: Permission denied")},
        {.path = xstrdup("/c.hcl"), .text = {(uint8_t *)xstrdup(""), 0}          },
    };
    struct conf_files files = {.v = v, .n = ARRAY_LEN(v)};
    const char *const paths[] = {"/a.hcl", "-b"};
    _cleanup_free_ char *path = NULL, *asked = NULL;
    _cleanup_buf_ struct buf b = BUF_INIT(65536);
    struct world *w = *state;

    mp_encode(&b, &desc_conf_files, &files);
    path = xasprintf("%s/answer", w->dir);
    assert_int_equal(file_write_atomic(path, b.p, b.len, 0600, NULL), 0);
    put_script(w, "cat $D/answer");
    job_read_config(&w->job, paths, 2, on_files);
    turn_until(w, 1);
    assert_string_equal(w->text, "/a.hcl=x = 1\n;/b.hcl!/b.hcl: Permission denied;/c.hcl=;");
    asked = calls(w);
    assert_string_equal(asked, "-read-config /a.hcl -b\n");
    put_script(w, "echo garbage");
    job_read_config(&w->job, paths, 2, on_files);
    turn_until(w, 2);
    assert_int_equal(w->r, -EIO);
    assert_true(str_starts(w->text, "the answer: "));
    put_script(w, "echo 'picket-probe: bad day' >&2; exit 1");
    job_read_config(&w->job, paths, 0, on_files);
    turn_until(w, 3);
    assert_int_equal(w->r, -EIO);
    assert_string_equal(w->text, "bad day");
    for (size_t i = 0; i < ARRAY_LEN(v); i++) {
        free(v[i].path);
        free(v[i].text.p);
        free(v[i].error);
    }
}

static void test_delete_tells_what_was_kept(void **state)
{
    struct world *w = *state;
    _cleanup_free_ char *said = NULL;

    put_script(w, "echo '{\"Deleted\":3,\"KeptCount\":1,\"Kept\":[\"/a/b: busy\"]}'");
    job_delete(&w->job, "/a", "/a/b", on_delete);
    turn_until(w, 1);
    assert_string_equal(w->kept, "/a/b: busy");
    said = calls(w);
    assert_string_equal(said, "-delete /a/b -below /a\n");
}

/* --- agent/alloc_dirs --- */

#define ID_1 "aaaaaaaa-0000-0000-0000-000000000001"
#define ID_2 "aaaaaaaa-0000-0000-0000-000000000002"

static size_t lines(const char *text)
{
    size_t n = 0;

    for (; (text = strchr(text, '\n')); text++)
        n++;
    return n;
}

static size_t lines_of_calls(struct world *w)
{
    _cleanup_free_ char *said = calls(w);

    return lines(said);
}

static void test_folders_of_allocations_go_one_by_one(void **state)
{
    struct world *w = *state;
    struct alloc_dirs *d = alloc_dirs_new(w->loop, w->script, "/allocs");
    uint64_t end = clock_boot_ns() + 60 * NSEC_PER_SEC;
    _cleanup_free_ char *said = NULL;

    put_script(w, "[ -e $D/now ] && echo two at once >>$D/calls; touch $D/now; sleep 0.1;"
                  " echo '{\"Deleted\":3}'; rm $D/now");
    alloc_dirs_delete(d, ID_1);
    alloc_dirs_delete(d, ID_2);
    alloc_dirs_delete(d, ID_1); /* twice is once */
    alloc_dirs_delete(d, "../../etc");
    alloc_dirs_delete(d, "");
    do {
        assert_int_equal(loop_turn(w->loop, 20 * NSEC_PER_MSEC), 0);
        free(said);
        said = calls(w);
    } while (lines(said) < 2 && clock_boot_ns() < end);
    for (int i = 0; i < 20; i++)
        assert_int_equal(loop_turn(w->loop, 20 * NSEC_PER_MSEC), 0);
    free(said);
    said = calls(w);
    assert_string_equal(said, "-delete /allocs/" ID_1 " -below /allocs\n"
                              "-delete /allocs/" ID_2 " -below /allocs\n");
    (void)alloc_dirs_free(d);
}

/* turns until the condition holds, for a minute of real time at most */
#define TURN_WHILE(condition)                                                                      \
    for (int i_ = 0; (condition) && i_ < 3000; i_++)                                               \
    assert_int_equal(loop_turn(w->loop, 20 * NSEC_PER_MSEC), 0)

/* the clock that the tests move: so long passes at once */
static void pass(struct world *w, uint64_t sec)
{
    clock_fake_advance(sec * NSEC_PER_SEC);
    for (int i = 0; i < 5; i++) {
        (void)loop_run_due(w->loop);
        assert_int_equal(loop_turn(w->loop, NSEC_PER_MSEC), 0);
    }
}

static void test_a_deletion_that_hung_does_not_end_all_others(void **state)
{
    struct world *w = *state;
    struct alloc_dirs *d;
    pid_t pid = -1, tracer;

    clock_fake(true, UINT64_C(1) << 60, INT64_C(1800000000) * (int64_t)NSEC_PER_SEC);
    d = alloc_dirs_new(w->loop, w->script, "/allocs");
    put_script(w, HOLD_SCRIPT);
    alloc_dirs_delete(d, ID_1);
    TURN_WHILE((pid = hold_pid(w->dir)) < 0);
    tracer = hold(pid);
    if (tracer < 0)
        skip();
    pass(w, 601); /* its limit */
    pass(w, 3);   /* and it does not die */
    pass(w, 301); /* still there: nothing is started */
    put_script(w, "echo '{\"Deleted\":3}'");
    release(tracer);
    TURN_WHILE(hold_exists(pid));
    for (int i = 0; i < 10; i++)
        pass(w, 0);
    pass(w, 301);
    TURN_WHILE(lines_of_calls(w) < 2);
    assert_int_equal(lines_of_calls(w), 2);
    (void)alloc_dirs_free(d);
    clock_fake(false, 0, 0);
}

static size_t times_made(struct world *w)
{
    _cleanup_free_ char *path = xasprintf("%s/made", w->dir), *text = NULL;

    if (file_read(path, 65536, &text, NULL) < 0)
        return 0;
    assert_int_equal(strncmp(text, "-make-folder /allocs\n", 21), 0);
    return lines(text);
}

static void test_the_folder_for_all_is_made_as_soon_as_it_can_be(void **state)
{
    struct world *w = *state;
    _cleanup_free_ char *flag = xasprintf("%s/read-only", w->dir);
    struct alloc_dirs *d;

    clock_fake(true, UINT64_C(1) << 60, INT64_C(1800000000) * (int64_t)NSEC_PER_SEC);
    put_script(w, "");
    assert_int_equal(file_write_atomic(flag, "", 0, 0600, NULL), 0);
    d = alloc_dirs_new(w->loop, w->script, "/allocs");
    TURN_WHILE(times_made(w) < 1);
    for (int i = 0; i < 3000 && times_made(w) < 2; i++) {
        pass(w, 1);
        assert_int_equal(loop_turn(w->loop, 20 * NSEC_PER_MSEC), 0);
    }
    assert_int_equal(times_made(w), 2);
    assert_int_equal(unlink(flag), 0);
    for (int i = 0; i < 3000 && times_made(w) < 3; i++) {
        pass(w, 1);
        assert_int_equal(loop_turn(w->loop, 20 * NSEC_PER_MSEC), 0);
    }
    TURN_WHILE(loop_next_timer(w->loop) != UINT64_MAX &&
               loop_next_timer(w->loop) < clock_boot_ns());
    pass(w, 1);
    for (int i = 0; i < 20; i++)
        assert_int_equal(loop_turn(w->loop, 20 * NSEC_PER_MSEC), 0);
    pass(w, 100);
    pass(w, 100);
    assert_int_equal(times_made(w), 3);
    (void)alloc_dirs_free(d);
    clock_fake(false, 0, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_text_of_a_look_up),
        T(test_user_is_decoded),
        T(test_answer_that_is_none),
        T(test_words_of_the_program_are_the_reason),
        T(test_next_one_may_be_asked_from_inside_and_replaces),
        T(test_owner_may_end_from_inside),
        T(test_done_is_silent),
        T(test_nothing_is_started_while_the_last_one_hangs),
        T(test_configuration_files_come_as_they_are),
        T(test_delete_tells_what_was_kept),
        T(test_folders_of_allocations_go_one_by_one),
        T(test_a_deletion_that_hung_does_not_end_all_others),
        T(test_the_folder_for_all_is_made_as_soon_as_it_can_be),
    };

    loop_block_signals();
    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests_name("agent/jobs", tests, NULL, NULL);
}
