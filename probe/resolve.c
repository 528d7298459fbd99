#include "probe/resolve.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/str.h"

/* getnameinfo with numbers only never asks anybody. */
static char *address_text(const struct addrinfo *ai)
{
    char host[NI_MAXHOST], port[NI_MAXSERV];

    if (getnameinfo(ai->ai_addr, ai->ai_addrlen, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return NULL;
    return xasprintf(ai->ai_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

int resolve_print(const char *host, const char *port, struct err *e)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    char **done = NULL;
    size_t n_done = 0;
    int r = getaddrinfo(host, port, &hints, &list);

    if (r != 0)
        return err_set(e, -EHOSTUNREACH, "%s: %s", host, gai_strerror(r));
    for (const struct addrinfo *ai = list; ai; ai = ai->ai_next) {
        _cleanup_free_ char *text = address_text(ai);

        if (!text || strv_has(done, n_done, text))
            continue;
        strv_add(&done, &n_done, text);
        (void)printf("%s\n", text);
    }
    freeaddrinfo(list);
    strv_done(&done, &n_done);
    return 0;
}
