#include "wire/budget.h"

#include "base/limits.h"

static struct {
    size_t max, held;
    uint64_t refused;
} sides[BUDGET_SIDES] = {
    [BUDGET_IN] = {.max = PEERS_IN_MAX},
    [BUDGET_OUT] = {.max = PEERS_OUT_MAX},
};

static size_t high;

void budget_limit(enum budget_side side, size_t max)
{
    static const size_t usual[] = {[BUDGET_IN] = PEERS_IN_MAX, [BUDGET_OUT] = PEERS_OUT_MAX};

    sides[side].max = max ? max : usual[side];
}

bool budget_allows(enum budget_side side, size_t counted, size_t n)
{
    size_t max = sides[side].max, others = sides[side].held - counted;

    if (n > PEERS_SMALL)
        max -= max / 4;
    /* a piece larger than the ceiling passes when nothing else is held: it has a limit of its own
     */
    if (n <= counted || others == 0 || (n <= max && others <= max - n))
        return true;
    sides[side].refused++;
    return false;
}

void budget_hold(enum budget_side side, size_t *counted, size_t now)
{
    sides[side].held += now - *counted;
    *counted = now;
    high = MAX(high, sides[BUDGET_IN].held + sides[BUDGET_OUT].held);
}

size_t budget_held(enum budget_side side)
{
    return sides[side].held;
}

size_t budget_take_high(void)
{
    size_t was = high;

    high = sides[BUDGET_IN].held + sides[BUDGET_OUT].held;
    return was;
}

uint64_t budget_refused(enum budget_side side)
{
    return sides[side].refused;
}
