/* fingerprint/smbios.h - the processor speed out of the firmware's DMI tables.
 *
 * Read directly from /sys/firmware/dmi/tables/DMI (SMBIOS specification 3, section 7.5), where
 * Nomad needs the dmidecode program.
 */
#pragma once

#include "base/mem.h"

enum { SMBIOS_TABLE_MAX = 1024 * 1024 };

/* Current speed in MHz of the first populated processor socket that tells one; 0 when there is
 * none. Any bytes may be passed. */
unsigned smbios_cpu_mhz(const uint8_t *table, size_t n);
