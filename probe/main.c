/* picket-probe - runs probes, one record for each on stdout the moment it is there.
 *
 *     picket-probe [-root DIR] [-conf FILE|-] [-list] [-json] [NAME...]
 *     picket-probe -resolve HOST PORT | -user NAME|UID | -delete PATH -below DIR | -disks ALLOC_DIR
 *     picket-probe -read-config [PATH...] | -make-folder PATH
 *
 * Everything that may hang or crash while looking at a host happens in this process: picketd runs
 * it with a deadline (fingerprint/run), people run it by hand.  It keeps only the capabilities that
 * the rows it was asked for need, and cannot get new ones.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/str.h"
#include "base/vec.h"
#include "codec/js.h"
#include "codec/mp.h"
#include "codec/ops.h"
#include "drivers/driver.h"
#include "fingerprint/probe.h"
#include "probe/jobs.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct selected_row {
    const struct probe *probe;
    const char *name;   /* as it was asked for */
    const char *volume; /* "volumes:NAME" is about that one; NULL = all */
};

struct options {
    const char *root, *conf;
    bool list, json, version;
    const struct odd_job *job; /* NULL: probes are run */
    char *const *names;        /* what stands behind the flags */
    struct selected_row *rows; /* owned array, in table order */
    size_t n_rows;
};

/* --- rows --- */

static size_t row_count(void)
{
    return n_probes + n_drivers_rows;
}

static const struct probe *row_at(size_t i)
{
    return i < n_probes ? probes[i] : &drivers[i - n_probes]->probe;
}

