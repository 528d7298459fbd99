/* fingerprint/net_fixture.h - the text form of struct net_host, for fixture trees. */
#pragma once

#include "fingerprint/netlink.h"

/* reads <root>/netlink */
int net_fixture_read(const struct probe_ctx *ctx, struct net_host *ret, struct err *e) _must_check_;
