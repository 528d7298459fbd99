#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/str.h"
#include "fingerprint/look.h"
#include "fingerprint/netlink.h"

/* drivers that do not know answer -1, as an unsigned number or as 0xffff */
static int64_t sane_speed(uint64_t mbit)
{
    return mbit > 0 && mbit < UINT16_MAX * UINT64_C(256) && mbit != UINT16_MAX ? (int64_t)mbit : 0;
}

/* ETHTOOL_GLINKSETTINGS is asked twice: the first answer is only how many words of masks it has. */
static int64_t speed_ethtool(const char *name)
{
    _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct {
        struct ethtool_link_settings s;
        uint32_t masks[3 * 128]; /* at most 127 words each */
    } q = {.s = {.cmd = ETHTOOL_GLINKSETTINGS}};
    struct ifreq ifr = {.ifr_data = (char *)&q};

    if (fd < 0 || strlen(name) >= sizeof(ifr.ifr_name))
        return 0;
    memcpy(ifr.ifr_name, name, strlen(name) + 1);
    if (ioctl(fd, SIOCETHTOOL, &ifr) < 0 || q.s.link_mode_masks_nwords >= 0)
        return 0;
    q.s.cmd = ETHTOOL_GLINKSETTINGS;
    q.s.link_mode_masks_nwords = (int8_t)-q.s.link_mode_masks_nwords;
    if (ioctl(fd, SIOCETHTOOL, &ifr) < 0)
        return 0;
    return sane_speed(q.s.speed);
}

int64_t net_link_speed(const struct probe_ctx *ctx, const char *name, const char **ret_source)
{
    int64_t speed = str_empty(ctx->root) ? speed_ethtool(name) : 0;
    uint64_t v;

    *ret_source = "ethtool";
    if (speed > 0)
        return speed;
    *ret_source = "/sys/class/net";
    return look_u64(ctx, &v, "/sys/class/net/%s/speed", name) == 0 ? sane_speed(v) : 0;
}