static int unknown_row(const char *name)
{
    const char **names = xnew0_n(const char *, row_count());
    const char *near;

    for (size_t i = 0; i < row_count(); i++)
        names[i] = row_at(i)->name;
    near = str_nearest(name, names, row_count());
    (void)fprintf(stderr, "picket-probe: there is no probe \"%s\"%s%s%s; -list shows all\n", name,
                  near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    free(names);
    return EXIT_USAGE;
}

/* whether a name asks for the row, and if so, for which part of it */
static bool is_asked(const char *name, const struct probe *p, const char **ret_volume)
{
    size_t n = strlen(p->name);

    *ret_volume = NULL;
    if (str_eq(name, p->name))
        return true;
    if (p->class != PROBE_EACH || !str_starts(name, p->name) || name[n] != PROBE_EACH_SEPARATOR)
        return false;
    *ret_volume = name + n + 1;
    return true;
}

static void select_row(struct options *o, const struct probe *p, char **names, size_t n)
{
    const char *volume = NULL;

    if (n == 0 || strv_has(names, n, p->name)) {
        *vec_add(&o->rows, &o->n_rows) = (struct selected_row){p, p->name, NULL};
        return;
    }
    for (size_t i = 0; i < n; i++)
        if (is_asked(names[i], p, &volume))
            *vec_add(&o->rows, &o->n_rows) = (struct selected_row){p, names[i], volume};
}

/* all rows when no name is given; in table order whatever the order of the names */
static int select_rows(struct options *o, char **names, size_t n)
{
    const char *volume;

    for (size_t j = 0; j < n; j++) {
        bool known = false;

        for (size_t i = 0; i < row_count(); i++)
            known = known || is_asked(names[j], row_at(i), &volume);
        if (!known)
            return unknown_row(names[j]);
    }
    for (size_t i = 0; i < row_count(); i++)
        select_row(o, row_at(i), names, n);
    return EXIT_OK;
}

static void list_rows(void)
{
    for (size_t i = 0; i < row_count(); i++) {
        const struct probe *p = row_at(i);

        (void)printf("%-16s %-5s %5u ms  %s\n", p->name, probe_class_name(p->class), p->deadline_ms,
                     p->summary);
    }
}

/* --- configuration --- */

/* msgpack, or JSON when it begins with a brace */
static int decode_conf(const char *text, size_t n, struct probe_conf *conf, struct err *e)
{
    if (n > 0 && text[strspn(text, " \t\r\n")] == '{')
        return js_decode(&desc_probe_conf, text, n, conf, e);
    return mp_decode(&desc_probe_conf, text, n, conf, e);
}

static int read_conf(const char *from, struct probe_conf *conf, struct err *e)
{
    _cleanup_free_ char *text = NULL;
    size_t n = 0;
    int r;

    conf->service_discovery = true;
    if (from) {
        r = str_eq(from, "-") ? file_read_fd(STDIN_FILENO, READ_CAP_CONFIG, &text, &n)
                              : file_read(from, READ_CAP_CONFIG, &text, &n);
        if (r < 0)
            return err_errno(e, r, "cannot read the configuration");
        r = decode_conf(text, n, conf, e);
        if (r < 0)
            return err_wrap(e, r, "configuration");
    }
    probe_conf_defaults(conf);
    return 0;
}

/* --- rights --- */

/* Gives up every capability that no selected row asks for, for good. */
static int drop_rights(const struct options *o, struct err *e)
{
    uint64_t keep = o->job ? o->job->caps : 0;
    cap_t caps;
    int r = 0;

    for (size_t i = 0; i < o->n_rows; i++)
        keep |= o->rows[i].probe->caps;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_errno(e, -errno, "no_new_privs");
    caps = cap_get_proc();
    if (!caps)
        return err_errno(e, -errno, "cannot read the capabilities");
    for (cap_value_t c = 0; c <= CAP_LAST_CAP && r == 0; c++) {
        bool keep_it = keep & PROBE_CAP(c);

        if ((!keep_it && (cap_set_flag(caps, CAP_EFFECTIVE, 1, &c, CAP_CLEAR) < 0 ||
                          cap_set_flag(caps, CAP_PERMITTED, 1, &c, CAP_CLEAR) < 0)) ||
            cap_set_flag(caps, CAP_INHERITABLE, 1, &c, CAP_CLEAR) < 0)
            r = -errno;
    }
    if (r == 0 && cap_set_proc(caps) < 0)
        r = -errno;
    (void)cap_free(caps);
    return r < 0 ? err_errno(e, r, "cannot drop the capabilities") : 0;
}

/* --- output --- */

struct output {
    bool json;
    bool any;    /* something was written */
    bool broken; /* the reader is gone */
};

static void put(struct output *out, const void *p, size_t n)
{
    const char *at = p;

    while (n > 0 && !out->broken) {
        ssize_t done = write(STDOUT_FILENO, at, n);

        if (done < 0 && errno != EINTR)
            out->broken = true;
        if (done > 0) {
            at += done;
            n -= (size_t)done;
        }
    }
}

static void put_json(struct output *out, const struct fp *fp)
{
    _cleanup_buf_ struct buf b = BUF_INIT(PROBE_OUTPUT_MAX), pretty = BUF_INIT(PROBE_OUTPUT_MAX);

    js_encode(&b, &desc_fp, fp, 0);
    js_pretty(&pretty, buf_str(&b), b.len);
    while (pretty.len > 0 && pretty.p[pretty.len - 1] == '\n')
        pretty.len--;
    put(out, out->any ? ",\n" : "[\n", 2);
    put(out, buf_str(&pretty), pretty.len);
    out->any = true;
}

static void put_result(struct output *out, const struct fp *fp)
{
    _cleanup_buf_ struct buf b = BUF_INIT(PROBE_RECORD_MAX);

    if (out->json) {
        put_json(out, fp);
        return;
    }
    fp_write_record(&b, fp);
    if (buf_ok(&b) == 0)
        put(out, b.p, b.len);
}

/* --- running --- */

/* Nomad's name of a host probe, for its lists; NULL when it has none */
static const char *nomad_name(const struct probe *row)
{
    if (str_eq(row->name, "version"))
        return "nomad";
    return str_eq(row->name, "volumes") || str_starts(row->name, "driver.") ? NULL : row->name;
}

static void run_row(const struct selected_row *row, struct probe_ctx *ctx, struct output *out)
{
    _cleanup_(fp_freep) struct fp *fp = fp_new(row->name);
    const char *name = nomad_name(row->probe);
    _cleanup_free_ char *denied = name ? probe_denied_by(ctx->conf, "fingerprint", name) : NULL;
    uint64_t from = clock_boot_ns();
    int r = 0;

    if (denied)
        fp_why(fp, "allowed", "client.options", WHY_SKIPPED, denied, "");
    else
        r = row->probe->run(ctx, fp);
    if (r < 0 && fp->ok)
        (void)fp_fail(fp, r, "%s", row->name);
    fp->took_us = (int64_t)((clock_boot_ns() - from) / NSEC_PER_USEC);
    put_result(out, fp);
}

static int run_rows(const struct options *o, const struct probe_conf *conf)
{
    struct output out = {.json = o->json};
    struct probe_ctx ctx = {
        .root = o->root,
        .conf = conf,
        .euid = geteuid(),
        .trace = !o->json && str_eq(o->conf, "-"),
    };

    for (size_t i = 0; i < o->n_rows && !out.broken; i++) {
        ctx.volume = o->rows[i].volume;
        run_row(&o->rows[i], &ctx, &out);
    }
    if (o->json)
        put(&out, out.any ? "\n]\n" : "[]\n", 3);
    return out.broken ? EXIT_FAILED : EXIT_OK;
}

/* --- command line --- */

static int usage(const char *what)
{
    (void)fprintf(stderr,
                  "picket-probe: %s\n"
                  "usage: picket-probe [-root DIR] [-conf FILE|-] [-list] [-json] [NAME...]\n"
                  "       picket-probe -version\n",
                  what);
    for (size_t i = 0; i < n_odd_jobs; i++)
        (void)fprintf(stderr, "       picket-probe %s %s\n", odd_jobs[i].flag, odd_jobs[i].usage);
    return EXIT_USAGE;
}

static int parse_args(struct options *o, int argc, char **argv)
{
    int i;

    for (i = 1; i < argc && argv[i][0] == '-' && !o->job; i++) {
        const char *flag = argv[i] + (argv[i][1] == '-');

        o->job = odd_job_find(flag);
        if (o->job)
            continue;
        if (str_eq(flag, "-list"))
            o->list = true;
        else if (str_eq(flag, "-json"))
            o->json = true;
        else if (str_eq(flag, "-version"))
            o->version = true;
        else if (str_eq(flag, "-root") && i + 1 < argc)
            o->root = argv[++i];
        else if (str_eq(flag, "-conf") && i + 1 < argc)
            o->conf = argv[++i];
        else
            return usage("unknown flag, or one without its value");
    }
    o->names = argv + i;
    if (o->job)
        return o->job->n_args == ODD_JOB_ANY_ARGS || argc - i == o->job->n_args
                   ? EXIT_OK
                   : usage("wrong number of arguments");
    o->json = o->json || isatty(STDOUT_FILENO);
    return select_rows(o, argv + i, (size_t)(argc - i));
}

static void on_abort(int signo)
{
    _exit(128 + signo);
}

/* The first process of a PID namespace (base/proc) does not die from the signal of abort(), but
 * only from the fault that abort() causes then: nobody could tell it from a real one. */
static void abort_visibly(void)
{
    const struct sigaction sa = {.sa_handler = on_abort};

    if (getpid() == 1)
        (void)sigaction(SIGABRT, &sa, NULL);
}

#ifdef __SANITIZE_ADDRESS__
/* The leak checker reads /proc/PID/task by its own pid: in a PID namespace whose /proc is the
 * host's (fingerprint/run) that is some other process, or none. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    char self[16] = "", pid[16];

    (void)snprintf(pid, sizeof(pid), "%d", getpid());
    return readlink("/proc/self", self, sizeof(self) - 1) < 0 || strcmp(self, pid) != 0;
}
#endif

int main(int argc, char **argv)
{
    struct options o = {.root = ""};
    struct probe_conf conf = {0};
    struct err e = {0};
    int code;

    abort_visibly();
    code = parse_args(&o, argc, argv);
    if (code == EXIT_OK && o.version)
        (void)printf("picket-probe %s\n", PICKET_VERSION);
    else if (code == EXIT_OK && o.list)
        list_rows();
    else if (code == EXIT_OK && (read_conf(o.conf, &conf, &e) < 0 || drop_rights(&o, &e) < 0 ||
                                 (o.job && o.job->run(o.root, o.names, &e) < 0))) {
        (void)fprintf(stderr, "picket-probe: %s\n", e.text);
        code = EXIT_FAILED;
    } else if (code == EXIT_OK && !o.job) {
        code = run_rows(&o, &conf);
    }
    ops_clear(&desc_probe_conf, &conf);
    free(o.rows);
    return code;
}
