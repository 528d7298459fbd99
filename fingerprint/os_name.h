/* fingerprint/os_name.h - name and version of the distribution, by the rules that Nomad 2.0.5 uses
 * (fact: fingerprints 3.7), so that constraints on os.name go on to mean the same. */
#pragma once

#include "fingerprint/probe.h"

struct os_name {
    char *name;    /* owned; NULL = unknown */
    char *version; /* owned; NULL or "" = unknown */
    char *source;  /* owned; the file that decided */
};

/* fills a zeroed os_name from the files in /etc below the root of ctx; never runs a program */
void os_name_find(const struct probe_ctx *ctx, struct os_name *ret);
void os_name_done(struct os_name *o);
