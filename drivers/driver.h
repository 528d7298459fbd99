/* drivers/driver.h - the table of task drivers.
 *
 * So far a driver is its checks: the first failing one is the HealthDescription, all are kept as
 * whys.  Starting tasks comes with a later issue as more members of the row.
 */
#pragma once

#include "fingerprint/probe.h"

struct driver {
    const char *name;
    struct probe probe; /* fills fp->drivers with one entry of this name; name is "driver.<name>" */
};

extern const struct driver *const drivers[];
extern const size_t n_drivers_rows;
