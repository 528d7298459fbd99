#include "sim/fleet.h"

#include <errno.h>

#include "base/rand.h"
#include "sim/fleet_priv.h"

enum { RATE_MS = 100 };

/* --- choosing --- */

/* whether a step can mean this one */
static bool fits(const struct sim_agent *a, enum step_verb verb)
{
    enum sim_state s;

    if (!a)
        return false;
    s = sim_agent_state(a);
    if (s == SIM_WAITING)
        return false;
    return verb == STEP_LEAVE || verb == STEP_RESTART ||
           (s != SIM_DEAD && s != SIM_PARTED && s != SIM_CUT);
}

static size_t how_many(const struct step *s, size_t of)
{
    double n = s->percent ? (double)of * s->count / 100 + 0.5 : s->count;

    return MIN((size_t)n, of);
}

/* a wave for so many, chosen at random, in random order */
static void choose(struct fleet *f, enum deed deed, const struct step *s)
{
    uint64_t *all = xnew0_n(uint64_t, f->n_agents);
    struct wave *w;
    size_t n = 0, take;

    for (uint64_t i = 0; i < f->n_numbers; i++)
        if (fits(f->agents[i], s->verb))
            all[n++] = i;
    take = MIN(how_many(s, s->percent ? f->n_agents : n), n);
    for (size_t i = 0; i < take; i++) {
        size_t k = i + (size_t)rand_below(n - i);
        uint64_t number = all[k];

        all[k] = all[i];
        all[i] = number;
    }
    w = sim_wave_add(f, deed, 0, s);
    free(w->numbers);
    w->numbers = all;
    w->n = take;
}

static void join(struct fleet *f, size_t n, const struct step *s)
{
    struct wave *w = sim_wave_add(f, DEED_START, n, s);

    f->agents = xrealloc(f->agents, f->n_numbers + n, sizeof(struct sim_agent *));
    for (size_t i = 0; i < n; i++) {
        uint64_t number = f->n_numbers;
        struct profile *p = profile_mix_pick(f->o.mix, f->o.common->seed, number);

        f->agents[f->n_numbers++] = sim_agent_new(f->o.common, number, p);
        w->numbers[w->n++] = number;
    }
    f->n_agents += n;
}

/* --- rates --- */

static struct sim_agent *any_agent(const struct fleet *f)
{
    for (int tries = 0; tries < 64 && f->n_agents > 0; tries++) {
        struct sim_agent *a = f->agents[rand_below(f->n_numbers)];

        if (a)
            return a;
    }
    return NULL;
}

static size_t owed(double *debt, double more)
{
    size_t n;

    *debt += more;
    n = (size_t)*debt;
    *debt -= (double)n;
    return n;
}

static void churn(struct fleet *f, double ns)
{
    const struct step s = {.verb = STEP_LEAVE};
    struct step some = s;
    size_t n;

    n = owed(&f->churn_owed, f->churn * ns * (f->churn_is_part ? (double)f->n_agents : 1));
    n = MIN(n, f->n_agents);
    if (n == 0)
        return;
    some.count = (double)n;
    choose(f, DEED_LEAVE, &some);
    join(f, n, NULL);
}

static void on_rates(void *arg)
{
    static const double hour_ns = 3600e9;
    struct fleet *f = arg;
    uint64_t now = clock_boot_ns();
    double ns = (double)(now - f->rated_ns), agents = (double)f->n_agents;
    struct sim_agent *a;

    f->rated_ns = now;
    if (f->churn_end_ns && now >= f->churn_end_ns)
        f->churn = 0;
    if (f->churn > 0)
        churn(f, ns);
    for (size_t n = owed(&f->events_owed, f->o.events_per_hour * agents * ns / hour_ns);
         n > 0 && (a = any_agent(f)); n--)
        sim_agent_event(a);
    for (size_t n = owed(&f->changes_owed, f->o.changes_per_hour * agents * ns / hour_ns);
         n > 0 && (a = any_agent(f)); n--)
        sim_agent_change(a);
    timer_set(&f->rates, RATE_MS * NSEC_PER_MSEC);
}

/* no churn, and what flaps is up */
static void steady(struct fleet *f)
{
    f->churn = 0;
    list_for_each (w, &f->waves, struct wave, link)
        if (w->every_ns)
            w->end_ns = 1; /* long ago: waves.c brings them up */
    timer_set(&f->tick, 0);
}

/* --- steps --- */

static int check_room(const struct fleet *f, size_t more, struct err *e)
{
    if (f->n_agents + more <= f->o.agents_max)
        return 0;
    return err_set(e, -ENFILE,
                   "%zu agents need as many file descriptors, and there are enough for %zu: raise "
                   "the limit (ulimit -Hn, LimitNOFILE=), or start fewer",
                   f->n_agents + more, f->o.agents_max);
}

int fleet_step(struct fleet *f, const struct step *s, struct err *e)
{
    int r = 0;

    switch (s->verb) {
    case STEP_JOIN:
        r = check_room(f, (size_t)s->count, e);
        if (r == 0)
            join(f, (size_t)s->count, s);
        return r;
    case STEP_LEAVE:
        choose(f, DEED_LEAVE, s);
        break;
    case STEP_DROP:
        choose(f, DEED_KILL, s);
        break;
    case STEP_RESTART:
        choose(f, DEED_RESTART, s);
        break;
    case STEP_FLAP:
        choose(f, DEED_CUT, s);
        break;
    case STEP_PARTITION:
        choose(f, DEED_PART, s);
        break;
    case STEP_CHURN:
        f->churn = s->count / (s->percent ? 100 : 1) / (double)s->per_ns;
        f->churn_is_part = s->percent;
        f->churn_end_ns = s->for_ns ? clock_boot_ns() + s->for_ns : 0;
        break;
    case STEP_STEADY:
        steady(f);
        break;
    case STEP_STATUS:
    case STEP_END:
    case STEP_MAX:
        break;
    }
    return r;
}

/* --- life --- */

struct fleet *fleet_new(const struct fleet_opts *o)
{
    struct fleet *f = xnew0(struct fleet);

    f->o = *o;
    list_init(&f->waves);
    timer_init(o->common->loop, &f->tick, "waves", sim_waves_move, f);
    timer_init(o->common->loop, &f->rates, "rates", on_rates, f);
    f->rated_ns = clock_boot_ns();
    timer_set(&f->rates, RATE_MS * NSEC_PER_MSEC);
    return f;
}

struct fleet *fleet_free(struct fleet *f)
{
    if (!f)
        return NULL;
    timer_stop(&f->tick);
    timer_stop(&f->rates);
    list_for_each (w, &f->waves, struct wave, link)
        sim_wave_free(w);
    for (size_t i = 0; i < f->n_numbers; i++)
        (void)sim_agent_free(f->agents[i]);
    free(f->agents);
    return mem_free(f);
}

size_t fleet_agents(const struct fleet *f)
{
    return f->n_agents;
}

bool fleet_is_busy(const struct fleet *f)
{
    list_for_each (w, &f->waves, struct wave, link)
        if (w->done < w->n)
            return true;
    return false;
}

void fleet_bytes(const struct fleet *f, uint64_t *ret_sent, uint64_t *ret_received)
{
    *ret_sent = f->o.common->tally.sent_bytes;
    *ret_received = f->o.common->tally.received_bytes;
    for (size_t i = 0; i < f->n_numbers; i++)
        if (f->agents[i])
            sim_agent_bytes(f->agents[i], ret_sent, ret_received);
}
