#include "fingerprint/group.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/proc.h"
#include "base/str.h"
#include "codec/mp.h"

enum {
    REASON_MAX = 1024,
    LAST_STEP_MAX = 400, /* of it */
    PROCS_MAX = 64,      /* that a child may start where that can be limited */
    PROCS_TO_NOTICE = 8, /* so many at the deadline are a part of the reason */
    EXIT_MSEC = 1000,    /* patience with the end of a child whose rows have all answered */
};

#define OUT_OF_MEMORY "out of memory" /* the last words of base/mem */

struct group {
    struct group_opts o;
    struct proc *proc;
    size_t at; /* row that is due next */
    size_t memory_mb, output_max;
    struct buf in;
    char *bad;    /* owned; what was wrong with the output, once something was */
    bool freed;   /* group_free() was called in a callback */
    bool limited; /* group_limit() was called */
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
    if (g->at < g->o.n_rows)
        return g->o.rows[g->at]->deadline_ms * NSEC_PER_MSEC;
    return g->limited ? 0 : EXIT_MSEC * NSEC_PER_MSEC;
}

/* --- ceilings --- */

static size_t memory_mb(const struct group_opts *o)
{
    size_t mb = 0;

    for (size_t i = 0; i < o->n_rows; i++)
        mb = MAX(mb, o->rows[i]->memory_mb ? o->rows[i]->memory_mb : PROBE_MEMORY_MB);
    return mb;
}

static size_t output_max(const struct group_opts *o)
{
    size_t kb = 0;

    for (size_t i = 0; i < o->n_rows; i++)
        kb += o->rows[i]->output_kb ? o->rows[i]->output_kb : PROBE_OUTPUT_KB;
    return MIN(kb * KIB, PROBE_OUTPUT_MAX);
}

/* --- output --- */

static void spoil(struct group *g, const char *what)
{
    g->bad = xstrdup(what);
    buf_done(&g->in);
    proc_set_deadline(g->proc, 0);
}

/* a probe that lived through the failure of a large allocation and said so */
static void explain_enomem(const struct group *g, struct fp *fp)
{
    _cleanup_free_ char *said = NULL;

    if (fp->ok || !str_ends(str_or_empty(fp->error), strerror(ENOMEM)))
        return;
    said = steal_ptr(&fp->error);
    fp->error = xasprintf("needs more than %zu MB of memory: %s", g->memory_mb, said);
}

