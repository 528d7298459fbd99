/* tests/unit/agent/fixture.h - an agent's session against fake servers, on a clock that tests move.
 *
 * Sockets are real (loopback), time is not: pass(f, ns) lets it go by from timer to timer.
 */
#pragma once

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/allocs.h"
#include "agent/session.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"
#include "base/str.h"
#include "codec/ops.h"
#include "model/rpc_types.h"
#include "tests/support/fake_server.h"
#include "wire/conn.h"

#define NODE_ID "f7476465-4d6e-c0de-26d0-e383c49be941"
#define SECRET  "0123abcd-1111-2222-3333-444455556666"
#define SEC     NSEC_PER_SEC

struct fixture {
    struct loop *loop;
    char *dir;
    struct fake_server *a, *b; /* two servers */
    struct pool *pool;
    struct servers *servers;
    struct journal *journal;
    struct session *session;
    struct allocs *allocs; /* made by start_allocs() */
    struct conf conf;
    struct collect *collect;
    struct flap *flap;
    struct fp *fp;
    unsigned registered, unknown, contacts;
    char **said; /* messages of the session's node events */
    size_t n_said;
    struct strmap details; /* of the last one */
};

static inline void settle(struct fixture *f)
{
    for (int i = 0; i < 40; i++)
        assert_int_equal(loop_turn(f->loop, NSEC_PER_MSEC / 5), 0);
}

/* so much time goes by; every timer fires when it is due */
static inline void pass(struct fixture *f, uint64_t ns)
{
    uint64_t end = clock_boot_ns() + ns;

    settle(f);
    while (loop_next_timer(f->loop) <= end) {
        uint64_t at = loop_next_timer(f->loop), now = clock_boot_ns();

        if (at > now)
            clock_fake_advance(at - now);
        (void)loop_run_due(f->loop);
        settle(f);
    }
    if (end > clock_boot_ns())
        clock_fake_advance(end - clock_boot_ns());
}

static inline void on_status(void *arg)
{
    (void)arg;
}

static inline void on_registered(void *arg, bool known)
{
    struct fixture *f = arg;

    f->registered++;
    f->unknown += !known;
    if (f->allocs)
        allocs_start(f->allocs, known);
}

static inline void on_contact(void *arg)
{
    struct fixture *f = arg;

    f->contacts++;
    if (f->allocs)
        allocs_kick(f->allocs);
}

static inline void on_event(void *arg, const char *subsystem, const char *message,
                            const struct strmap *details)
{
    struct fixture *f = arg;

    assert_true(*subsystem);
    strv_add(&f->said, &f->n_said, message);
    strmap_done(&f->details);
    strmap_copy(&f->details, details);
}

static inline void on_servers(void *arg)
{
    struct fixture *f = arg;

    if (f->session)
        session_servers_changed(f->session);
}

static inline struct session_status status(const struct fixture *f)
{
    struct session_status st;

    session_status(f->session, &st);
    return st;
}

static inline void publish(struct fixture *f)
{
    struct probe_status st = {.name = "fake", .state = PROBE_GOOD, .fp = f->fp, .reason = ""};

    (void)collect_merge(f->collect, &st, 1);
    session_set_node(f->session, collect_snap(f->collect));
}

/* the part that a restart makes anew */
static inline void open_session(struct fixture *f, const char *const *addresses, size_t n)
{
    struct err e;

    assert_int_equal(journal_open(f->loop, f->dir, NODE_ID, &f->journal, &e), 0);
    f->flap = flap_new();
    f->pool = pool_new(f->loop, &(struct pool_opts){.region = "global"});
    f->servers =
        servers_new(&(struct servers_opts){.loop = f->loop,
                                           .pool = f->pool,
                                           .configured = (char *const *)(uintptr_t)addresses,
                                           .n_configured = n,
                                           .probe_path = "/nonexistent/picket-probe",
                                           .on_change = on_servers,
                                           .arg = f});
    f->session = session_new(&(struct session_opts){.loop = f->loop,
                                                    .pool = f->pool,
                                                    .servers = f->servers,
                                                    .journal = f->journal,
                                                    .flap = f->flap,
                                                    .region = "global",
                                                    .node_id = NODE_ID,
                                                    .secret_id = SECRET,
                                                    .on_change = on_status,
                                                    .on_registered = on_registered,
                                                    .on_contact = on_contact,
                                                    .on_event = on_event,
                                                    .arg = f});
    f->collect = collect_new(&(struct collect_opts){
        .conf = &f->conf, .node_id = NODE_ID, .secret_id = SECRET, .http_addr = "10.0.0.9:4646"});
}

