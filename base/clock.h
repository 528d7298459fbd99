/* base/clock.h - the only place where time is read, so that tests can make their own.
 *
 * clock_boot_ns() is CLOCK_BOOTTIME: it goes on while the machine sleeps and never jumps; deadlines
 * are measured with it.  clock_wall_ns() is unix time; it is shown and stored, never waited for.
 *
 * struct gotime is Go's time.Time: seconds since 0001-01-01T00:00:00Z, nanoseconds, and the zone
 * offset it was taken in.  All zero is Go's zero time.
 */
#pragma once

#include "base/mem.h"

#define GOTIME_UNIX_EPOCH INT64_C(62135596800) /* 1970-01-01 in seconds since year 1 */

struct gotime {
    int64_t sec;
    uint32_t nsec;
    int16_t offset_min; /* minutes east of UTC; 0 prints as Z */
};

enum { GOTIME_TEXT_MAX = 96 };

uint64_t clock_boot_ns(void);
int64_t clock_wall_ns(void);
/* how long the machine has slept since it was started: CLOCK_BOOTTIME less CLOCK_MONOTONIC */
uint64_t clock_slept_ns(void);
/* the wall time of a moment of CLOCK_BOOTTIME, by the wall clock of now: right behind a jump too */
int64_t clock_wall_of(uint64_t boot_ns);
/* tests: from now on both clocks stand still at these values; false gives real time back */
void clock_fake(bool on, uint64_t boot_ns, int64_t wall_ns);
void clock_fake_advance(uint64_t ns);
void clock_fake_sleep(uint64_t ns); /* the machine sleeps so long */
void clock_fake_jump(int64_t ns);   /* somebody sets the wall clock */

struct gotime gotime_now(void);
struct gotime gotime_from_unix_ns(int64_t ns);
int64_t gotime_to_unix_ns(struct gotime t);
static inline bool gotime_is_zero(struct gotime t)
{
    return t.sec == 0 && t.nsec == 0;
}
static inline bool gotime_equal(struct gotime a, struct gotime b) /* the instant, not the zone */
{
    return a.sec == b.sec && a.nsec == b.nsec;
}
/* RFC 3339 with up to nine decimals, trailing zeros cut, Z or the offset; not for zero times */
void gotime_format(struct gotime t, char ret[GOTIME_TEXT_MAX]);
/* RFC 3339; -EINVAL when it is not */
int gotime_parse(const char *s, struct gotime *ret) _must_check_;
