#include "base/log_journal.h"

#include <ctype.h>
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static const struct sockaddr_un address = {
    .sun_family = AF_UNIX,
    .sun_path = "/run/systemd/journal/socket",
};
static int sock = -1; /* opened by the first record, never closed */

static void add_name(struct buf *b, const char *s)
{
    for (; *s; s++)
        buf_add_byte(b, isalnum((unsigned char)*s) ? (uint8_t)toupper((unsigned char)*s) : '_');
}

void journal_add(struct buf *b, const char *prefix, const char *key, const char *value)
{
    uint64_t size = htole64(strlen(value));

    add_name(b, prefix);
    add_name(b, key);
    if (strchr(value, '\n')) {
        buf_add_byte(b, '\n');
        buf_add(b, &size, sizeof(size));
    } else {
        buf_add_byte(b, '=');
    }
    buf_add_str(b, value);
    buf_add_byte(b, '\n');
}

int journal_send(const struct buf *b)
{
    if (buf_ok(b) < 0)
        return buf_ok(b);
    if (sock < 0)
        sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (sock < 0)
        return -errno;
    if (sendto(sock, b->p, b->len, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)&address,
               sizeof(address)) < 0)
        return -errno;
    return 0;
}
