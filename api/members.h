/* api/members.h - the servers of a cluster as /v1/agent/members shows them (fact: http-api 10). */
#pragma once

#include "base/buf.h"
#include "model/rpc_types.h"

void members_json(struct buf *b, const struct server_members_response *m);
/* one of them; also the member of a server's /v1/agent/self */
void member_json(struct buf *b, const struct server_member *m);
