#include "agent/notice.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "base/vec.h"
#include "model/texts.h"

#define EVERY_NS (NOTICE_EVERY_SEC * NSEC_PER_SEC)

/* what events are about; forgotten when it has been quiet */
struct subject {
    char *key;
    uint64_t told_ns;
    unsigned left_out;
    char *subsystem, *message; /* held back; NULL = nothing is */
    struct strmap details;
};

struct probe_seen {
    char *name;
    bool seen;     /* has had an outcome */
    bool silent;   /* hangs */
    char *reason;  /* for which */
    uint64_t from; /* since when */
};

struct lost_volume {
    char *name;
    uint64_t from;
};

struct notice {
    struct notice_opts o;
    struct timer timer;
    struct subject *subjects;
    size_t n_subjects;
    struct probe_seen *probes; /* in the order of the statuses */
    size_t n_probes;
    struct lost_volume *lost;
    size_t n_lost;
};

/* --- one event a minute --- */

static void subject_done(struct subject *s)
{
    free(s->key);
    free(s->subsystem);
    free(s->message);
    strmap_done(&s->details);
}

static struct subject *subject_find(struct notice *nt, const char *key)
{
    struct subject *s;

    for (size_t i = 0; i < nt->n_subjects; i++)
        if (str_eq(nt->subjects[i].key, key))
            return &nt->subjects[i];
    s = vec_add(&nt->subjects, &nt->n_subjects);
    s->key = xstrdup(key);
    return s;
}

static void tell_held(struct notice *nt, struct subject *s)
{
    if (s->left_out > 0)
        strmap_setf(&s->details, "left_out", "%u", s->left_out);
    nt->o.add(nt->o.arg, s->subsystem, s->message, &s->details);
    s->told_ns = clock_boot_ns();
    s->left_out = 0;
    s->subsystem = mem_free(s->subsystem);
    s->message = mem_free(s->message);
    strmap_done(&s->details);
}

static void plan(struct notice *nt)
{
    uint64_t next = UINT64_MAX;

    for (size_t i = 0; i < nt->n_subjects; i++)
        if (nt->subjects[i].message)
            next = MIN(next, nt->subjects[i].told_ns + EVERY_NS);
    if (next == UINT64_MAX)
        timer_stop(&nt->timer);
    else
        timer_set_at(&nt->timer, next);
}

static void on_minute(void *arg)
{
    struct notice *nt = arg;
    uint64_t now = clock_boot_ns();

    for (size_t i = 0; i < nt->n_subjects; i++)
        if (nt->subjects[i].message && nt->subjects[i].told_ns + EVERY_NS <= now)
            tell_held(nt, &nt->subjects[i]);
    plan(nt);
}

static void forget_quiet(struct notice *nt)
{
    uint64_t now = clock_boot_ns();

    for (size_t i = nt->n_subjects; i-- > 0;) {
        struct subject *s = &nt->subjects[i];

        if (s->message || s->told_ns + EVERY_NS > now)
            continue;
        subject_done(s);
        *s = nt->subjects[--nt->n_subjects];
    }
}

static void offer(struct notice *nt, const char *name, const char *subsystem, const char *message,
                  const struct strmap *details)
{
    _cleanup_free_ char *key = xasprintf("%s %s", subsystem, name);
    struct subject *s = subject_find(nt, key);
    bool soon = s->told_ns && s->told_ns + EVERY_NS > clock_boot_ns();

    if (s->message)
        s->left_out++;
    str_set(&s->subsystem, subsystem);
    str_set(&s->message, message);
    strmap_done(&s->details);
    strmap_copy(&s->details, details);
    if (soon)
        plan(nt);
    else
        tell_held(nt, s);
}

/* --- words --- */

/* "2h3m", "4m5s", "6s" */
static void duration(uint64_t ns, char ret[32])
{
    unsigned long long s = ns / NSEC_PER_SEC;

    if (s >= 3600)
        (void)snprintf(ret, 32, "%lluh%llum", s / 3600, s / 60 % 60);
    else if (s >= 60)
        (void)snprintf(ret, 32, "%llum%llus", s / 60, s % 60);
    else
        (void)snprintf(ret, 32, "%llus", s);
}

/* --- drivers --- */

