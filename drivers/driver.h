/* drivers/driver.h - the table of task drivers.
 *
 * So far a driver is its checks: the first failing one is the HealthDescription, all are kept as
 * whys.  Starting tasks comes with a later issue as more members of the row.
 */
#pragma once

#include "fingerprint/probe.h"

/* What Nomad's drivers say of themselves (fact: fingerprints 7.2, 7.3); people alert on these
 * words. */
#define DRIVER_HEALTHY          "Healthy"
#define DRIVER_DISABLED         "disabled"
#define DRIVER_DOCKER_NO_CLIENT "Failed to initialize docker client"
#define DRIVER_DOCKER_NO_DAEMON "Failed to connect to docker daemon"

struct driver {
    const char *name;
    struct probe probe; /* fills fp->drivers with one entry of this name; name is "driver.<name>" */
    /* Once seen, it stays detected until the agent restarts: when its probe finds it undetected
     * later, the agent publishes detected, unhealthy, with that probe's description. */
    bool stays_detected;
};

extern const struct driver *const drivers[];
extern const size_t n_drivers_rows;

/* What a driver's probe begins with: NULL when the lists of the options keep the driver out (then
 * there is no entry at all and a skipped check says why), else its entry, undetected so far. */
struct driver_info *driver_begin(const struct probe_ctx *ctx, struct fp *fp, const char *name);
/* sets the three words of an entry; detected also gives it the attribute driver.<name> = "true" */
void driver_state(struct driver_info *d, bool detected, bool healthy, const char *description);
