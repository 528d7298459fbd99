/* conf/sockaddr.h - go-sockaddr templates in addresses: "{{ GetInterfaceIP \"eth0\" }}:4646".
 *
 * What is understood (fact: config.md section 8): GetPrivateIP, GetPublicIP, GetInterfaceIP "re",
 * the same with IPs for all, and Get{All,Default,Private,Public}Interfaces piped through include,
 * exclude, sort, limit, offset, attr and join.  Anything else is an error that names it.  Text
 * around a template is kept, text without "{{" passes through.  Regular expressions are POSIX
 * extended ones, unanchored.
 */
#pragma once

#include "base/err.h"

/* one address of one interface, as the rules see it */
struct sockaddr_if {
    char name[32];
    bool up;
    bool is_default; /* the default route's interface */
    bool v6;
    uint8_t addr[16]; /* network order; IPv4: the first four */
    unsigned prefix_len;
};

/* the host's; owned by the caller (free) */
int sockaddr_host(struct sockaddr_if **ret, size_t *ret_n) _must_check_;

/* Evaluates text.  An empty result and one of several words are errors that say so plainly. */
int sockaddr_eval(const char *text, char **ret, struct err *e) _must_check_;
/* the same with given interfaces, for tests */
int sockaddr_eval_with(const char *text, const struct sockaddr_if *ifs, size_t n, char **ret,
                       struct err *e) _must_check_;
/* syntax only; NULL is fine */
int sockaddr_check(const char *text, struct err *e) _must_check_;
