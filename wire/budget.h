/* wire/budget.h - what all connections of the process hold together: bytes that came from peers and
 * are not worked off, and answers that have not left.
 *
 * Each holder keeps a figure of its own and corrects the sum by it, so that nothing is counted
 * twice and nothing is left behind.  Whoever wants to hold more asks first: small pieces
 * (PEERS_SMALL) may fill the whole budget, larger ones three quarters of it, so that half-sent
 * megabytes do not keep a heartbeat away.  The thread of the loop only.
 *
 * Depends on: base/.
 */
#pragma once

#include "base/mem.h"

enum budget_side {
    BUDGET_IN,  /* PEERS_IN_MAX */
    BUDGET_OUT, /* PEERS_OUT_MAX */
    BUDGET_SIDES,
};

/* whether somebody whose part is counted may hold n bytes instead; a refusal is counted */
bool budget_allows(enum budget_side side, size_t counted, size_t n) _must_check_;
/* *counted is the holder's part of the sum so far (0 at first), now what it holds from here on */
void budget_hold(enum budget_side side, size_t *counted, size_t now);
size_t budget_held(enum budget_side side);
size_t budget_take_high(void); /* the most that both sides held since the last time it was asked */
uint64_t budget_refused(enum budget_side side); /* since the start */
/* other ceilings than the usual ones (0 = the usual): small programs, tests */
void budget_limit(enum budget_side side, size_t max);
