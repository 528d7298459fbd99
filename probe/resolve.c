#include "probe/resolve.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "wire/addr.h"

int resolve_print(const char *host, const char *port)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *list, *a;
    int r = getaddrinfo(host, port, &hints, &list), n = 0;

    if (r != 0) {
        (void)fprintf(stderr, "%s\n", gai_strerror(r));
        return 1;
    }
    for (a = list; a; a = a->ai_next) {
        struct sockaddr_storage ss = {0};
        _cleanup_free_ char *text = NULL;

        if (a->ai_addrlen > sizeof(ss))
            continue;
        memcpy(&ss, a->ai_addr, a->ai_addrlen);
        text = addr_format(&ss, a->ai_addrlen);
        n += printf("%s\n", text) > 0;
    }
    freeaddrinfo(list);
    if (n == 0 || fflush(stdout) != 0) {
        (void)fprintf(stderr, "no addresses\n");
        return 1;
    }
    return 0;
}
