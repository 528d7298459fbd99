/* agent/clocks.h - notices what a heartbeat cannot help: a clock that was set, a machine that
 * slept, a process that was stopped or got no CPU.
 *
 * Nothing is polled.  A timer descriptor with TFD_TIMER_CANCEL_ON_SET tells when the wall clock is
 * set (timerfd_create(2)); sleep shows as CLOCK_BOOTTIME running ahead of CLOCK_MONOTONIC; anything
 * else that made the loop's timers late was a pause of this process, and its own accounts say which
 * kind: CPU used (busy), time in the run queue (starved), page faults from disk, none (stopped).
 *
 * Each makes a node event, but of one kind one a minute at most; the log has all of them.
 *
 * Depends on: base/.
 */
#pragma once

#include "base/loop.h"
#include "base/map.h"

struct clocks;

struct clocks_opts {
    struct loop *loop;
    int set_fd; /* readable when the clock was set (tests; borrowed); -1 = a timer of its own */
    void (*on_event)(void *arg, const char *message, const struct strmap *details);
    /* the process went on after so long: beat now; how: "slept", "stopped", "starved" .. */
    void (*on_pause)(void *arg, const char *how, uint64_t ns);
    void *arg;
};
struct clocks *clocks_new(const struct clocks_opts *o);
struct clocks *clocks_free(struct clocks *c);
DEFINE_CLEANUP(struct clocks, clocks_free)

/* All is well: from here on the accounts count.  To be called now and then, a heartbeat will do. */
void clocks_mark(struct clocks *c);
