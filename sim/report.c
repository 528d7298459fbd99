#include "sim/report.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>

#include "base/limits.h"
#include "base/parse.h"
#include "base/str.h"
#include "base/vec.h"
#include "codec/js.h"

static uint64_t cpu_ns(void)
{
    struct rusage u = {0};

    (void)getrusage(RUSAGE_SELF, &u);
    return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * NSEC_PER_SEC +
           (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * NSEC_PER_USEC;
}

static double ms(uint64_t ns)
{
    return (double)ns / 1e6;
}

static double seconds(uint64_t ns)
{
    return (double)ns / 1e9;
}

void report_init(struct report *r, const struct fleet *f, const struct sim_common *c)
{
    *r = (struct report){.fleet = f, .common = c};
    r->start_ns = r->last_ns = clock_boot_ns();
    r->last_cpu_ns = cpu_ns();
}

/* --- numbers by name --- */

struct number {
    char name[48];
    double value;
};

static void add(struct number **v, size_t *n, const char *name, double value)
{
    struct number *one = vec_add(v, n);
    size_t len = MIN(strlen(name), sizeof(one->name) - 1);

    memcpy(one->name, name, len);
    one->value = value;
}

static void numbers(const struct report *r, struct number **v, size_t *n)
{
    const struct tally *t = &r->common->tally;
    static const char *const keys[] = {"register", "beat", "allocs", "wait", "events"};

    add(v, n, "agents", (double)fleet_agents(r->fleet));
    for (size_t i = 0; i < SIM_STATES; i++)
        add(v, n, sim_state_name((enum sim_state)i), (double)r->common->states[i]);
    add(v, n, "errors", (double)tally_errors(t));
    add(v, n, "lost_calls", (double)tally_lost(t));
    add(v, n, "late", (double)t->late);
    add(v, n, "missed", (double)t->missed);
    add(v, n, "connects", (double)t->connects);
    add(v, n, "reconnects", (double)t->reconnects);
    add(v, n, "refused", (double)t->refused);
    add(v, n, "cut_by_server", (double)t->cut);
    for (size_t i = 0; i < TALLY_METHODS; i++) {
        const struct tally_call *c = &t->calls[i];
        _cleanup_free_ char *count = xasprintf("%s.count", keys[i]);
        _cleanup_free_ char *p99 = xasprintf("%s.p99_ms", keys[i]);
        _cleanup_free_ char *max = xasprintf("%s.max_ms", keys[i]);

        add(v, n, count, (double)c->count);
        add(v, n, p99, ms(latency_at(&c->latency, 990)));
        add(v, n, max, ms(c->latency.max_ns));
    }
}

/* --- expectations --- */

struct expectation {
    char *name; /* owned */
    const char *op;
    double value;
};

static int parse_one(const char *text, struct expectation *ret, struct err *e)
{
    static const char *const ops[] = {"<=", ">=", "=", "<", ">"};
    size_t n = strcspn(text, "<>=");

    for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
        if (n == 0 || !str_starts(text + n, ops[i]))
            continue;
        if (parse_f64(text + n + strlen(ops[i]), &ret->value) < 0)
            break;
        ret->name = xstrndup(text, n);
        ret->op = ops[i];
        return 0;
    }
    return err_set(e, -EINVAL, "\"%s\" is no expectation: ready=100, errors=0, late<=5", text);
}

static bool holds(const struct expectation *x, double v)
{
    switch (x->op[0]) {
    case '<':
        return x->op[1] ? v <= x->value : v < x->value;
    case '>':
        return x->op[1] ? v >= x->value : v > x->value;
    default:
        return v >= x->value && v <= x->value;
    }
}

static const struct number *find(const struct number *v, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(v[i].name, name))
            return &v[i];
    return NULL;
}

