/* tests/support/valgrind.h - what valgrind cannot imitate is skipped there.  Its own descriptors
 * lie above the limit of the process, which it lowers itself, so that descriptors do not run out.
 */
#pragma once

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static inline bool on_valgrind(void)
{
    const char *preload = getenv("LD_PRELOAD");

    return preload && strstr(preload, "/vgpreload_");
}
