#include "api/watch.h"

#include <malloc.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "wire/budget.h"
#include "wire/fds.h"

#define LOOK_NS (10 * NSEC_PER_SEC)
enum {
    LOOKS_PER_LINE = 6, /* about slow callbacks */
    GIVE_BACK_MIN = 32 * MIB,
    /* Blocks from here on are mappings of their own, which go back one by one when they are freed:
     * giving back hundreds of megabytes in one piece takes tens of milliseconds.  The kernel has
     * 65,530 mappings for a process. */
    OWN_MAPPING_MIN = 32 * KIB,
    OWN_MAPPINGS_MAX = 16 * KIB,
    HEAP_TOP_MAX = 4 * MIB, /* unused at its end */
};

struct watch {
    struct loop *loop;
    struct timer timer;
    uint64_t n_slow; /* told so far */
    size_t high;     /* the most that was held since memory was given back */
    unsigned looks;
};

static void on_fds(void *arg)
{
    (void)arg;
    if (fds_short())
        (void)log_warn(0, "no descriptors are left for more connections, they are refused",
                       KI("refused", fds_refused()));
    else
        log_info("there are descriptors for connections again", KI("refused", fds_refused()));
}

static void say_slow(struct watch *w)
{
    struct loop_slow slow;

    loop_slow(w->loop, &slow);
    if (slow.n != w->n_slow && slow.name)
        log_debug("callbacks took longer than they should", KI("times", slow.n - w->n_slow),
                  KI("longest_ms", slow.longest_ns / NSEC_PER_MSEC), KV("longest", slow.name));
    w->n_slow = slow.n;
}

/* Small ones by the thousand leave holes all over the heap: once they are gone it is given back.
 * That takes some milliseconds, after a flood only. */
static void give_back(struct watch *w)
{
    size_t held = budget_held(BUDGET_IN) + budget_held(BUDGET_OUT);
    size_t high = budget_take_high();
    uint64_t began;

    w->high = MAX(w->high, high);
    if (w->high < GIVE_BACK_MIN || held > w->high / 4)
        return;
    began = clock_boot_ns();
    (void)malloc_trim(0);
    log_debug("memory of many requests given back", KI("most_bytes", w->high),
              KI("took_us", (clock_boot_ns() - began) / NSEC_PER_USEC));
    w->high = 0;
}

static void on_timer(void *arg)
{
    struct watch *w = arg;

    fds_check();
    give_back(w);
    if (++w->looks % LOOKS_PER_LINE == 0)
        say_slow(w);
    timer_set(&w->timer, LOOK_NS);
}

struct watch *watch_new(struct loop *l)
{
    struct watch *w = xnew0(struct watch);

    w->loop = l;
    (void)mallopt(M_MMAP_THRESHOLD, OWN_MAPPING_MIN);
    (void)mallopt(M_MMAP_MAX, OWN_MAPPINGS_MAX);
    (void)mallopt(M_TRIM_THRESHOLD, HEAP_TOP_MAX);
    timer_init(l, &w->timer, "watch of peers", on_timer, w);
    timer_set(&w->timer, LOOK_NS);
    fds_on_change(on_fds, w);
    return w;
}

struct watch *watch_free(struct watch *w)
{
    if (!w)
        return NULL;
    fds_on_change(NULL, NULL);
    timer_stop(&w->timer);
    return mem_free(w);
}

const char *watch_trouble(void)
{
    return fds_short() ? "out of descriptors, new connections are refused" : "";
}
