/* server/view.h - the questions of the API, answered from the store (api/view.h). */
#pragma once

#include "server/server.h"

/* the view of a server; s must outlive it */
struct view server_view(struct server *s);

/* whether node_id or server_id ("" = not given) is this server */
bool view_is_this_server(const struct server *s, const char *node_id, const char *server_id);

/* JSON bodies of /v1/agent/self and /v1/agent/members (server/view_agent.c) */
void view_agent_self(const struct server *s, struct buf *ret);
void view_agent_members(const struct server *s, struct buf *ret);