static int unknown_name(const struct number *v, size_t n, const char *name, struct err *e)
{
    const char **names = xnew0_n(const char *, n), *near;

    for (size_t i = 0; i < n; i++)
        names[i] = v[i].name;
    near = str_nearest(name, names, n);
    (void)err_set(e, -EINVAL, "nothing that is counted is named \"%s\"%s%s%s", name,
                  near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    free(names);
    return -EINVAL;
}

/* unmet are appended to out and counted; -EINVAL for what cannot be checked */
static int check(const struct report *r, const char *expect, struct buf *out, size_t *ret_unmet,
                 struct err *e)
{
    struct number *v = NULL;
    char **words = NULL;
    size_t n = 0, n_words = 0;
    int result = 0;

    numbers(r, &v, &n);
    strv_split(expect, ",", &words, &n_words);
    for (size_t i = 0; result == 0 && i < n_words; i++) {
        struct expectation x = {0};
        const struct number *is = NULL;

        result = parse_one(words[i], &x, e);
        if (result == 0 && !(is = find(v, n, x.name)))
            result = unknown_name(v, n, x.name, e);
        if (is && !holds(&x, is->value)) {
            buf_printf(out, "expected %s, but %s is %.6g\n", words[i], x.name, is->value);
            (*ret_unmet)++;
        }
        free(x.name);
    }
    strv_done(&words, &n_words);
    free(v);
    return result;
}

int report_check(const struct report *r, const char *expect, struct err *e)
{
    _cleanup_buf_ struct buf out = BUF_INIT(SIM_SCRIPT_MAX);
    size_t unmet = 0;

    return check(r, expect, &out, &unmet, e);
}

size_t report_unmet(const struct report *r, const char *expect, struct buf *out)
{
    size_t unmet = 0;
    struct err e;

    (void)check(r, expect, out, &unmet, &e); /* report_check() came first */
    return unmet;
}

/* --- text --- */

static void put_states(const struct report *r, struct buf *out)
{
    const char *sep = "";

    for (size_t i = 0; i < SIM_STATES; i++) {
        if (r->common->states[i] == 0 && i != SIM_READY)
            continue;
        buf_printf(out, "%s%s %zu", sep, sim_state_name((enum sim_state)i), r->common->states[i]);
        sep = ", ";
    }
}

void report_line(struct report *r, struct buf *out)
{
    const struct tally *t = &r->common->tally;
    uint64_t now = clock_boot_ns(), cpu = cpu_ns(), answers = tally_answers(t);
    uint64_t beats = t->calls[TALLY_BEAT].count;
    double sec = MAX(seconds(now - r->last_ns), 1e-3);

    buf_printf(out, "%6.1fs  %zu agents: ", seconds(now - r->start_ns), fleet_agents(r->fleet));
    put_states(r, out);
    buf_printf(out,
               "; %.0f calls/s, %.0f beats/s; errors %" PRIu64 ", late %" PRIu64 ", missed %" PRIu64
               ", reconnects %" PRIu64 "; cpu %.0f%%\n",
               (double)(answers - r->last_answers) / sec, (double)(beats - r->last_beats) / sec,
               tally_errors(t), t->late, t->missed, t->reconnects,
               seconds(cpu - r->last_cpu_ns) / sec * 100);
    r->last_ns = now;
    r->last_cpu_ns = cpu;
    r->last_answers = answers;
    r->last_beats = beats;
}

void report_text(const struct report *r, struct buf *out)
{
    const struct tally *t = &r->common->tally;
    uint64_t sent, received;

    fleet_bytes(r->fleet, &sent, &received);
    buf_printf(out, "%zu agents: ", fleet_agents(r->fleet));
    put_states(r, out);
    buf_printf(out, "\n\n%-32s %10s %7s %6s %9s %9s %9s %9s\n", "call", "count", "errors", "lost",
               "p50 ms", "p90 ms", "p99 ms", "max ms");
    for (size_t i = 0; i < TALLY_METHODS; i++) {
        const struct tally_call *c = &t->calls[i];

        buf_printf(out, "%-32s %10" PRIu64 " %7" PRIu64 " %6" PRIu64 " %9.2f %9.2f %9.2f %9.2f\n",
                   tally_method_name((enum tally_method)i), c->count, c->errors + c->timeouts,
                   c->lost, ms(latency_at(&c->latency, 500)), ms(latency_at(&c->latency, 900)),
                   ms(latency_at(&c->latency, 990)), ms(c->latency.max_ns));
    }
    buf_printf(out,
               "\nheartbeats: %" PRIu64 " late, %" PRIu64 " missed\nconnections: %" PRIu64
               " made, %" PRIu64 " of them again, %" PRIu64 " refused, %" PRIu64
               " ended by servers\n%.1f MB sent, %.1f MB received; %.1f s of CPU in %.1f s\n",
               t->late, t->missed, t->connects, t->reconnects, t->refused, t->cut,
               (double)sent / 1e6, (double)received / 1e6, seconds(cpu_ns()),
               seconds(clock_boot_ns() - r->start_ns));
    for (size_t i = 0; i < TALLY_TEXTS && t->texts[i].n > 0; i++)
        buf_printf(out, "%8" PRIu64 " x %s\n", t->texts[i].n, t->texts[i].text);
}

/* --- JSON --- */

static void put_calls(const struct tally *t, struct buf *out)
{
    for (size_t i = 0; i < TALLY_METHODS; i++) {
        const struct tally_call *c = &t->calls[i];

        buf_add_str(out, i ? "," : "");
        js_str(out, tally_method_name((enum tally_method)i));
        buf_printf(out,
                   ":{\"count\":%" PRIu64 ",\"errors\":%" PRIu64 ",\"lost\":%" PRIu64
                   ",\"timeouts\":%" PRIu64
                   ",\"p50_ms\":%.3f,\"p90_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f}",
                   c->count, c->errors, c->lost, c->timeouts, ms(latency_at(&c->latency, 500)),
                   ms(latency_at(&c->latency, 900)), ms(latency_at(&c->latency, 990)),
                   ms(c->latency.max_ns));
    }
}

void report_json(const struct report *r, struct buf *out)
{
    const struct tally *t = &r->common->tally;
    uint64_t sent, received;

    fleet_bytes(r->fleet, &sent, &received);
    buf_printf(out, "{\"seconds\":%.3f,\"agents\":%zu,\"busy\":%s,\"states\":{",
               seconds(clock_boot_ns() - r->start_ns), fleet_agents(r->fleet),
               fleet_is_busy(r->fleet) ? "true" : "false");
    for (size_t i = 0; i < SIM_STATES; i++)
        buf_printf(out, "%s\"%s\":%zu", i ? "," : "", sim_state_name((enum sim_state)i),
                   r->common->states[i]);
    buf_add_str(out, "},\"calls\":{");
    put_calls(t, out);
    buf_printf(out,
               "},\"errors\":%" PRIu64 ",\"lost_calls\":%" PRIu64 ",\"late\":%" PRIu64
               ",\"missed\":%" PRIu64 ",\"connects\":%" PRIu64 ",\"reconnects\":%" PRIu64
               ",\"refused\":%" PRIu64 ",\"cut_by_server\":%" PRIu64 ",\"asked_by_server\":%" PRIu64
               ",\"bytes_sent\":%" PRIu64 ",\"bytes_received\":%" PRIu64
               ",\"cpu_seconds\":%.3f,\"texts\":{",
               tally_errors(t), tally_lost(t), t->late, t->missed, t->connects, t->reconnects,
               t->refused, t->cut, t->asked, sent, received, seconds(cpu_ns()));
    for (size_t i = 0; i < TALLY_TEXTS && t->texts[i].n > 0; i++) {
        buf_add_str(out, i ? "," : "");
        js_str(out, t->texts[i].text);
        buf_printf(out, ":%" PRIu64, t->texts[i].n);
    }
    buf_add_str(out, "}}\n");
}
