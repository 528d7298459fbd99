/* conf/sockaddr_rules.h - what go-sockaddr knows about an address.  Internal to conf/. */
#pragma once

#include "conf/sockaddr.h"

bool sockaddr_forwardable(const struct sockaddr_if *a);
bool sockaddr_rfc6890(const struct sockaddr_if *a); /* private, and all that is not forwardable */
bool sockaddr_loopback(const struct sockaddr_if *a);
/* within "10.0.0.0/8"; -EINVAL when that is no network */
int sockaddr_in_network(const struct sockaddr_if *a, const char *network) _must_check_;
/* order by one of: address default name private size type; < 0, 0, > 0 */
int sockaddr_compare(const char *by, const struct sockaddr_if *a, const struct sockaddr_if *b);
bool sockaddr_can_sort_by(const char *by);
/* name address type mask_bits; -EINVAL for another */
int sockaddr_attr(const struct sockaddr_if *a, const char *attr, char ret[64]) _must_check_;

/* Runs what stands between "{{" and "}}" and appends its result to out.  ifs NULL: syntax only. */
struct buf;
int sockaddr_run(const char *inside, const struct sockaddr_if *ifs, size_t n, struct buf *out,
                 struct err *e) _must_check_;
