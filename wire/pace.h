/* wire/pace.h - how long a peer may take to receive what waits for it, or to send what it began.
 *
 * PACE_SEC, and a second more for each PACE_BYTES: a slow line passes, a peer that takes a byte a
 * minute does not hold megabytes for ever.  Depends on: base/.
 */
#pragma once

#include "base/mem.h"

struct pace {
    uint64_t until_ns; /* CLOCK_BOOTTIME; 0 = nothing waits */
};
/* n bytes more; the time begins with the first of them */
void pace_add(struct pace *p, size_t n);
static inline void pace_end(struct pace *p)
{
    p->until_ns = 0;
}
bool pace_is_over(const struct pace *p);
