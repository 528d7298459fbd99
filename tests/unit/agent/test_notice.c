#include "agent/notice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "base/vec.h"
#include "codec/ops.h"
#include "fingerprint/fp.h"

#define SEC NSEC_PER_SEC

enum { DOCKER, VOLUMES, N_PROBES };

struct fixture {
    struct loop *loop;
    struct flap *flap;
    struct notice *notice;
    struct node *before, *now; /* before: NULL at first */
    struct fp *volumes;
    struct probe_status st[N_PROBES];
    struct node_event *told;
    size_t n_told;
};

static void on_event(void *arg, const char *subsystem, const char *message,
                     const struct strmap *details)
{
    struct fixture *f = arg;
    struct node_event *ev = vec_add(&f->told, &f->n_told);

    ev->subsystem = xstrdup(subsystem);
    ev->message = xstrdup(message);
    strmap_copy(&ev->details, details);
}

static int setup(void **state)
{
    struct fixture *f = xnew0(struct fixture);

    log_set_level(LOG_LEVEL_OFF);
    clock_fake(true, UINT64_C(1) << 60, INT64_C(1800000000) * (int64_t)SEC);
    if (loop_new(&f->loop) < 0)
        return -1;
    f->flap = flap_new();
    f->notice = notice_new(
        &(struct notice_opts){.loop = f->loop, .flap = f->flap, .add = on_event, .arg = f});
    f->now = node_new();
    f->volumes = fp_new("volumes");
    f->st[DOCKER] = (struct probe_status){.name = "driver.docker", .reason = ""};
    f->st[VOLUMES] = (struct probe_status){.name = "volumes:data",
                                           .kind = "volumes",
                                           .volume = "data",
                                           .fp = f->volumes,
                                           .reason = ""};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    f->notice = notice_free(f->notice);
    f->flap = flap_free(f->flap);
    (void)node_free(f->before);
    (void)node_free(f->now);
    (void)fp_free(f->volumes);
    for (size_t i = 0; i < f->n_told; i++)
        ops_clear(&desc_node_event, &f->told[i]);
    free(f->told);
    (void)loop_free(f->loop);
    clock_fake(false, 0, 0);
    free(f);
    return 0;
}

/* one look; the node may be changed behind it */
static void look(struct fixture *f)
{
    struct node *was = f->now;

    notice_look(f->notice, f->before, f->now, f->st, N_PROBES);
    f->now = node_new();
    ops_copy(&desc_node, f->now, was);
    (void)node_free(f->before);
    f->before = was;
}

static void pass(struct fixture *f, uint64_t sec)
{
    uint64_t end = clock_boot_ns() + sec * SEC;

    while (loop_next_timer(f->loop) <= end) {
        clock_fake_advance(loop_next_timer(f->loop) - clock_boot_ns());
        (void)loop_run_due(f->loop);
    }
    clock_fake_advance(end - clock_boot_ns());
}

static void set_driver(struct fixture *f, bool healthy, const char *description)
{
    struct driver_info *d =
        ops_keyed_add(&desc_driver_info, &f->now->drivers, &f->now->n_drivers, "docker");

    d->detected = true;
    d->healthy = healthy;
    str_set(&d->health_description, description);
    f->st[DOCKER].state = PROBE_GOOD;
}

static void set_probe(struct fixture *f, int i, enum probe_state state, const char *reason)
{
    f->st[i].state = state;
    f->st[i].reason = reason;
    f->st[i].stale = state != PROBE_GOOD;
}

static void set_volume(struct fixture *f, const char *name, const char *missing_because)
{
    _cleanup_free_ char *id = xasprintf("host_volume.%s", name);

    ops_clear(&desc_fp, f->volumes);
    if (missing_because) {
        fp_why(f->volumes, id, "/srv/data", WHY_FAILED, missing_because, "");
        for (size_t i = 0; i < f->now->n_host_volumes; i++) {
            ops_clear(&desc_host_volume, &f->now->host_volumes[i]);
            f->now->n_host_volumes = 0;
        }
    } else {
        struct host_volume *v =
            ops_keyed_add(&desc_host_volume, &f->now->host_volumes, &f->now->n_host_volumes, name);

        fp_why(f->volumes, id, "/srv/data", WHY_OK, "folder", "");
        str_set(&v->path, "/srv/data");
    }
    f->st[VOLUMES].state = PROBE_GOOD;
}

static const char *detail(const struct fixture *f, size_t i, const char *key)
{
    return str_or_empty(strmap_get(&f->told[i].details, key));
}

#define assert_told(f, i, sub, text)                                                               \
    do {                                                                                           \
        assert_true((f)->n_told > (i));                                                            \
        assert_string_equal((f)->told[i].subsystem, (sub));                                        \
        assert_string_equal((f)->told[i].message, (text));                                         \
    } while (0)

