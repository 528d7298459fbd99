/* fingerprint/disks.h - how full the host's file systems are (Nomad's DiskStats).
 *
 * Not a probe: volatile figures that are asked for, never attributes (design decision 7).  A mount
 * may never answer, so this runs in picket-probe, one record out for each file system at once: what
 * stands before one that hangs is known.
 */
#pragma once

#include "fingerprint/probe.h"
#include "model/rpc_client.h"

/* Calls put for every mounted file system of a disk, those that depend on another machine last, and
 * at the end for the one that alloc_dir is on, without device and mount point, as Nomad has it.
 * What cannot be read is left out.  At most DISKS_MAX.  Negative errno: there is no mount table. */
int disks_read(const struct probe_ctx *ctx, const char *alloc_dir,
               void (*put)(void *arg, const struct host_disk_stats *s), void *arg) _must_check_;
