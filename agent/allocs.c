#include "agent/allocs.h"

#include <string.h>

#include "agent/alloc_dirs.h"
#include "agent/call.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"
#include "base/str.h"
#include "base/vec.h"
#include "codec/ops.h"

#define SEC NSEC_PER_SEC

enum {
    POLL_SEC = 300 + 300 / 16 + 15, /* the servers' longest block, and what an answer may take */
    PULL_SEC = 60,
    UPDATE_SEC = 30,
    PULL_BATCH = 16, /* full allocations in one reply: each may carry a whole job */
    REPORT_EVERY_SEC = 30,
};

#define FAIL_EVENT       "Driver Failure"
#define FAIL_MESSAGE     "picketd " PICKET_VERSION " cannot run tasks yet, keep this node ineligible"
#define FAIL_DESCRIPTION "Failed tasks"

enum step { STEP_IDLE, STEP_POLL, STEP_PULL, STEP_UPDATE };

struct allocs {
    struct allocs_opts o;
    struct call call;
    struct timer retry;
    enum step step;
    bool started;
    uint64_t index;         /* of the last answer */
    uint64_t asked_ns;      /* when the poll went out */
    uint64_t reported_ns;   /* last allocs_report_again */
    struct i64map listed;   /* the last list, in id order: AllocModifyIndex each */
    uint64_t *done;         /* for each listed one: the AllocModifyIndex that needs nothing more */
    struct alloc *verdicts; /* to be sent by the update under way */
    size_t n_verdicts;
    struct journal_alloc *notes; /* what to remember when it was accepted */
    size_t n_notes;
    struct alloc_dirs *dirs;
};

static void next_step(void *arg);

static void retry_in(struct allocs *a, uint64_t ns)
{
    a->step = STEP_IDLE;
    timer_set(&a->retry, ns);
}

static uint64_t spread(uint64_t base_sec)
{
    return base_sec * SEC + rand_below(base_sec * SEC);
}

/* true: handled here (back-off, or the session registers again) */
static bool failed(struct allocs *a, enum call_result how, const char *text, uint64_t base_sec)
{
    if (how == CALL_OK) {
        session_contact(a->o.session, true, "");
        return false;
    }
    if (how == CALL_TIMEOUT && a->step == STEP_POLL) {
        /* the connection broke meanwhile and the server blocks anew: says nothing about it */
        retry_in(a, rand_below(SEC));
        return true;
    }
    session_contact(a->o.session, !call_lost(how), text);
    retry_in(a, spread(how == CALL_NO_LEADER ? 2 : base_sec));
    if (how == CALL_UNKNOWN || how == CALL_DENIED || how == CALL_MISMATCH)
        session_unknown(a->o.session, text);
    return true;
}

static void set_query(struct allocs *a, struct query_options *q)
{
    q->region = (char *)(uintptr_t)a->o.region;
    q->auth_token = (char *)(uintptr_t)session_token(a->o.session);
}

/* --- the list --- */

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct i64pair *)a)->key, ((const struct i64pair *)b)->key);
}

/* its place in the list, or SIZE_MAX */
static size_t find_listed(const struct i64map *m, const char *id)
{
    const struct i64pair key = {.key = (char *)(uintptr_t)id}, *at;

    at = m->n ? bsearch(&key, m->items, m->n, sizeof(m->items[0]), by_id) : NULL;
    return at ? (size_t)(at - m->items) : SIZE_MAX;
}

static void set_done(struct allocs *a, const char *id, uint64_t modify_index)
{
    size_t i = find_listed(&a->listed, id);

    if (i != SIZE_MAX && a->done[i] < modify_index)
        a->done[i] = modify_index;
}

/* takes the new list out of *m, which gets the old one */
static void swap_list(struct allocs *a, struct i64map *m)
{
    struct i64map old = a->listed;
    uint64_t *old_done = a->done;
    const struct journal_alloc *notes;
    size_t n;

    a->listed = *m;
    *m = old;
    a->done = xnew0_n(uint64_t, a->listed.n);
    for (size_t i = 0; i < old.n; i++)
        set_done(a, old.items[i].key, old_done[i]);
    notes = journal_allocs(a->o.journal, &n);
    for (size_t i = 0; i < n; i++)
        set_done(a, notes[i].id, notes[i].modify_index);
    free(old_done);
}

/* the next poll answers at once, with everything */
static void clear_list(struct allocs *a)
{
    for (size_t i = 0; i < a->listed.n; i++)
        free(a->listed.items[i].key);
    a->listed.items = mem_free(a->listed.items);
    a->listed.n = 0;
    a->done = mem_free(a->done);
    a->index = 0;
}

static void clear_verdicts(struct allocs *a)
{
    for (size_t i = 0; i < a->n_verdicts; i++)
        ops_clear(&desc_alloc, &a->verdicts[i]);
    for (size_t i = 0; i < a->n_notes; i++)
        ops_clear(&desc_journal_alloc, &a->notes[i]);
    a->verdicts = mem_free(a->verdicts);
    a->notes = mem_free(a->notes);
    a->n_verdicts = a->n_notes = 0;
}