/* --- drivers --- */

static void test_driver_events_are_nomads(void **state)
{
    struct fixture *f = *state;

    look(f);
    set_driver(f, true, "Healthy");
    look(f); /* its first report, behind the first look */
    assert_int_equal(f->n_told, 0);
    set_driver(f, false, "Failed to connect to docker daemon");
    look(f);
    assert_int_equal(f->n_told, 1);
    assert_told(f, 0, "Driver", "Failed to connect to docker daemon");
    assert_string_equal(detail(f, 0, "driver"), "docker");
    assert_int_equal(f->told[0].details.n, 1);
    pass(f, 301);
    set_driver(f, true, "Healthy");
    look(f);
    assert_int_equal(f->n_told, 2);
    assert_told(f, 1, "Driver", "Healthy");
    pass(f, 301);
    set_driver(f, false, ""); /* no words, no event */
    look(f);
    assert_int_equal(f->n_told, 2);
    pass(f, 301);
    set_driver(f, false, "other words");
    look(f);
    assert_told(f, 2, "Driver", "other words");
}

static void test_nothing_changed_nothing_said(void **state)
{
    struct fixture *f = *state;

    set_driver(f, true, "Healthy");
    set_volume(f, "data", NULL);
    for (int i = 0; i < 10; i++) {
        look(f);
        pass(f, 30);
    }
    assert_int_equal(f->n_told, 0);
    f->now->drivers[0].update_time = gotime_now(); /* never a change by itself */
    look(f);
    assert_int_equal(f->n_told, 0);
}

static void test_one_event_a_minute_and_how_many_were_left_out(void **state)
{
    struct fixture *f = *state;

    set_driver(f, true, "Healthy");
    look(f);
    for (int i = 0; i < 21; i++) {
        set_driver(f, i % 2, i % 2 ? "Healthy" : "gone");
        look(f);
        pass(f, 2);
    }
    assert_int_equal(f->n_told, 2); /* the driver, and that it flaps */
    assert_told(f, 0, "Driver", "gone");
    assert_told(f, 1, "Fingerprint",
                "Drivers.docker changes again and again; servers are told once a minute at most");
    assert_string_equal(detail(f, 1, "fact"), "Drivers.docker");
    pass(f, 18);
    assert_int_equal(f->n_told, 3);
    assert_told(f, 2, "Driver", "gone"); /* as it is now */
    assert_string_equal(detail(f, 2, "left_out"), "19");
    assert_string_equal(detail(f, 2, "driver"), "docker");
    pass(f, 600);
    assert_int_equal(f->n_told, 3);
}

static void test_what_is_held_back_is_told_in_the_end(void **state)
{
    struct fixture *f = *state;

    set_driver(f, true, "Healthy");
    look(f);
    set_driver(f, false, "gone");
    look(f);
    set_driver(f, true, "Healthy");
    look(f);
    assert_int_equal(f->n_told, 1);
    f->notice = notice_free(f->notice);
    assert_int_equal(f->n_told, 2);
    assert_told(f, 1, "Driver", "Healthy");
    assert_string_equal(detail(f, 1, "left_out"), "");
}

/* --- probes --- */

static void test_probe_that_hangs_and_answers_again(void **state)
{
    struct fixture *f = *state;

    set_probe(f, DOCKER, PROBE_GOOD, "");
    look(f);
    set_probe(f, DOCKER, PROBE_TIMEOUT, "no answer within 5 s, reading /run/docker.sock");
    look(f);
    assert_int_equal(f->n_told, 1);
    assert_told(f, 0, "Fingerprint",
                "Probe driver.docker does not answer: no answer within 5 s, reading "
                "/run/docker.sock");
    assert_string_equal(detail(f, 0, "probe"), "driver.docker");
    assert_string_equal(detail(f, 0, "reason"), "no answer within 5 s, reading /run/docker.sock");
    pass(f, 60);
    set_probe(f, DOCKER, PROBE_HUNG, "in D state"); /* still the same trouble */
    look(f);
    pass(f, 60);
    set_probe(f, DOCKER, PROBE_FAILED, "garbage"); /* nor is that an answer */
    look(f);
    assert_int_equal(f->n_told, 1);
    pass(f, 65);
    set_probe(f, DOCKER, PROBE_GOOD, "");
    look(f);
    assert_int_equal(f->n_told, 2);
    assert_told(f, 1, "Fingerprint", "Probe driver.docker answers again after 3m5s");
    assert_string_equal(detail(f, 1, "silent"), "3m5s");
    assert_string_equal(detail(f, 1, "reason"), "no answer within 5 s, reading /run/docker.sock");
}

