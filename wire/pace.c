#include "wire/pace.h"

#include "base/clock.h"
#include "base/limits.h"

void pace_add(struct pace *p, size_t n)
{
    if (p->until_ns == 0)
        p->until_ns = clock_boot_ns() + PACE_SEC * NSEC_PER_SEC;
    p->until_ns += n * (NSEC_PER_SEC / PACE_BYTES);
}

bool pace_is_over(const struct pace *p)
{
    return p->until_ns && clock_boot_ns() > p->until_ns;
}
