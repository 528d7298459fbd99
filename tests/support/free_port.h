/* tests/support/free_port.h - a port for a program whose configuration must name one. */
#pragma once

#include <unistd.h>

#include "base/mem.h"
#include "wire/conn.h"

/* A port that is free, below those that the kernel gives to others meanwhile. */
static inline unsigned free_port(void)
{
    static unsigned next;

    for (int tries = 0; tries < 1000; tries++) {
        unsigned port = 20000 + ((unsigned)getpid() * 17 + next++) % 12000;
        _cleanup_free_ char *address = xasprintf("127.0.0.1:%u", port), *bound = NULL;
        struct err e;
        int fd;

        if (listen_open(address, &fd, &bound, &e) < 0)
            continue;
        (void)fd_close(fd);
        return port;
    }
    abort();
}
