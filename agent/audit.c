#include "agent/audit.h"

#include <inttypes.h>
#include <stdio.h>

#include "agent/jobs.h"
#include "base/list.h"
#include "base/log.h"
#include "base/str.h"

enum {
    WAITING_MAX = 64, /* lines whose names are looked up */
    NAMES_MAX = 16,   /* remembered; the oldest goes */
};

/* names change seldom */
#define NAME_KEEP_NS (600 * NSEC_PER_SEC)

struct name {
    uid_t uid;
    char *text; /* owned; "" = there is none; NULL = free */
    uint64_t at_ns;
};

struct record {
    struct list link;
    char *method, *path;
    uid_t uid;
};

struct audit {
    char *probe_path;
    struct job job;
    struct name names[NAMES_MAX];
    size_t next_name;
    struct list waiting;
    size_t n_waiting;
    uid_t asked; /* the job's */
};

static void write_line(const char *method, const char *path, uid_t uid, const char *name)
{
    if (*name)
        log_info("API write", KV("method", method), KV("path", path), KV("peer", "unix"),
                 KI("uid", uid), KV("user", name));
    else
        log_info("API write", KV("method", method), KV("path", path), KV("peer", "unix"),
                 KI("uid", uid));
}

static const struct name *find_name(const struct audit *a, uid_t uid)
{
    for (size_t i = 0; i < NAMES_MAX; i++)
        if (a->names[i].text && a->names[i].uid == uid &&
            clock_boot_ns() - a->names[i].at_ns < NAME_KEEP_NS)
            return &a->names[i];
    return NULL;
}

static void keep_name(struct audit *a, uid_t uid, const char *text)
{
    struct name *n = &a->names[a->next_name++ % NAMES_MAX];

    str_set(&n->text, text);
    n->uid = uid;
    n->at_ns = clock_boot_ns();
}

static void record_free(struct audit *a, struct record *r)
{
    list_remove(&r->link);
    a->n_waiting--;
    free(r->method);
    free(r->path);
    free(r);
}

static void look_up(struct audit *a);

static void on_user(void *arg, int r, const char *text, const struct answer_user *answer)
{
    const char *name = r == 0 && answer->found ? str_or_empty(answer->name) : "";
    struct audit *a = arg;

    if (r < 0)
        log_debug("a user's name is not known", KI("uid", a->asked), KV("reason", text));
    keep_name(a, a->asked, name);
    list_for_each (x, &a->waiting, struct record, link) {
        if (x->uid != a->asked)
            continue;
        write_line(x->method, x->path, x->uid, name);
        record_free(a, x);
    }
    look_up(a);
}

/* the first one's name */
static void look_up(struct audit *a)
{
    const struct record *r = list_first(&a->waiting, struct record, link);
    char number[16];

    if (!r)
        return;
    a->asked = r->uid; /* NOLINT(clang-analyzer-unix.Malloc): those freed are in no list */
    (void)snprintf(number, sizeof(number), "%" PRIu32, (uint32_t)r->uid);
    job_user(&a->job, number, on_user);
}

void audit_write(void *arg, const struct api_write *w)
{
    struct audit *a = arg;
    const struct name *known;
    struct record *r;

    if (!w->peer_is_unix) {
        log_info("API write", KV("method", w->method), KV("path", w->path), KV("peer", w->peer));
        return;
    }
    known = find_name(a, w->peer_uid);
    if (known || a->n_waiting == WAITING_MAX) {
        write_line(w->method, w->path, w->peer_uid, known ? known->text : "");
        return;
    }
    r = xnew0(struct record);
    r->method = xstrdup(w->method);
    r->path = xstrdup(w->path);
    r->uid = w->peer_uid;
    list_append(&a->waiting, &r->link);
    if (a->n_waiting++ == 0)
        look_up(a);
}

struct audit *audit_new(struct loop *l, const char *probe_path)
{
    struct audit *a = xnew0(struct audit);

    list_init(&a->waiting);
    a->probe_path = xstrdup(probe_path);
    job_init(&a->job, l, a->probe_path, a);
    return a;
}

struct audit *audit_free(struct audit *a)
{
    if (!a)
        return NULL;
    job_done(&a->job);
    list_for_each (r, &a->waiting, struct record, link) {
        write_line(r->method, r->path, r->uid, "");
        record_free(a, r);
    }
    for (size_t i = 0; i < NAMES_MAX; i++)
        free(a->names[i].text);
    free(a->probe_path);
    return mem_free(a);
}