static inline void start_allocs(struct fixture *f)
{
    _cleanup_free_ char *probe =
        xasprintf("%s/picket-probe", f->dir); /* there when a test puts it */

    f->allocs = allocs_new(&(struct allocs_opts){.loop = f->loop,
                                                 .pool = f->pool,
                                                 .session = f->session,
                                                 .journal = f->journal,
                                                 .region = "global",
                                                 .node_id = NODE_ID,
                                                 .secret_id = SECRET,
                                                 .probe_path = probe,
                                                 .alloc_dir = f->dir});
}

static inline void close_session(struct fixture *f)
{
    f->allocs = allocs_free(f->allocs);
    f->session = session_free(f->session);
    f->servers = servers_free(f->servers);
    f->pool = pool_free(f->pool);
    f->journal = journal_free(f->journal);
    f->collect = collect_free(f->collect);
    f->flap = flap_free(f->flap);
}

/* the whole first exchange with server a */
static inline void start(struct fixture *f)
{
    const char *address = fake_server_address(f->a);

    open_session(f, &address, 1);
    session_start(f->session);
    settle(f);
    publish(f);
    settle(f);
}

static inline void restart(struct fixture *f)
{
    close_session(f);
    f->registered = f->unknown = f->contacts = 0;
    start(f);
}

static inline int fixture_setup(void **state)
{
    struct fixture *f = xnew0(struct fixture);
    const char *tmp = getenv("TMPDIR");

    f->dir = xasprintf("%s/session-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(f->dir) || loop_new(&f->loop) < 0)
        return -1;
    log_set_level(getenv("TEST_LOG") ? LOG_LEVEL_DEBUG : LOG_LEVEL_OFF);
    rand_seed(7);
    /* far ahead of the real clock, so that the real timer never fires in between */
    clock_fake(true, UINT64_C(1) << 60, INT64_C(1800000000) * (int64_t)SEC);
    f->a = fake_server_new(f->loop);
    f->b = fake_server_new(f->loop);
    f->conf.name = xstrdup("host-a");
    f->conf.region = xstrdup("global");
    f->fp = fp_new("fake");
    f->fp->ok = true;
    fp_set(f->fp, "kernel.name", "linux", "uname");
    *state = f;
    return 0;
}

static inline void remove_file(const char *dir, const char *name)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", dir, name);

    (void)unlink(path);
}

static inline int fixture_teardown(void **state)
{
    struct fixture *f = *state;

    close_session(f);
    strv_done(&f->said, &f->n_said);
    strmap_done(&f->details);
    (void)fp_free(f->fp);
    (void)fake_server_free(f->a);
    (void)fake_server_free(f->b);
    settle(f);
    conn_drop_closing(f->loop);
    (void)loop_free(f->loop);
    clock_fake(false, 0, 0);
    remove_file(f->dir, "picket-registered.mp");
    remove_file(f->dir, "picket-identity.mp");
    remove_file(f->dir, "picket-allocs.mp");
    (void)rmdir(f->dir);
    free(f->conf.name);
    free(f->conf.region);
    free(f->dir);
    free(f);
    return 0;
}

/* a field of the last call of a method, copied into buffers of the test */
static inline char *last_token(struct fake_server *s, const char *method)
{
    struct node_update_status_request r = {0}; /* the embedded group is the same in all of them */
    char *token;

    assert_true(fake_server_last(s, method, &desc_node_update_status_request, &r));
    token = xstrdup(str_or_empty(r.w.auth_token));
    ops_clear(&desc_node_update_status_request, &r);
    return token;
}

#define assert_token(server, method, expected)                                                     \
    do {                                                                                           \
        _cleanup_free_ char *token_ = last_token((server), (method));                              \
        assert_string_equal(token_, (expected));                                                   \
    } while (0)

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)
