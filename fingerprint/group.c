#include "fingerprint/group.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/proc.h"
#include "base/str.h"
#include "codec/mp.h"

enum {
    REASON_MAX = 512,
    EXIT_MSEC = 1000, /* patience with the end of a child whose rows have all answered */
};

/* Address space of a child; sanitizers need more of it than there is memory. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CHILD_MEMORY_MAX ((size_t)0)
#else
#define CHILD_MEMORY_MAX ((size_t)512 * MIB)
#endif

struct group {
    struct group_opts o;
    struct proc *proc;
    size_t at; /* row that is due next */
    struct buf in;
    char *bad;  /* owned; what was wrong with the output, once something was */
    bool freed; /* group_free() was called in a callback */
    unsigned busy;
};

static void enter(struct group *g)
{
    g->busy++;
}

static void destroy(struct group *g)
{
    (void)proc_free(g->proc);
    buf_done(&g->in);
    free(g->bad);
    free(g);
}

static void leave(struct group *g)
{
    if (--g->busy == 0 && g->freed)
        destroy(g);
}

static uint64_t due_ns(const struct group *g)
{
    uint64_t ms = g->at < g->o.n_rows ? g->o.rows[g->at]->deadline_ms : EXIT_MSEC;

    return ms * NSEC_PER_MSEC;
}

/* --- output --- */

static void spoil(struct group *g, const char *what)
{
    g->bad = xstrdup(what);
    buf_done(&g->in);
    proc_set_deadline(g->proc, 0);
}

static void take_record(struct group *g, struct fp *take_fp)
{
    size_t i = g->at;
    char what[128];

    if (i == g->o.n_rows || !str_eq(take_fp->probe, g->o.rows[i]->name)) {
        (void)snprintf(what, sizeof(what), "an answer of \"%.60s\" that nobody asked for",
                       take_fp->probe);
        spoil(g, what);
        (void)fp_free(take_fp);
        return;
    }
    if (!take_fp->partial) {
        g->at++;
        proc_set_deadline(g->proc, due_ns(g));
    }
    g->o.on_result(g->o.arg, i, take_fp);
}

static void on_output(void *arg, const uint8_t *p, size_t n)
{
    struct group *g = arg;
    struct fp *fp;
    size_t used;
    struct err e = {0};

    if (g->bad)
        return;
    enter(g);
    buf_add(&g->in, p, n);
    while (!g->freed && !g->bad) {
        int r = fp_read_record(g->in.p, g->in.len, &fp, &used, &e);

        if (r == -EAGAIN)
            break;
        if (r < 0) {
            spoil(g, *e.text ? e.text : strerror(-r));
            break;
        }
        buf_drop(&g->in, used);
        take_record(g, fp);
    }
    leave(g);
}

/* --- the end --- */

/* The last line of what the child wrote to stderr: the step it was at, or its last words. */
static char *last_line(const char *tail)
{
    _cleanup_free_ char *copy = xstrdup(tail);
    char *text = str_trim(copy), *nl = strrchr(text, '\n');

    return xstrdup(nl ? nl + 1 : text);
}

static enum probe_state explain(const struct group *g, enum proc_end how, int status,
                                const char *tail, struct buf *reason)
{
    _cleanup_free_ char *last = last_line(tail);
    enum probe_state state = PROBE_FAILED;
    const char *wait = proc_wait_text(g->proc), *name;

    switch (how) {
    case PROC_EXITED:
        if (status == 0)
            buf_add_str(reason, "ended without an answer");
        else
            buf_printf(reason, "ended with exit status %d", status);
        break;
    case PROC_SIGNALED:
        name = sigabbrev_np(status);
        buf_printf(reason, "crashed with SIG%s", name ? name : "?");
        break;
    case PROC_TOO_MUCH:
        buf_printf(reason, "wrote more than %zu bytes", PROBE_OUTPUT_MAX);
        break;
    case PROC_TIMED_OUT:
        state = PROBE_TIMEOUT;
        buf_printf(reason, "no answer within %llu ms",
                   (unsigned long long)(due_ns(g) / NSEC_PER_MSEC));
        break;
    case PROC_HUNG:
        state = PROBE_HUNG;
        buf_add_str(reason, "hangs and cannot be killed");
        break;
    }
    if (*last)
        buf_printf(reason, "; last step: %s", last);
    if ((how == PROC_TIMED_OUT || how == PROC_HUNG) && *wait)
        buf_printf(reason, " (%s)", wait);
    return state;
}

static void on_end(void *arg, enum proc_end how, int status, const char *tail)
{
    _cleanup_buf_ struct buf reason = BUF_INIT(REASON_MAX);
    struct group *g = arg;
    enum probe_state state = PROBE_GOOD;

    enter(g);
    if (g->bad && how != PROC_HUNG) {
        state = PROBE_FAILED;
        buf_printf(&reason, "sent garbage: %.400s", g->bad);
    } else if (g->at < g->o.n_rows || how == PROC_HUNG) {
        state = explain(g, how, status, tail, &reason);
    }
    if (how != PROC_HUNG)
        g->proc = proc_free(g->proc);
    g->o.on_end(g->o.arg, g->at, state, buf_str(&reason));
    leave(g);
}

static void on_gone(void *arg)
{
    struct group *g = arg;

    enter(g);
    g->proc = proc_free(g->proc);
    g->o.on_gone(g->o.arg);
    leave(g);
}

/* --- the start --- */

int group_start(const struct group_opts *o, struct group **ret, struct err *e)
{
    _cleanup_(group_freep) struct group *g = xnew0(struct group);
    _cleanup_free_ const char **argv = xnew0_n(const char *, o->n_rows + 4);
    _cleanup_buf_ struct buf conf = BUF_INIT(PROC_INPUT_MAX);
    struct proc_opts po = {
        .argv = argv,
        .output_max = PROBE_OUTPUT_MAX,
        .memory_max = CHILD_MEMORY_MAX,
        .on_output = on_output,
        .on_end = on_end,
        .on_gone = on_gone,
        .arg = g,
    };

    argv[0] = o->probe_path;
    argv[1] = "-conf";
    argv[2] = "-";
    for (size_t i = 0; i < o->n_rows; i++)
        argv[3 + i] = o->rows[i]->name;
    mp_encode(&conf, &desc_probe_conf, o->conf);
    if (buf_ok(&conf) < 0)
        return err_set(e, -E2BIG, "the configuration for the probes is longer than %d bytes",
                       PROC_INPUT_MAX);
    g->o = *o;
    buf_init(&g->in, 2 * PROBE_RECORD_MAX);
    po.input = conf.p;
    po.input_len = conf.len;
    po.deadline_ns = due_ns(g);
    int r = proc_start(o->loop, &po, &g->proc, e);
    if (r < 0)
        return r;
    *ret = steal_ptr(&g);
    return 0;
}

struct group *group_free(struct group *g)
{
    if (!g)
        return NULL;
    g->freed = true;
    if (g->busy == 0)
        destroy(g);
    return NULL;
}
