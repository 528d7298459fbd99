/* agent/late.h - what became of each heartbeat, step by step, so that a late one can be explained.
 *
 * A beat begins when it is due and ends when a server accepts it; everything in between is a step
 * with its time: the process stood still, a server was silent, refused the connection, a pause
 * before the next try.  Like steps of one server in a row are one step, counted.  The last few
 * beats are kept.
 *
 * Time comes from base/clock.  Owns all it keeps.  Depends on: base/.
 */
#pragma once

#include "base/buf.h"
#include "base/map.h"

enum {
    LATE_BEATS = 6,       /* kept */
    LATE_STEPS = 16,      /* of one beat; the first ones and the last one are kept */
    LATE_SLACK_MS = 1000, /* answers take their time: less is not late */
};

struct late_step {
    char *server; /* "ip:port"; NULL = none had to do with it */
    char *what;   /* "stopped", "silent", "connection refused", "answered" .. */
    uint64_t at_ns, took_ns;
    unsigned times; /* 1 = once */
};

struct late_beat {
    uint64_t due_ns, fired_ns, done_ns; /* CLOCK_BOOTTIME; 0 = not yet */
    uint64_t ttl_ns;                    /* what the servers gave before it */
    uint64_t late_ns;                   /* accepted so long after that; 0 = in time */
    char *server;                       /* that accepted it */
    struct late_step steps[LATE_STEPS];
    size_t n_steps;
};

struct late;

struct late *late_new(void);
struct late *late_free(struct late *l);
DEFINE_CLEANUP(struct late, late_free)

/* Its time has come; harmless when one is under way already.  What was told since the last one
 * ended (a pause of the process) belongs to it. */
void late_begin(struct late *l, uint64_t due_ns);
/* so long passed up to now with this, at this server (NULL: with none) */
void late_step(struct late *l, const char *server, const char *what, uint64_t took_ns);
/* A server accepted it; limit_ns: when its TTL was over.  Borrowed until LATE_BEATS more ended. */
const struct late_beat *late_end(struct late *l, const char *server, uint64_t ttl_ns,
                                 uint64_t limit_ns);
void late_drop(struct late *l); /* there will be none: the node is not registered any more */

/* the n-th last beat that ended, 0 = the last; NULL when there are fewer */
const struct late_beat *late_beat(const struct late *l, size_t n);
/* "stopped 11.0 s", "10.0.0.1:4647 silent 10.0 s", "10.0.0.1:4647 refused, 3 times 0.2 s" */
char *late_step_text(const struct late_step *s) _must_check_;
/* details of an event: ttl, late, server, step_01 .. */
void late_explain(const struct late_beat *b, struct strmap *ret);
/* a JSON array of the beats kept, the newest first */
void late_json(const struct late *l, struct buf *b);
