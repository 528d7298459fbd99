#include "server/gc.h"

#include "base/clock.h"
#include "base/log.h"
#include "model/page.h"
#include "model/rpc_types.h"
#include "server/ep.h"

enum { LOOKED_AT_PER_TURN = 2000 };

#define INTERVAL_NS (300 * NSEC_PER_SEC)

struct gc {
    struct server *srv; /* NULL: freed, the transaction ends by itself */
    struct timer timer; /* of the next run */
    struct timer slice;
    bool running, writing, forced;
    bool again, again_forced; /* asked for during a run */
    int64_t before;           /* unix seconds: what was down then */
    struct node_list nodes;   /* of the run, as they were at its beginning */
    struct node_list_at at;
    struct uuid batch[GC_NODES];
    size_t n_batch;
    size_t deleted; /* in this transaction */
    size_t total;   /* in this run */
};

/* --- one transaction --- */

static bool is_due(const struct gc *g, const struct node_item *it)
{
    return it->status == STATUS_DOWN && (g->forced || it->status_updated_at <= g->before);
}

static int gc_write(struct txn *t, void *arg, struct err *e)
{
    struct gc *g = arg;

    (void)e;
    g->deleted = 0;
    for (size_t i = 0; g->srv && i < g->n_batch; i++) {
        const struct node_item *it = txn_node(t, &g->batch[i]);

        if (!it || !is_due(g, it))
            continue;
        txn_delete_node(t, &g->batch[i]);
        g->deleted++;
    }
    return g->deleted > 0 ? 0 : 1;
}

static void run_end(struct gc *g)
{
    if (g->total > 0)
        log_info("nodes that were down are forgotten", KI("nodes", g->total),
                 KI("forced", g->forced), KI("index", store_index(g->srv->store)));
    g->running = false;
    node_list_done(&g->nodes);
    timer_set(&g->timer, INTERVAL_NS);
    if (g->again) {
        g->again = false;
        gc_run(g, g->again_forced);
    }
}

static void gc_done(void *arg, int r, uint64_t index, const struct err *e)
{
    struct gc *g = arg;

    (void)index;
    g->writing = false;
    if (!g->srv) {
        free(g);
        return;
    }
    if (r < 0) {
        (void)log_warn(0, "nodes that are down are not forgotten", KE(e));
        run_end(g); /* the next run tries again */
        return;
    }
    for (size_t i = 0; i < g->n_batch; i++)
        if (!store_node(g->srv->store, &g->batch[i]))
            beats_stop(g->srv->beats, &g->batch[i]);
    g->total += g->deleted;
    timer_set(&g->slice, 0);
}

/* --- looking for them --- */

static void on_slice(void *arg)
{
    struct gc *g = arg;
    const struct node_item *it = NULL;
    size_t looked = 0;

    g->n_batch = 0;
    while (looked < LOOKED_AT_PER_TURN && g->n_batch < GC_NODES) {
        it = node_list_next_of(&g->nodes, 1U << STATUS_DOWN, &g->at);
        if (!it)
            break;
        looked++;
        if (is_due(g, it))
            g->batch[g->n_batch++] = it->key;
    }
    if (g->n_batch > 0) {
        g->writing = true;
        store_write(g->srv->store, gc_write, gc_done, g);
    } else if (it) {
        timer_set(&g->slice, 0);
    } else {
        run_end(g);
    }
}

void gc_run(struct gc *g, bool force)
{
    static const struct uuid all;
    int64_t age_ns = MAX(g->srv->conf->server.node_gc_threshold, 0);

    if (g->running) {
        g->again_forced = force || (g->again && g->again_forced);
        g->again = true;
        return;
    }
    g->running = true;
    g->forced = force;
    store_list(g->srv->store, &all, 0, &g->nodes);
    g->at = (struct node_list_at){0};
    g->total = 0;
    g->before = (clock_wall_ns() - age_ns) / (int64_t)NSEC_PER_SEC;
    timer_stop(&g->timer);
    timer_set(&g->slice, 0);
}

static void on_interval(void *arg)
{
    gc_run(arg, false);
}

struct gc *gc_new(struct server *s)
{
    struct gc *g = xnew0(struct gc);

    g->srv = s;
    timer_init(s->loop, &g->timer, "node gc", on_interval, g);
    timer_init(s->loop, &g->slice, "node gc slice", on_slice, g);
    timer_set(&g->timer, INTERVAL_NS);
    return g;
}

struct gc *gc_free(struct gc *g)
{
    if (!g)
        return NULL;
    timer_stop(&g->timer);
    timer_stop(&g->slice);
    node_list_done(&g->nodes);
    if (g->writing)
        g->srv = NULL;
    else
        free(g);
    return NULL;
}

/* --- System.* --- */

static void reply_index(struct call *take_c)
{
    struct write_meta out = {.index = store_index(take_c->srv->store)};

    call_reply(take_c, &desc_write_meta, &out);
}

/* begun, as in Nomad: what is found goes behind the answer */
void ep_system_gc(struct call *c)
{
    gc_run(c->srv->gc, true);
    reply_index(c);
}

void ep_system_reconcile(struct call *c)
{
    reply_index(c);
}