static void look_at_drivers(struct notice *nt, const struct node *before, const struct node *after)
{
    for (size_t i = 0; i < after->n_drivers; i++) {
        const struct driver_info *d = &after->drivers[i], *was = node_driver(before, d->key);
        _cleanup_strmap_ struct strmap details = {0};

        if (!was || str_empty(d->health_description) ||
            (was->healthy == d->healthy && str_eq(was->health_description, d->health_description)))
            continue;
        log_info("driver health state has changed", KV("driver", d->key),
                 KV("previous", was->healthy ? "healthy" : "unhealthy"),
                 KV("current", d->healthy ? "healthy" : "unhealthy"),
                 KV("description", d->health_description));
        strmap_set(&details, "driver", d->key);
        offer(nt, d->key, EVENT_SUBSYSTEM_DRIVER, d->health_description, &details);
    }
}

/* --- probes --- */

static bool is_silent(const struct probe_status *st)
{
    return st->state == PROBE_HUNG || st->state == PROBE_TIMEOUT;
}

static void probe_hangs(struct notice *nt, struct probe_seen *p, const struct probe_status *st)
{
    _cleanup_strmap_ struct strmap details = {0};
    _cleanup_free_ char *text =
        xasprintf("Probe %s does not answer: %s", st->name, str_or_empty(st->reason));

    (void)log_warn(0, "a probe does not answer, its last values are kept", KV("probe", st->name),
                   KV("reason", st->reason));
    p->silent = true;
    p->from = clock_boot_ns();
    str_set(&p->reason, st->reason);
    if (!p->seen)
        return;
    strmap_set(&details, "probe", st->name);
    strmap_set(&details, "reason", str_or_empty(st->reason));
    offer(nt, st->name, EVENT_SUBSYSTEM_FINGERPRINT, text, &details);
}

static void probe_answers(struct notice *nt, struct probe_seen *p, const struct probe_status *st)
{
    _cleanup_strmap_ struct strmap details = {0};
    _cleanup_free_ char *text = NULL;
    char time[32];

    p->silent = false;
    duration(clock_boot_ns() - p->from, time);
    text = xasprintf("Probe %s answers again after %s", st->name, time);
    strmap_set(&details, "probe", st->name);
    strmap_set(&details, "reason", str_or_empty(p->reason));
    strmap_set(&details, "silent", time);
    offer(nt, st->name, EVENT_SUBSYSTEM_FINGERPRINT, text, &details);
}

static void seen_done(struct probe_seen *p)
{
    free(p->name);
    free(p->reason);
}

static bool same_probes(const struct notice *nt, const struct probe_status *st, size_t n)
{
    bool same = nt->n_probes == n;

    for (size_t i = 0; i < n && same; i++)
        same = str_eq(nt->probes[i].name, st[i].name);
    return same;
}

/* rows of host volumes come and go */
static void match_probes(struct notice *nt, const struct probe_status *st, size_t n)
{
    struct probe_seen *now;

    if (same_probes(nt, st, n))
        return;
    now = xnew0_n(struct probe_seen, n);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < nt->n_probes && !now[i].name; k++)
            if (str_eq(nt->probes[k].name, st[i].name)) {
                now[i] = nt->probes[k];
                nt->probes[k] = (struct probe_seen){0};
            }
        if (!now[i].name)
            now[i].name = xstrdup(st[i].name);
    }
    for (size_t k = 0; k < nt->n_probes; k++)
        seen_done(&nt->probes[k]);
    free(nt->probes);
    nt->probes = now;
    nt->n_probes = n;
}

static void look_at_probes(struct notice *nt, const struct probe_status *st, size_t n)
{
    match_probes(nt, st, n);
    for (size_t i = 0; i < n; i++) {
        struct probe_seen *p = &nt->probes[i];

        if (!p->silent && is_silent(&st[i]))
            probe_hangs(nt, p, &st[i]);
        else if (p->silent && st[i].state == PROBE_GOOD)
            probe_answers(nt, p, &st[i]);
    }
}

static void remember_probes(struct notice *nt, const struct probe_status *st, size_t n)
{
    for (size_t i = 0; i < n; i++)
        nt->probes[i].seen = nt->probes[i].seen || st[i].state != PROBE_NEVER;
}

/* --- host volumes --- */

/* the probe that looks at it; NULL: it is not configured any more, or has had no outcome before */
static const struct probe_status *prober_of(const struct notice *nt, const struct probe_status *st,
                                            size_t n, const char *volume)
{
    for (size_t i = 0; i < n; i++)
        if (st[i].volume && str_eq(st[i].volume, volume))
            return nt->probes[i].seen ? &st[i] : NULL;
    return NULL;
}

static const char *why_lost(const struct probe_status *st)
{
    const struct why *why = st->fp ? why_first_failed(st->fp->whys, st->fp->n_whys) : NULL;

    if (why && !is_silent(st))
        return why->found;
    return str_empty(st->reason) ? "no answer yet" : st->reason;
}

