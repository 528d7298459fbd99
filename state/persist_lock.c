#include "state/persist_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "base/parse.h"
#include "base/str.h"

static int err_locked(const char *dir, int fd, struct err *e)
{
    char text[32] = "";
    uint64_t pid;
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

    if (n > 0 && parse_u64(str_trim(text), &pid) == 0)
        return err_set(e, -EBUSY, "data folder %s is in use by process %llu", dir,
                       (unsigned long long)pid);
    return err_set(e, -EBUSY, "data folder %s is in use by another process", dir);
}

int persist_lock(const char *dir, int *ret_fd, struct err *e)
{
    _cleanup_free_ char *path = xasprintf("%s/lock", dir);
    _cleanup_close_ int fd = -1;
    char text[32];
    int r, n;

    r = dir_make(dir, 0700, e);
    if (r < 0)
        return r;
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_errno(e, -errno, "cannot open %s", path);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK)
            return err_locked(dir, fd, e);
        return err_errno(e, -errno, "cannot lock %s", path);
    }
    n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    /* the number is for people only: a full disk shows up where it matters, in the database */
    if (ftruncate(fd, 0) == 0)
        (void)!pwrite(fd, text, (size_t)n, 0);
    *ret_fd = steal_fd(&fd);
    return 0;
}
