/* agent/self.h - what the agent says about itself, as JSON: /v1/agent/self, health, fingerprint.
 *
 * The shapes are Nomad's (fact: http-api 10); keys of the configuration that Picket does not have
 * are left out.  Pure: facts in, text out.
 */
#pragma once

#include "agent/session.h"
#include "base/buf.h"
#include "conf/conf.h"
#include "fingerprint/run.h"

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
int self_health(struct buf *b, const char *type, size_t n_servers);
/* every probe with its state, values, their sources and the checks it made; the facts that flap
 * (flap may be NULL) */
void self_fingerprint(struct buf *b, const char *node_id, const struct probe_run *run,
                      const struct flap *flap, uint64_t now_ns);
