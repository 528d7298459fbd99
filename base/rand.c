#include "base/rand.h"

#include <sys/random.h>

static uint64_t state;

void rand_seed(uint64_t seed)
{
    state = seed;
}

/* splitmix64 */
static uint64_t next(void)
{
    uint64_t z;

    while (state == 0)
        (void)!getrandom(&state, sizeof(state), 0);
    z = state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint64_t rand_below(uint64_t n)
{
    return n ? (uint64_t)((unsigned __int128)next() * n >> 64) : 0;
}
