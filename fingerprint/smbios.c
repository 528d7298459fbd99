#include "fingerprint/smbios.h"

#include <string.h>

enum {
    HEAD_LEN = 4, /* type, length of the fixed part, handle */
    TYPE_PROCESSOR = 4,
    TYPE_END = 127,
    OFF_CURRENT_SPEED = 0x16, /* u16, little-endian, MHz */
    OFF_STATUS = 0x18,
    STATUS_POPULATED = 1 << 6,
};

/* length of a whole structure: the fixed part, then strings up to a double NUL; 0 when cut short */
static size_t structure_len(const uint8_t *p, size_t n)
{
    size_t at;

    if (n < HEAD_LEN || p[1] < HEAD_LEN)
        return 0;
    for (at = p[1]; at + 1 < n; at++)
        if (p[at] == 0 && p[at + 1] == 0)
            return at + 2;
    return 0;
}

unsigned smbios_cpu_mhz(const uint8_t *table, size_t n)
{
    size_t len;

    for (size_t at = 0; at < n && (len = structure_len(table + at, n - at)) > 0; at += len) {
        const uint8_t *p = table + at;
        unsigned mhz;

        if (p[0] == TYPE_END)
            break;
        if (p[0] != TYPE_PROCESSOR || p[1] <= OFF_STATUS || !(p[OFF_STATUS] & STATUS_POPULATED))
            continue;
        mhz = p[OFF_CURRENT_SPEED] | (unsigned)p[OFF_CURRENT_SPEED + 1] << 8;
        if (mhz > 0)
            return mhz;
    }
    return 0;
}
