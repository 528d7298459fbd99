/* sim/source.h - where agents connect from and to.
 *
 * Servers count connections by address, and one address has 28,000 ports: each agent gets one of
 * its own out of a range, 127.64.0.0/10 for servers on loopback.
 *
 * Depends on: base/, wire/addr.
 */
#pragma once

#include <sys/socket.h>

#include "base/err.h"

struct source {
    int family; /* AF_UNSPEC: the kernel chooses */
    uint8_t network[16];
    unsigned bits; /* that are given */
};
/* "127.64.0.0/10", "fd00::/64", "none"; -EINVAL with a sentence */
int source_parse(const char *text, struct source *ret, struct err *e) _must_check_;
/* for servers nobody gave a range for: loopback has one, others none */
void source_default(const struct sockaddr_storage *server, struct source *ret);
/* the address of the nth agent (port 0); network and broadcast address are left out */
void source_address(const struct source *s, uint64_t number, struct sockaddr_storage *ret,
                    socklen_t *ret_len);
/* how many there are, at most 2^32 */
uint64_t source_count(const struct source *s);

/* a socket whose connect() to the server was begun; -errno */
int source_connect(const struct source *s, uint64_t number, const struct sockaddr_storage *server,
                   socklen_t server_len) _must_check_;
/* the next close() of the descriptor resets the connection, as the death of a process does */
void source_reset_on_close(int fd);
/* adds what the connection has carried so far */
void source_bytes(int fd, uint64_t *sent, uint64_t *received);
