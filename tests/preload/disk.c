/* tests/preload/disk.c - a disk in trouble, by LD_PRELOAD: what a database does to its files fails
 * or hangs as long as a test wants.
 *
 * DISK_CONTROL names a file of struct control that the test writes and this library maps.  Nothing
 * happens while calls is 0.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { CALL_SYNC = 1, CALL_WRITE = 2, CALL_TRUNCATE = 4 };
enum { FILE_LOG = 1, FILE_DATABASE = 2 };

struct control {
    _Atomic unsigned calls, files; /* which */
    _Atomic unsigned error;        /* errno; 0: hang until calls is another */
    _Atomic unsigned left;         /* only so many; UINT_MAX: without end */
    _Atomic unsigned percent;      /* of those concerned */
    _Atomic unsigned hits;         /* how many have failed or hung */
};

static struct control *control_get(void)
{
    static struct control *_Atomic c;
    const char *path = getenv("DISK_CONTROL");
    struct control *now = c;
    int fd;

    if (now || !path)
        return now;
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        abort();
    now = mmap(NULL, sizeof(*now), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (now == MAP_FAILED)
        abort();
    c = now;
    return now;
}

static unsigned file_of(int fd)
{
    char link[64], path[4096];
    ssize_t n;

    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof(path) - 1);
    if (n < 0)
        return 0;
    path[n] = '\0';
    if (strstr(path, "state.db-wal"))
        return FILE_LOG;
    return strstr(path, "state.db") ? FILE_DATABASE : 0;
}

/* 0: go on */
static int trouble(int fd, unsigned call)
{
    const struct timespec moment = {.tv_nsec = 5000000};
    struct control *c = control_get();
    static _Atomic unsigned n;
    unsigned calls = c ? c->calls : 0;

    if (!(calls & call) || !(file_of(fd) & c->files) || c->left == 0 || n++ % 100 >= c->percent)
        return 0;
    if (c->left != ~0U)
        c->left--;
    c->hits++;
    if (c->error != 0) {
        errno = (int)c->error;
        return -1;
    }
    while (c->calls == calls)
        (void)nanosleep(&moment, NULL);
    return 0;
}

#define REAL(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

int fdatasync(int fd)
{
    return trouble(fd, CALL_SYNC) < 0 ? -1 : REAL(fdatasync)(fd);
}

int fsync(int fd)
{
    return trouble(fd, CALL_SYNC) < 0 ? -1 : REAL(fsync)(fd);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{
    return trouble(fd, CALL_WRITE) < 0 ? -1 : REAL(pwrite64)(fd, p, n, at);
}

int ftruncate64(int fd, off64_t n)
{
    return trouble(fd, CALL_TRUNCATE) < 0 ? -1 : REAL(ftruncate64)(fd, n);
}