/* --- Node.UpdateAlloc --- */

static void on_update(void *arg, enum call_result how, const char *text, void *obj)
{
    struct allocs *a = arg;

    (void)obj;
    if (how == CALL_FAILED && strstr(text, "is not allowed to update allocs while in status")) {
        session_beat_soon(a->o.session, 0); /* down or disconnected: a heartbeat first */
        retry_in(a, spread(1));
        return;
    }
    if (how == CALL_FAILED)
        (void)log_warn(0, "cannot report allocations", KV("error", text));
    if (failed(a, how, text, 5))
        return;
    for (size_t i = 0; i < a->n_notes; i++) {
        set_done(a, a->notes[i].id, a->notes[i].modify_index);
        log_info("allocation refused", KV("alloc_id", a->notes[i].id),
                 KV("reason", "tasks cannot be run yet"));
    }
    journal_put_allocs(a->o.journal, a->notes, a->n_notes);
    clear_verdicts(a);
    session_beat_soon(a->o.session, 0); /* a returning node becomes ready by the next heartbeat */
    next_step(a);
}

static void send_verdicts(struct allocs *a)
{
    struct alloc_update_request q = {
        .alloc = a->verdicts,
        .n_alloc = a->n_verdicts,
        .w.region = (char *)(uintptr_t)a->o.region,
        .w.auth_token = (char *)(uintptr_t)session_token(a->o.session),
    };

    a->step = STEP_UPDATE;
    call_start(&a->call, "Node.UpdateAlloc", &desc_alloc_update_request, &q, NULL, UPDATE_SEC * SEC,
               on_update);
}

static void add_task_state(struct alloc *v, const char *task, struct gotime at)
{
    struct task_state *s = vec_add(&v->task_states, &v->n_task_states);
    struct task_event *ev;

    s->key = xstrdup(task);
    s->state = xstrdup("dead");
    s->failed = true;
    s->finished_at = at;
    ev = vec_add(&s->events, &s->n_events);
    ev->type = xstrdup(FAIL_EVENT);
    ev->time = gotime_to_unix_ns(at);
    ev->message = xstrdup(FAIL_MESSAGE);
    ev->display_message = xstrdup(FAIL_MESSAGE);
    strmap_set(&ev->details, "driver_error", FAIL_MESSAGE);
    ev->fails_task = true;
}

static void add_verdict(struct allocs *a, const struct journal_alloc *note)
{
    struct alloc *v = vec_add(&a->verdicts, &a->n_verdicts);

    v->id = xstrdup(note->id);
    v->node_id = xstrdup(a->o.node_id);
    v->client_status = xstrdup("failed");
    v->client_description = xstrdup(FAIL_DESCRIPTION);
    for (size_t i = 0; i < note->n_tasks; i++)
        add_task_state(v, note->tasks[i], note->at);
}

/* --- Alloc.GetAllocs --- */

static bool client_terminal(const char *status)
{
    return str_eq(status, "complete") || str_eq(status, "failed") || str_eq(status, "lost");
}

static void note_tasks(const struct alloc *al, struct journal_alloc *note)
{
    for (size_t g = 0; al->job && g < al->job->n_task_groups; g++) {
        const struct task_group_names *tg = &al->job->task_groups[g];

        if (!str_eq(tg->name, al->task_group))
            continue;
        for (size_t t = 0; t < tg->n_tasks; t++)
            strv_add(&note->tasks, &note->n_tasks, tg->tasks[t].name);
    }
}

static void on_pull(void *arg, enum call_result how, const char *text, void *obj)
{
    struct allocs *a = arg;
    const struct allocs_get_response *r = obj;
    size_t n_new = 0;

    if (how == CALL_FAILED)
        (void)log_warn(0, "cannot pull allocations", KV("error", text));
    if (failed(a, how, text, 30))
        return;
    for (size_t i = 0; i < r->n_allocs; i++) {
        const struct alloc *al = &r->allocs[i];
        size_t at = find_listed(&a->listed, str_or_empty(al->id));
        struct journal_alloc *note;

        if (at == SIZE_MAX)
            continue; /* nobody asked */
        n_new++;
        if (client_terminal(al->client_status)) {
            a->done[at] = (uint64_t)a->listed.items[at].value;
            continue;
        }
        note = vec_add(&a->notes, &a->n_notes);
        note->id = xstrdup(al->id);
        /* a stale server may show an older one: the verdict is the same */
        note->modify_index = (uint64_t)a->listed.items[at].value;
        note->at = gotime_now();
        note_tasks(al, note);
        add_verdict(a, note);
    }
    if (n_new == 0) {
        /* not there (yet) on that server, or collected meanwhile: ask for the list again */
        clear_list(a);
        retry_in(a, spread(2));
    } else if (a->n_verdicts > 0) {
        send_verdicts(a);
    } else {
        next_step(a);
    }
}

