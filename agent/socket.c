#include "agent/socket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "wire/conn.h"

enum { SOCKET_MODE = 0666 };

char *socket_path(const char *runtime_directory, const char *data_dir)
{
    const char *dir = str_or_empty(runtime_directory);
    int n = (int)strcspn(dir, ":");

    return n > 0 ? xasprintf("%.*s/agent.sock", n, dir) : xasprintf("%s/agent.sock", data_dir);
}

int socket_open(const char *path, int *ret_fd, struct err *e)
{
    _cleanup_free_ char *address = xasprintf("unix:%s", path);
    _cleanup_close_ int fd = -1;
    int r;

    if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
        return err_set(e, -ENAMETOOLONG, "%s: the path of a socket has at most %zu characters",
                       path, sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
    r = listen_open(address, &fd, NULL, e);
    if (r < 0)
        return r;
    if (chmod(path, SOCKET_MODE) < 0) {
        r = err_errno(e, -errno, "%s", path);
        (void)unlink(path);
        return r;
    }
    *ret_fd = steal_fd(&fd);
    return 0;
}

char *socket_serve(struct api *api, const char *data_dir)
{
    _cleanup_free_ char *path = socket_path(getenv("RUNTIME_DIRECTORY"), data_dir);
    struct err e = {0};
    int fd = -1, r;

    r = socket_open(path, &fd, &e);
    if (r == 0)
        r = api_listen(api, fd, &e);
    if (r < 0) {
        (void)log_warn(0, "the API is not on a unix socket", KV("path", path), KE(&e));
        return NULL;
    }
    return steal_ptr(&path);
}

void socket_remove(char *take_path)
{
    if (take_path)
        (void)unlink(take_path);
    free(take_path);
}
