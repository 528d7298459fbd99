/* tests/support/wire_loop.h - turning a loop until something has happened. */
#pragma once

#include "base/clock.h"
#include "base/loop.h"

/* turns until the condition holds; fails the test after 5 s of real time */
#define turn_until(l, condition)                                                                   \
    do {                                                                                           \
        for (int _turns = 0; !(condition); _turns++) {                                             \
            if (_turns > 500)                                                                      \
                fail_msg("never happened: %s", #condition);                                        \
            assert_int_equal(loop_turn((l), 10 * NSEC_PER_MSEC), 0);                               \
        }                                                                                          \
    } while (0)
/* n turns that do not wait: enough for what is in flight on loopback to arrive */
#define turn_some(l, n)                                                                            \
    do {                                                                                           \
        for (int _i = 0; _i < (n); _i++)                                                           \
            assert_int_equal(loop_turn((l), NSEC_PER_MSEC), 0);                                    \
    } while (0)