/* the next batch of ids that need a look; false when there is none */
static bool pull(struct allocs *a)
{
    struct allocs_get_request q = {0};
    uint64_t highest = 0;

    for (size_t i = 0; i < a->listed.n && q.n_alloc_ids < PULL_BATCH; i++) {
        const struct i64pair *p = &a->listed.items[i];

        if ((uint64_t)p->value <= a->done[i])
            continue;
        highest = MAX(highest, (uint64_t)p->value);
        strv_add(&q.alloc_ids, &q.n_alloc_ids, p->key);
    }
    if (q.n_alloc_ids == 0)
        return false;
    set_query(a, &q.q);
    q.q.min_query_index = highest - 1;
    q.q.allow_stale = true;
    a->step = STEP_PULL;
    call_start(&a->call, "Alloc.GetAllocs", &desc_allocs_get_request, &q, &desc_allocs_get_response,
               PULL_SEC * SEC, on_pull);
    strv_done(&q.alloc_ids, &q.n_alloc_ids);
    return true;
}

/* --- Node.GetClientAllocs --- */

static void delete_folders_of_collected(struct allocs *a)
{
    const struct journal_alloc *notes;
    size_t n;

    notes = journal_allocs(a->o.journal, &n);
    for (size_t i = 0; i < n; i++)
        if (find_listed(&a->listed, notes[i].id) == SIZE_MAX)
            alloc_dirs_delete(a->dirs, notes[i].id);
}

static void on_poll(void *arg, enum call_result how, const char *text, void *obj)
{
    struct allocs *a = arg;
    struct node_client_allocs_response *r = obj;
    bool fast = clock_boot_ns() - a->asked_ns < SEC;

    if (how == CALL_FAILED)
        (void)log_warn(0, "cannot ask for allocations", KV("error", text));
    if (failed(a, how, text, 30))
        return;
    if (r->q.index <= a->index) {
        /* timed out without news, or a stale server; one that answers such things at once must not
         * make us ask without pause */
        retry_in(a, fast ? spread(1) : 0);
        return;
    }
    a->index = r->q.index;
    swap_list(a, &r->allocs);
    delete_folders_of_collected(a);
    journal_keep_allocs(a->o.journal, &a->listed);
    next_step(a);
}

static void poll(struct allocs *a)
{
    struct node_specific_request q = {
        .node_id = (char *)(uintptr_t)a->o.node_id,
        .secret_id = (char *)(uintptr_t)a->o.secret_id,
        .q.min_query_index = a->index,
        .q.allow_stale = a->index > 0,
    };

    set_query(a, &q.q);
    a->step = STEP_POLL;
    a->asked_ns = clock_boot_ns();
    call_start(&a->call, "Node.GetClientAllocs", &desc_node_specific_request, &q,
               &desc_node_client_allocs_response, POLL_SEC * SEC, on_poll);
}

/* what is due: a verdict not accepted yet, allocations to look at, else the next poll */
static void next_step(void *arg)
{
    struct allocs *a = arg;

    timer_stop(&a->retry);
    if (a->n_verdicts > 0)
        send_verdicts(a);
    else if (!pull(a))
        poll(a);
}

void allocs_start(struct allocs *a, bool known)
{
    if (!known) {
        clear_list(a);
        clear_verdicts(a);
    } else if (a->started) {
        return;
    }
    a->started = true;
    next_step(a);
}

void allocs_kick(struct allocs *a)
{
    if (a->started && a->step == STEP_IDLE && timer_armed(&a->retry))
        timer_set(&a->retry, rand_below(SEC));
}

void allocs_report_again(struct allocs *a)
{
    const struct journal_alloc *notes;
    size_t n;
    uint64_t now = clock_boot_ns();

    notes = journal_allocs(a->o.journal, &n);
    if (!a->started || n == 0 || a->n_verdicts > 0 ||
        (a->reported_ns && now - a->reported_ns < REPORT_EVERY_SEC * SEC))
        return;
    a->reported_ns = now;
    for (size_t i = 0; i < n; i++)
        add_verdict(a, &notes[i]);
    next_step(a); /* the poll under way is dropped and sent again behind it */
}

size_t allocs_count(const struct allocs *a)
{
    return a->listed.n;
}

struct allocs *allocs_new(const struct allocs_opts *o)
{
    struct allocs *a = xnew0(struct allocs);

    a->o = *o;
    call_init(&a->call, o->pool, a);
    timer_init(o->loop, &a->retry, "allocations", next_step, a);
    a->dirs = alloc_dirs_new(o->loop, o->probe_path, o->alloc_dir);
    return a;
}

struct allocs *allocs_free(struct allocs *a)
{
    if (!a)
        return NULL;
    call_cancel(&a->call);
    timer_stop(&a->retry);
    (void)alloc_dirs_free(a->dirs);
    clear_verdicts(a);
    clear_list(a);
    return mem_free(a);
}
