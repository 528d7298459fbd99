/* agent/merge.h - the steps by which agent/collect makes a node: configuration, then each probe in
 * row order, then what is derived.  Pure: arguments in, node out.
 */
#pragma once

#include "conf/conf.h"
#include "fingerprint/run.h"
#include "model/node.h"

/* metadata of the configuration with Nomad's defaults; ret is nil */
void merge_static_meta(struct strmap *ret, const struct conf *conf);
/* what the configuration alone says: names, meta with Nomad's defaults, reservations, networks */
void merge_skeleton(struct node *n, const struct conf *conf);
/* attributes that do not need a probe; a registration without any would be refused */
void merge_baseline(struct node *n, const struct conf *conf, const char *http_addr);
/* One probe's last good result; a driver without one as undetected with its reason.  A driver whose
 * result is stale is unhealthy; before is the node published last (NULL at first), for drivers that
 * stay detected when their daemon goes.  The host volume of a probe that hangs is left out. */
void merge_probe(struct node *n, const struct probe_status *st, const struct node *before);
/* dynamic ports, the forms of resources that older and newer servers read, stable order, and what
 * is fixed while tasks cannot be run (design decision 14) */
void merge_finish(struct node *n, const struct conf *conf);
/* the Nomad release whose rules are followed, as servers are told */
const char *merge_nomad_version(const struct conf *conf);
