/* agent/metrics.h - /v1/metrics: Nomad's gauges of the host and what this agent knows of itself.
 *
 * Names and labels of the host's are Nomad's (nomad.client.*); picket.* are our own.  As JSON
 * everything is a gauge, because Nomad's counters are figures of an interval and nothing is sampled
 * here while nobody asks; for Prometheus what only grows is a counter.  Pure: facts in, text out,
 * but for the process's own figures, which it reads from /proc.
 */
#pragma once

#include "agent/session.h"
#include "base/buf.h"
#include "conf/conf.h"
#include "fingerprint/run.h"
#include "model/item.h"
#include "model/rpc_client.h"

struct metrics_facts {
    const struct conf *conf;
    const char *node_id;
    const struct node_item *item; /* NULL: there is none yet */
    const struct session_status *session;
    const struct probe_run *probes; /* NULL: not yet */
    const struct host_stats *stats;
    bool disks_answer; /* all of them, the last time */
    size_t n_allocs;
    uint64_t n_slow; /* callbacks of the loop */
    uint64_t now_ns, born_ns;
    int64_t wall_ns;
};
void metrics_json(struct buf *b, const struct metrics_facts *f);
void metrics_prometheus(struct buf *b, const struct metrics_facts *f);
