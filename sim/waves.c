#include <stdlib.h>

#include "sim/fleet_priv.h"

enum {
    TICK_MS = 10,
    SLICE_MS = 3, /* of one tick: connections have to be served too */
};

/* after a while what was done is undone, and when flapping done again */
static enum deed opposite(enum deed d)
{
    switch (d) {
    case DEED_KILL:
        return DEED_START;
    case DEED_CUT:
        return DEED_UNCUT;
    case DEED_UNCUT:
        return DEED_CUT;
    case DEED_PART:
        return DEED_HEAL;
    default:
        return d; /* no step has them undone */
    }
}

static void undo_later(struct wave *w)
{
    w->deed = opposite(w->deed);
    w->done = 0;
    w->start_ns = w->back_ns;
    w->back_ns = w->every_ns ? w->start_ns + w->every_ns : 0;
}

void sim_wave_free(struct wave *w)
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

void sim_waves_move(void *arg)
{
    struct fleet *f = arg;
    uint64_t until = clock_boot_ns() + SLICE_MS * NSEC_PER_MSEC;

    list_for_each (w, &f->waves, struct wave, link)
        if (!wave_move(f, w, until))
            sim_wave_free(w);
    if (!list_empty(&f->waves))
        timer_set(&f->tick, TICK_MS * NSEC_PER_MSEC);
}

struct wave *sim_wave_add(struct fleet *f, enum deed deed, size_t n, const struct step *s)
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
