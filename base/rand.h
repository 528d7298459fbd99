/* base/rand.h - jitter.  Not for secrets (those come from getrandom in base/uuid). */
#pragma once

#include "base/mem.h"

/* uniform in [0, n); 0 for n = 0 */
uint64_t rand_below(uint64_t n);
/* tests: makes the sequence repeatable; 0 seeds from the system again */
void rand_seed(uint64_t seed);
