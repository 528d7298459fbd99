/* tools/lint.h - included first by clang-tidy runs only: what the analyser cannot know by itself.
 *
 * A negative errno is negative: without this each "r = f(&x); if (r < 0) return r;" grows a path on which f() returned
 * -errno with errno 0 and x was never set.  The analyser does not follow the minus of an unknown number, so here errno has
 * one of three values that code treats differently.
 */
#pragma once

#include <errno.h>

int lint_unknown(void);

static inline int *lint_errno(void)
{
    static int e;

    switch (lint_unknown()) {
    case 0:
        e = ENOENT;
        break;
    case 1:
        e = EINTR;
        break;
    default:
        e = EIO;
    }
    return &e;
}
#undef errno
#define errno (*lint_errno())
