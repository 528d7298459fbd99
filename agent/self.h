/* agent/self.h - what the agent says about itself, as JSON: /v1/agent/self, health.
 *
 * The shapes are Nomad's (fact: http-api 10); keys of the configuration that Picket does not have
 * are left out; what may be secret is "<redacted>" or left out.  Pure: facts in, text out.
 */
#pragma once

#include "agent/session.h"
#include "base/buf.h"
#include "conf/conf.h"

struct self_facts {
    const struct conf *conf;
    const char *http_addr; /* advertised */
    const char *node_id;
    const char *const *servers;
    size_t n_servers;
    size_t n_allocs;
    uint64_t now_ns, born_ns;
    const struct session_status *session;
};
void self_json(struct buf *b, const struct self_facts *f);
/* type "", "client" or "server"; returns the HTTP status */
int self_health(struct buf *b, const char *type, const struct self_facts *f);