static void volume_event(struct notice *nt, const struct host_volume *v, const char *text,
                         const char *reason)
{
    _cleanup_strmap_ struct strmap details = {0};

    strmap_set(&details, "volume", v->key);
    strmap_set(&details, "path", str_or_empty(v->path));
    if (reason)
        strmap_set(&details, "reason", reason);
    offer(nt, v->key, EVENT_SUBSYSTEM_STORAGE, text, &details);
}

static void volume_lost(struct notice *nt, const struct host_volume *v,
                        const struct probe_status *st)
{
    const char *reason = why_lost(st);
    _cleanup_free_ char *text = NULL;
    struct lost_volume *lost;

    lost = vec_add(&nt->lost, &nt->n_lost);
    lost->name = xstrdup(v->key);
    lost->from = clock_boot_ns();
    text = xasprintf("Host volume %s is not available: %s", v->key, reason);
    volume_event(nt, v, text, reason);
}

static void volume_back(struct notice *nt, const struct host_volume *v)
{
    _cleanup_free_ char *text = NULL;
    char time[32];
    size_t i = 0;

    while (i < nt->n_lost && !str_eq(nt->lost[i].name, v->key))
        i++;
    if (i < nt->n_lost) {
        duration(clock_boot_ns() - nt->lost[i].from, time);
        text = xasprintf("Host volume %s is available again after %s", v->key, time);
        free(nt->lost[i].name);
        nt->lost[i] = nt->lost[--nt->n_lost];
    } else {
        text = xasprintf("Host volume %s is available", v->key);
    }
    volume_event(nt, v, text, NULL);
}

static const struct host_volume *volume_of(const struct node *n, const char *key)
{
    for (size_t i = 0; i < n->n_host_volumes; i++)
        if (str_eq(n->host_volumes[i].key, key))
            return &n->host_volumes[i];
    return NULL;
}

static void look_at_volumes(struct notice *nt, const struct node *before, const struct node *after,
                            const struct probe_status *st, size_t n)
{
    for (size_t i = 0; i < before->n_host_volumes; i++) {
        const struct host_volume *v = &before->host_volumes[i];
        const struct probe_status *by = prober_of(nt, st, n, v->key);

        if (by && !volume_of(after, v->key))
            volume_lost(nt, v, by);
    }
    for (size_t i = 0; i < after->n_host_volumes; i++) {
        const struct host_volume *v = &after->host_volumes[i];

        if (!volume_of(before, v->key) && prober_of(nt, st, n, v->key))
            volume_back(nt, v);
    }
}

/* --- all of it --- */

static void on_flapping(void *arg, const char *fact)
{
    struct notice *nt = arg;
    _cleanup_strmap_ struct strmap details = {0};
    _cleanup_free_ char *text =
        xasprintf("%s changes again and again; servers are told once a minute at most", fact);

    (void)log_warn(0, "a fact changes again and again, servers are told once a minute at most",
                   KV("fact", fact));
    strmap_set(&details, "fact", fact);
    offer(nt, fact, EVENT_SUBSYSTEM_FINGERPRINT, text, &details);
}

void notice_look(struct notice *nt, const struct node *before, const struct node *after,
                 const struct probe_status *st, size_t n)
{
    forget_quiet(nt);
    look_at_probes(nt, st, n);
    if (before && before != after) {
        look_at_drivers(nt, before, after);
        look_at_volumes(nt, before, after, st, n);
        flap_note(nt->o.flap, before, after, clock_boot_ns(), on_flapping, nt);
    }
    remember_probes(nt, st, n);
}

struct notice *notice_new(const struct notice_opts *o)
{
    struct notice *nt = xnew0(struct notice);

    nt->o = *o;
    timer_init(o->loop, &nt->timer, "held back events", on_minute, nt);
    return nt;
}

struct notice *notice_free(struct notice *nt)
{
    if (!nt)
        return NULL;
    timer_stop(&nt->timer);
    for (size_t i = 0; i < nt->n_subjects; i++) {
        if (nt->subjects[i].message)
            tell_held(nt, &nt->subjects[i]);
        subject_done(&nt->subjects[i]);
    }
    for (size_t i = 0; i < nt->n_probes; i++)
        seen_done(&nt->probes[i]);
    for (size_t i = 0; i < nt->n_lost; i++)
        free(nt->lost[i].name);
    free(nt->subjects);
    free(nt->probes);
    free(nt->lost);
    return mem_free(nt);
}
