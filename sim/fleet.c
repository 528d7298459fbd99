#include "sim/fleet.h"

#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "base/rand.h"
#include "base/vec.h"

enum {
    TICK_MS = 10,
    SLICE_MS = 3, /* of one tick: connections have to be served too */
    RATE_MS = 100,
};

/* what a wave does to each of its agents */
enum deed {
    DEED_START,
    DEED_LEAVE,
    DEED_KILL,
    DEED_RESTART,
    DEED_CUT,
    DEED_UNCUT,
    DEED_PART,
    DEED_HEAL
};

struct wave {
    struct list link;
    enum deed deed;
    uint64_t *numbers; /* owned */
    size_t n, done;
    uint64_t start_ns, over_ns;
    uint64_t back_ns;  /* when what was done is undone; 0 = never */
    uint64_t every_ns; /* flap: and done again */
    uint64_t end_ns;   /* flap: undone for good; 0 = never */
};

struct fleet {
    struct fleet_opts o;
    struct sim_agent **agents; /* by number; NULL = has left */
    size_t n_numbers, n_agents;
    struct list waves;
    struct timer tick, rates;
    double churn, churn_owed; /* agents per ns; of a fleet of n when it is a part */
    bool churn_is_part;
    uint64_t churn_end_ns, rated_ns;
    double events_owed, changes_owed;
};

/* --- waves --- */

static void undo_later(struct wave *w)
{
    static const enum deed opposite[] = {
        [DEED_KILL] = DEED_START,
        [DEED_CUT] = DEED_UNCUT,
        [DEED_UNCUT] = DEED_CUT,
        [DEED_PART] = DEED_HEAL,
    };

    w->deed = opposite[w->deed];
    w->done = 0;
    w->start_ns = w->back_ns;
    w->back_ns = w->every_ns ? w->start_ns + w->every_ns : 0;
}

static void wave_free(struct wave *w)
{
    list_remove(&w->link);
    free(w->numbers);
    free(w);
}

static void leave(struct fleet *f, uint64_t number)
{
    sim_agent_leave(f->agents[number]);
    f->agents[number] = sim_agent_free(f->agents[number]);
    f->n_agents--;
}

static void reach(struct fleet *f, enum deed deed, uint64_t number)
{
    struct sim_agent *a = f->agents[number];

    if (!a)
        return;
    switch (deed) {
    case DEED_START:
        sim_agent_start(a);
        break;
    case DEED_LEAVE:
        leave(f, number);
        break;
    case DEED_KILL:
        sim_agent_kill(a);
        break;
    case DEED_RESTART:
        sim_agent_kill(a);
        sim_agent_start(a);
        break;
    case DEED_CUT:
        sim_agent_cut(a);
        break;
    case DEED_UNCUT:
        sim_agent_uncut(a);
        break;
    case DEED_PART:
        sim_agent_part(a);
        break;
    case DEED_HEAL:
        sim_agent_heal(a);
        break;
    }
}

/* how many it should have reached by now */
static size_t wave_due(const struct wave *w, uint64_t now)
{
    if (now < w->start_ns)
        return 0;
    if (now - w->start_ns >= w->over_ns)
        return w->n;
    return (size_t)((double)w->n * (double)(now - w->start_ns) / (double)w->over_ns);
}

/* true when there is more to do later */
static bool wave_move(struct fleet *f, struct wave *w, uint64_t until)
{
    uint64_t now = clock_boot_ns();
    size_t due;

    if (w->end_ns && now >= w->end_ns) { /* flapping is over: up again */
        w->end_ns = w->every_ns = w->back_ns = 0;
        w->deed = DEED_UNCUT;
        w->done = 0;
        w->start_ns = now;
    }
    due = wave_due(w, now);
    while (w->done < due && clock_boot_ns() < until)
        reach(f, w->deed, w->numbers[w->done++]);
    if (w->done < w->n)
        return true;
    if (w->back_ns)
        undo_later(w);
    return w->done < w->n;
}

static void on_tick(void *arg)
{
    struct fleet *f = arg;
    uint64_t until = clock_boot_ns() + SLICE_MS * NSEC_PER_MSEC;

    list_for_each (w, &f->waves, struct wave, link)
        if (!wave_move(f, w, until))
            wave_free(w);
    if (!list_empty(&f->waves))
        timer_set(&f->tick, TICK_MS * NSEC_PER_MSEC);
}

static struct wave *wave_add(struct fleet *f, enum deed deed, size_t n, const struct step *s)
{
    struct wave *w = xnew0(struct wave);

    w->deed = deed;
    w->numbers = xnew0_n(uint64_t, n);
    w->start_ns = clock_boot_ns();
    if (s) {
        w->over_ns = s->over_ns;
        w->every_ns = s->every_ns;
        if (s->for_ns && !s->every_ns)
            w->back_ns = w->start_ns + s->for_ns;
        if (s->every_ns)
            w->back_ns = w->start_ns + s->every_ns;
        if (s->for_ns && s->every_ns)
            w->end_ns = w->start_ns + s->for_ns;
    }
    list_append(&f->waves, &w->link);
    timer_set(&f->tick, 0);
    return w;
}

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
    w = wave_add(f, deed, 0, s);
    free(w->numbers);
    w->numbers = all;
    w->n = take;
}

static void join(struct fleet *f, size_t n, const struct step *s)
{
    struct wave *w = wave_add(f, DEED_START, n, s);

    for (size_t i = 0; i < n; i++) {
        uint64_t number = f->n_numbers;
        struct profile *p = profile_mix_pick(f->o.mix, f->o.common->seed, number);

        *vec_add(&f->agents, &f->n_numbers) = sim_agent_new(f->o.common, number, p);
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
            w->end_ns = 1; /* long ago: on_tick() brings them up */
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
    timer_init(o->common->loop, &f->tick, "waves", on_tick, f);
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
        wave_free(w);
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
