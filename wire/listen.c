#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/parse.h"
#include "base/str.h"
#include "wire/addr.h"
#include "wire/conn.h"

/* listen_open() and the search for whoever has an address already: the kernel's tables give the
 * socket's inode and owner, /proc/PID/fd the process. */

enum {
    TABLE_READS = 3,
    LINE_MAX_LEN = 512, /* of /proc/net/tcp and unix: 150, and 64 with a path of 108 */
};

struct holder {
    bool found;
    uint64_t inode;
    uint64_t uid;
    bool uid_known;
};

/* the nth blank-separated word of a line (from 0), or NULL; cuts the line */
static char *word_at(char *line, unsigned n)
{
    char *save = line;

    for (;;) {
        char *end;

        while (*save == ' ')
            save++;
        if (!*save)
            return NULL;
        end = save + strcspn(save, " ");
        if (n-- == 0) {
            *end = 0;
            return save;
        }
        save = end;
    }
}

/* "   0: 0100007F:1226 00000000:0000 0A ... uid timeout inode": a listener on the port? */
static void read_tcp_line(char *line, unsigned port, struct holder *ret)
{
    _cleanup_free_ char *copy[4] = {xstrdup(line), xstrdup(line), xstrdup(line), NULL};
    char *local = word_at(copy[0], 1), *state = word_at(copy[1], 3), *uid = word_at(copy[2], 7);
    char *inode = word_at(line, 9), text[8];

    (void)snprintf(text, sizeof(text), ":%04X", port);
    if (local && state && uid && inode && str_ends(local, text) && str_eq(state, "0A") &&
        parse_u64(inode, &ret->inode) == 0) {
        ret->found = true;
        ret->uid_known = parse_u64(uid, &ret->uid) == 0;
    }
    free(copy[1]);
    free(copy[2]);
}

/* "0000000000000000: 00000002 00000000 00010000 0001 01 23456 /path"; the flag says that it
 * listens: connections that nobody has accepted yet carry the same path */
static void read_unix_line(char *line, const char *path, struct holder *ret)
{
    _cleanup_free_ char *copy = xstrdup(line), *more = xstrdup(line);
    char *name = word_at(copy, 7), *flags = word_at(more, 3), *inode = word_at(line, 6);

    if (name && flags && inode && str_eq(name, path) && str_eq(flags, "00010000") &&
        parse_u64(inode, &ret->inode) == 0)
        ret->found = true;
}

/* Line by line, whatever the table's length: a busy host has megabytes of connections in it, and
 * its listeners come first. */
static void search_table(const char *file, unsigned port, const char *path, struct holder *ret)
{
    FILE *f = fopen(file, "re");
    char line[LINE_MAX_LEN];

    if (!f)
        return;
    while (!ret->found && fgets(line, sizeof(line), f)) {
        line[strcspn(line, "\n")] = 0;
        if (path)
            read_unix_line(line, path, ret);
        else
            read_tcp_line(line, port, ret);
    }
    (void)fclose(f);
}

/* whether a process has the socket open */
static bool has_socket(const char *pid, const char *link)
{
    char dir_name[64], target[64];
    struct dirent *entry;
    bool yes = false;
    DIR *dir;

    (void)snprintf(dir_name, sizeof(dir_name), "/proc/%.20s/fd", pid);
    dir = opendir(dir_name);
    if (!dir)
        return false;
    while (!yes && (entry = readdir(dir))) {
        ssize_t n = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);

        if (n <= 0)
            continue;
        target[n] = 0;
        yes = str_eq(target, link);
    }
    (void)closedir(dir);
    return yes;
}

/* "nomad (pid 123)", or NULL when /proc does not tell us */
static char *find_process(uint64_t inode)
{
    char link[40], comm_file[64];
    struct dirent *entry;
    char *text = NULL;
    DIR *dir;

    (void)snprintf(link, sizeof(link), "socket:[%llu]", (unsigned long long)inode);
    dir = opendir("/proc");
    if (!dir)
        return NULL;
    while (!text && (entry = readdir(dir))) {
        _cleanup_free_ char *comm = NULL;

        if (!isdigit((unsigned char)entry->d_name[0]) || !has_socket(entry->d_name, link))
            continue;
        (void)snprintf(comm_file, sizeof(comm_file), "/proc/%.20s/comm", entry->d_name);
        if (file_read_line(comm_file, &comm) < 0)
            comm = xstrdup("a process");
        text = xasprintf("%s (pid %s)", comm, entry->d_name);
    }
    (void)closedir(dir);
    return text;
}

static int say_in_use(const char *address, const struct sockaddr_storage *a, struct err *e)
{
    _cleanup_free_ char *what = NULL, *who = NULL;
    struct holder h = {0};
    unsigned port = ntohs(((const struct sockaddr_in *)a)->sin_port); /* same place in both */
    bool is_unix = a->ss_family == AF_UNIX;

    what = is_unix ? xstrdup(address) : xasprintf("port %u", port);
    /* the kernel's tables may leave out a line when others come and go while they are read */
    for (int i = 0; i < TABLE_READS && !h.found; i++) {
        if (is_unix) {
            search_table("/proc/net/unix", 0, address + strlen("unix:"), &h);
        } else {
            search_table("/proc/net/tcp", port, NULL, &h);
            if (!h.found)
                search_table("/proc/net/tcp6", port, NULL, &h);
        }
    }
    if (h.found)
        who = find_process(h.inode);
    if (who)
        return err_set(e, -EADDRINUSE, "%s is in use by %s", what, who);
    if (h.uid_known)
        return err_set(e, -EADDRINUSE, "%s is in use by a process of user id %llu", what,
                       (unsigned long long)h.uid);
    return err_set(e, -EADDRINUSE, "%s is in use", what);
}

/* a socket file that nobody listens on any more is left over from a process that died */
static bool remove_dead_socket(const struct sockaddr_storage *a, socklen_t len)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)a;
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    struct stat st;

    if (lstat(un->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
        return false;
    if (fd < 0 || connect(fd, (const struct sockaddr *)a, len) == 0 || errno != ECONNREFUSED)
        return false;
    return unlink(un->sun_path) == 0;
}

static int bind_address(int fd, const char *address, const struct sockaddr_storage *a,
                        socklen_t len, struct err *e)
{
    const int one = 1;
    int r;

    if (a->ss_family != AF_UNIX)
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    r = bind(fd, (const struct sockaddr *)a, len);
    if (r < 0 && errno == EADDRINUSE && a->ss_family == AF_UNIX && remove_dead_socket(a, len))
        r = bind(fd, (const struct sockaddr *)a, len);
    if (r == 0)
        r = listen(fd, SOMAXCONN);
    if (r == 0)
        return 0;
    return errno == EADDRINUSE ? say_in_use(address, a, e)
                               : err_errno(e, -errno, "listen on %s", address);
}

int listen_open(const char *address, int *ret_fd, char **ret_bound, struct err *e)
{
    struct sockaddr_storage a;
    _cleanup_close_ int fd = -1;
    socklen_t len;
    int r;

    r = addr_parse(address, &a, &len, e);
    if (r < 0)
        return r;
    fd = socket(a.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_errno(e, -errno, "socket");
    r = bind_address(fd, address, &a, len, e);
    if (r < 0)
        return r;
    len = sizeof(a);
    if (getsockname(fd, (struct sockaddr *)&a, &len) < 0)
        return err_errno(e, -errno, "getsockname");
    if (ret_bound)
        *ret_bound = addr_format(&a, len);
    *ret_fd = steal_fd(&fd);
    return 0;
}