static void take_record(struct group *g, struct fp *take_fp)
{
    size_t i = g->at;
    char what[128];

    if (g->limited && i == g->o.n_rows) {
        (void)fp_free(take_fp);
        return;
    }
    if (i == g->o.n_rows || !str_eq(take_fp->probe, g->o.rows[i]->name)) {
        (void)snprintf(what, sizeof(what), "an answer of \"%.60s\" that nobody asked for",
                       take_fp->probe);
        spoil(g, what);
        (void)fp_free(take_fp);
        return;
    }
    explain_enomem(g, take_fp);
    g->at++;
    proc_set_deadline(g->proc, due_ns(g));
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

/* Cuts the last line off text and returns it: the step that the child was at, or its last words. */
static char *last_line(char *text)
{
    char *nl;

    text = str_trim(text);
    nl = strrchr(text, '\n');
    if (!nl)
        return text;
    *nl = 0;
    return str_trim(nl + 1);
}

static void explain_signal(int signo, struct buf *reason)
{
    const char *name = sigabbrev_np(signo);

    if (signo == SIGKILL)
        buf_add_str(reason, "was killed with SIGKILL by somebody else: the kernel for want of "
                            "memory, or a person");
    else
        buf_printf(reason, "crashed with SIG%s", name ? name : "?");
}

/* As the first of its PID namespace a program does not die from most signals; one that handles them
 * ends as a shell says it. */
static void explain_exit(int status, struct buf *reason)
{
    if (status == 0)
        buf_add_str(reason, "ended without an answer");
    else if (status > 128 && sigabbrev_np(status - 128))
        explain_signal(status - 128, reason);
    else
        buf_printf(reason, "ended with exit status %d", status);
}

static void explain_not_run(int error, struct buf *reason)
{
    switch (error) {
    case ENOENT:
        buf_add_str(reason, "the program for probes is gone: install it again");
        break;
    case EACCES:
    case EPERM:
        buf_add_str(reason, "the program for probes may not be executed: look at its mode and at "
                            "noexec of its file system");
        break;
    case ENOEXEC:
    case ELIBBAD:
        buf_add_str(reason, "the program for probes is damaged or made for another machine: "
                            "install it again");
        break;
    default:
        buf_add_str(reason, "the program for probes does not start");
        break;
    }
}

static void explain_silence(const struct group *g, struct buf *reason)
{
    const char *wait = proc_wait_text(g->proc);
    size_t tree = proc_wait_tree(g->proc);

    if (tree >= PROCS_TO_NOTICE)
        buf_printf(reason, "; over %" PRIu64 " processes that it has started",
                   proc_round_down(tree));
    if (*wait)
        buf_printf(reason, " (%s)", wait);
}

static bool out_of_memory(enum proc_end how, const char *last)
{
    return (how == PROC_EXITED || how == PROC_SIGNALED) && str_ends(last, OUT_OF_MEMORY);
}

static enum probe_state explain(const struct group *g, enum proc_end how, int status,
                                const char *tail, struct buf *reason)
{
    _cleanup_free_ char *text = xstrdup(tail);
    enum probe_state state = PROBE_FAILED;
    char *last = last_line(text);

    if (out_of_memory(how, last)) {
        buf_printf(reason, "needs more than %zu MB of memory", g->memory_mb);
        last = last == text ? last + strlen(last) : last_line(text);
    } else {
        switch (how) {
        case PROC_EXITED:
            explain_exit(status, reason);
            break;
        case PROC_SIGNALED:
            explain_signal(status, reason);
            break;
        case PROC_TOO_MUCH:
            buf_printf(reason, "wrote more than %zu bytes", g->output_max);
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
        case PROC_NOT_RUN:
            explain_not_run(status, reason);
            buf_printf(reason, "; %.*s", LAST_STEP_MAX, last);
            return state;
        }
    }
    if (*last)
        buf_printf(reason, "; last step: %.*s", LAST_STEP_MAX, last);
    if (state == PROBE_TIMEOUT || state == PROBE_HUNG)
        explain_silence(g, reason);
    return state;
}

/* The child's words become a text that servers store: no control characters, UTF-8 only. */
static const char *clean(struct buf *reason)
{
    bool utf8 = str_utf8_valid(buf_str(reason), reason->len);

    for (size_t i = 0; i < reason->len; i++)
        if (reason->p[i] < ' ' || reason->p[i] == 0x7f || (!utf8 && reason->p[i] > 0x7f))
            reason->p[i] = '?';
    return buf_str(reason);
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
    g->o.on_end(g->o.arg, g->at, state, clean(&reason), how != PROC_NOT_RUN);
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
        .procs_max = PROCS_MAX,
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
    g->memory_mb = memory_mb(o);
    g->output_max = output_max(o);
    buf_init(&g->in, 2 * PROBE_RECORD_MAX);
    po.memory_max = probe_memory_max(g->memory_mb);
    po.output_max = g->output_max;
    po.input = conf.p;
    po.input_len = conf.len;
    po.deadline_ns = due_ns(g);
    int r = proc_start(o->loop, &po, &g->proc, e);
    if (r < 0)
        return r;
    *ret = steal_ptr(&g);
    return 0;
}

void group_limit(struct group *g, size_t n)
{
    g->o.n_rows = n;
    g->limited = true;
    if (g->at == n && g->proc)
        proc_set_deadline(g->proc, 0);
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
