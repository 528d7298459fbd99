#include "wire/fds.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/limits.h"

enum { ROOM_AGAIN = 16 }; /* free ones below the limit when the shortage is over */

static struct {
    bool is_short;
    uint64_t refused;
    void (*fn)(void *arg);
    void *arg;
} state;

/* where the reserve's last parts/2 begin; the limit may be moved from outside at any time */
static int reserve_part(unsigned halves)
{
    struct rlimit l;

    if (getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_cur > INT_MAX)
        return INT_MAX;
    return (int)(l.rlim_cur - MIN(l.rlim_cur / 4, (rlim_t)FDS_RESERVE) * halves / 2);
}

static int reserve_begins(void)
{
    return reserve_part(2);
}

bool fds_may_linger(int fd)
{
    return fd >= 0 && fd < reserve_part(1);
}

static void set_short(bool now)
{
    if (state.is_short == now)
        return;
    state.is_short = now;
    if (state.fn)
        state.fn(state.arg);
}

bool fds_may_keep(int fd)
{
    int begins = reserve_begins();

    if (fd >= 0 && fd < begins) {
        if (state.is_short && fd < begins - ROOM_AGAIN)
            set_short(false);
        return true;
    }
    state.refused++;
    set_short(true);
    return false;
}

bool fds_short(void)
{
    return state.is_short;
}

uint64_t fds_refused(void)
{
    return state.refused;
}

void fds_on_change(void (*fn)(void *arg), void *arg)
{
    state.fn = fn;
    state.arg = arg;
}

void fds_check(void)
{
    int fd;

    if (!state.is_short)
        return;
    fd = open("/dev/null", O_RDONLY | O_CLOEXEC); /* gets the lowest one that is free */
    if (fd >= 0 && fd < reserve_begins() - ROOM_AGAIN)
        set_short(false);
    (void)fd_close(fd);
}