static void test_probe_that_hangs_from_the_start(void **state)
{
    struct fixture *f = *state;

    set_probe(f, DOCKER, PROBE_NEVER, "");
    look(f);
    set_probe(f, DOCKER, PROBE_TIMEOUT, "no answer");
    look(f); /* its first report */
    assert_int_equal(f->n_told, 0);
    pass(f, 7385);
    set_probe(f, DOCKER, PROBE_GOOD, "");
    look(f);
    assert_int_equal(f->n_told, 1);
    assert_told(f, 0, "Fingerprint", "Probe driver.docker answers again after 2h3m");
}

/* --- volumes --- */

static void test_volume_that_is_lost_and_back(void **state)
{
    struct fixture *f = *state;

    look(f);
    set_volume(f, "data", NULL);
    look(f); /* the first report of its probe */
    assert_int_equal(f->n_told, 0);
    set_volume(f, "data", "No such file or directory");
    look(f);
    assert_int_equal(f->n_told, 1);
    assert_told(f, 0, "Storage", "Host volume data is not available: No such file or directory");
    assert_string_equal(detail(f, 0, "volume"), "data");
    assert_string_equal(detail(f, 0, "path"), "/srv/data");
    assert_string_equal(detail(f, 0, "reason"), "No such file or directory");
    pass(f, 70);
    set_volume(f, "data", NULL);
    look(f);
    assert_int_equal(f->n_told, 2);
    assert_told(f, 1, "Storage", "Host volume data is available again after 1m10s");
}

static void test_volume_that_was_missing_at_first(void **state)
{
    struct fixture *f = *state;

    set_volume(f, "data", "No such file or directory");
    look(f);
    assert_int_equal(f->n_told, 0);
    set_volume(f, "data", NULL);
    look(f);
    assert_int_equal(f->n_told, 1);
    assert_told(f, 0, "Storage", "Host volume data is available");
}

static void test_volume_whose_probe_hangs(void **state)
{
    struct fixture *f = *state;

    set_volume(f, "data", NULL);
    look(f);
    set_probe(f, VOLUMES, PROBE_TIMEOUT, "stat /srv/data, in nfs_wait");
    f->now->n_host_volumes = 0; /* what merge makes of it */
    ops_clear(&desc_host_volume, f->now->host_volumes);
    look(f);
    assert_int_equal(f->n_told, 2);
    assert_told(f, 0, "Fingerprint",
                "Probe volumes:data does not answer: stat /srv/data, in nfs_wait");
    assert_told(f, 1, "Storage", "Host volume data is not available: stat /srv/data, in nfs_wait");
    pass(f, 61);
    set_probe(f, VOLUMES, PROBE_GOOD, "");
    set_volume(f, "data", NULL);
    look(f);
    assert_int_equal(f->n_told, 4);
}

static void test_volume_that_a_reload_has_taken_away(void **state)
{
    struct fixture *f = *state;

    set_volume(f, "data", NULL);
    look(f);
    set_volume(f, "data", "gone");
    f->st[VOLUMES].name = "volumes:other"; /* no row of that name any more */
    f->st[VOLUMES].volume = "other";
    look(f);
    assert_int_equal(f->n_told, 0);
    set_volume(f, "data", NULL); /* and it comes back: the first report about it */
    f->st[VOLUMES].name = "volumes:data";
    f->st[VOLUMES].volume = "data";
    look(f);
    assert_int_equal(f->n_told, 0);
}

/* a new path: nothing is known of it yet */
static void test_volume_that_a_reload_has_moved(void **state)
{
    struct fixture *f = *state;

    set_volume(f, "data", NULL);
    look(f);
    set_volume(f, "data", "");
    f->st[VOLUMES].fp = NULL;
    f->st[VOLUMES].state = PROBE_NEVER;
    look(f);
    assert_told(f, 0, "Storage", "Host volume data is not available: no answer yet");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_driver_events_are_nomads),
        TEST(test_nothing_changed_nothing_said),
        TEST(test_one_event_a_minute_and_how_many_were_left_out),
        TEST(test_what_is_held_back_is_told_in_the_end),
        TEST(test_probe_that_hangs_and_answers_again),
        TEST(test_probe_that_hangs_from_the_start),
        TEST(test_volume_that_is_lost_and_back),
        TEST(test_volume_that_was_missing_at_first),
        TEST(test_volume_whose_probe_hangs),
        TEST(test_volume_that_a_reload_has_taken_away),
        TEST(test_volume_that_a_reload_has_moved),
    };

    return cmocka_run_group_tests_name("agent/notice", tests, NULL, NULL);
}
