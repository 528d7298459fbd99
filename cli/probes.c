#include "cli/probes.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/parse.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/vec.h"

enum { LIST_MAX = 65536, LIST_SEC = 10 };

static bool interrupted;

static void on_signal(void *arg, int signo)
{
    (void)arg;
    (void)signo;
    interrupted = true;
}

int probe_loop_new(struct loop **ret, struct err *e)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    int r;

    loop_block_signals();
    r = loop_new(ret);
    for (size_t i = 0; i < ARRAY_LEN(signals) && r >= 0; i++)
        r = loop_on_signal(*ret, signals[i], on_signal, NULL);
    return r < 0 ? err_errno(e, r, "cannot make an event loop") : 0;
}

char *probe_find(void)
{
    char **folders = NULL, *found = file_find_helper("picket-probe");
    size_t n = 0;

    strv_split(str_or_empty(getenv("PATH")), ":", &folders, &n);
    for (size_t i = 0; i < n && !found; i++) {
        _cleanup_free_ char *p = xasprintf("%s/picket-probe", folders[i]);

        if (access(p, X_OK) == 0)
            found = steal_ptr(&p);
    }
    strv_done(&folders, &n);
    return found;
}

void probe_rows_done(struct probe_rows *r)
{
    for (size_t i = 0; i < r->n; i++)
        free((void *)(uintptr_t)r->v[i].name);
    free(r->v);
    *r = (struct probe_rows){0};
}

/* turns until *done; a signal ends it with -EINTR (loop_quit) */
static int turn_until(struct loop *l, const bool *done)
{
    while (!*done) {
        int r = loop_turn(l, UINT64_MAX);

        if (r < 0)
            return r;
        if (interrupted)
            return -EINTR;
    }
    return 0;
}

/* ---- picket-probe -list ---- */

struct listing {
    struct buf text;
    bool done, ok;
    char *why; /* owned */
};

static void on_list_output(void *arg, const uint8_t *p, size_t n)
{
    struct listing *l = arg;

    buf_add(&l->text, p, n);
}

static void on_list_end(void *arg, enum proc_end how, int status, const char *stderr_tail)
{
    struct listing *l = arg;

    l->ok = how == PROC_EXITED && status == 0;
    l->why = xstrdup(stderr_tail);
    l->done = true;
}

static void parse_rows(const char *text, struct probe_rows *ret)
{
    char **lines = NULL;
    size_t n = 0;

    strv_split(text, "\n", &lines, &n);
    for (size_t i = 0; i < n; i++) {
        char **words = NULL;
        size_t n_words = 0;
        uint64_t deadline_ms;

        strv_split(lines[i], " ", &words, &n_words);
        if (n_words > 3 && parse_u64(words[2], &deadline_ms) == 0)
            *vec_add(&ret->v, &ret->n) = (struct probe){
                .name = xstrdup(words[0]),
                .class = probe_class_parse(words[1]),
                .deadline_ms = (unsigned)MIN(deadline_ms, UINT64_C(3600000)),
            };
        strv_done(&words, &n_words);
    }
    strv_done(&lines, &n);
}

int probe_rows_load(struct loop *l, const char *path, struct probe_rows *ret, struct err *e)
{
    const char *argv[] = {path, "-list", NULL};
    struct listing list = {.text = BUF_INIT(LIST_MAX)};
    struct proc_opts o = {
        .argv = argv,
        .deadline_ns = LIST_SEC * NSEC_PER_SEC,
        .output_max = LIST_MAX,
        .on_output = on_list_output,
        .on_end = on_list_end,
        .arg = &list,
    };
    struct proc *p = NULL;
    int r;

    r = proc_start(l, &o, &p, e);
    if (r == 0)
        r = turn_until(l, &list.done);
    (void)proc_free(p);
    if (r == 0 && list.ok)
        parse_rows(buf_str(&list.text), ret);
    if (r == 0 && ret->n == 0)
        r = err_set(e, -EIO, "%s -list did not answer%s%s", path, str_empty(list.why) ? "" : ": ",
                    str_or_empty(list.why));
    buf_done(&list.text);
    free(list.why);
    return r;
}

static void on_first(void *arg)
{
    *(bool *)arg = true;
}

int probe_rows_run(struct loop *l, const char *path, const struct probe *const *rows, size_t n,
                   const struct probe_conf *conf, struct probe_run **ret, struct err *e)
{
    bool done = false;
    struct probe_run_opts o = {
        .loop = l,
        .probe_path = path,
        .rows = rows,
        .n_rows = n,
        .conf = conf,
        .on_first = on_first,
        .arg = &done,
    };
    int r;

    *ret = probe_run_new(&o);
    probe_run_start(*ret);
    r = turn_until(l, &done);
    return r < 0 ? err_errno(e, r, "the probes were interrupted") : 0;
}
