#include "fingerprint/fp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/str.h"
#include "base/vec.h"
#include "codec/mp.h"
#include "codec/ops.h"

enum { RECORD_HEAD = 4 }; /* bytes of the length in front */

#define T struct fp
/* clang-format off */
static const struct field fp_fields[] = {
    { "attributes", MAP(attributes), .flags = F_OMITEMPTY },
    { "cpu", PTR(cpu, desc_node_cpu), .flags = F_OMITEMPTY },
    { "devices", VEC(devices, n_devices, desc_node_device), .flags = F_OMITEMPTY },
    { "disk", PTR(disk, desc_node_disk), .flags = F_OMITEMPTY },
    { "drivers", MAPVEC(drivers, n_drivers, desc_driver_info), .flags = F_OMITEMPTY },
    { "error", STR(error), .flags = F_OMITEMPTY },
    { "host_volumes", MAPVEC(host_volumes, n_host_volumes, desc_host_volume), .flags = F_OMITEMPTY },
    { "links", MAP(links), .flags = F_OMITEMPTY },
    { "local", MAP(local), .flags = F_OMITEMPTY },
    { "memory", PTR(memory, desc_node_memory), .flags = F_OMITEMPTY },
    { "networks", VEC(networks, n_networks, desc_network_resource), .flags = F_OMITEMPTY },
    { "node_networks", VEC(node_networks, n_node_networks, desc_node_network_resource), .flags = F_OMITEMPTY },
    { "ok", BOOL(ok) },
    { "probe", STR(probe) },
    { "sources", MAP(sources), .flags = F_OMITEMPTY },
    { "took_us", I64(took_us) },
    { "topology", PTR(topology, desc_topology), .flags = F_OMITEMPTY },
    { "whys", VEC(whys, n_whys, desc_why), .flags = F_OMITEMPTY },
};
/* clang-format on */
DESC(desc_fp, struct fp, fp_fields);
#undef T

struct fp *fp_new(const char *probe)
{
    struct fp *fp = xnew0(struct fp);

    fp->probe = xstrdup(probe);
    fp->ok = true;
    return fp;
}

struct fp *fp_free(struct fp *fp)
{
    if (fp)
        ops_clear(&desc_fp, fp);
    free(fp);
    return NULL;
}

void fp_set(struct fp *fp, const char *key, const char *value, const char *source)
{
    if (str_empty(value))
        return;
    strmap_set(&fp->attributes, key, value);
    if (!str_empty(source))
        strmap_set(&fp->sources, key, source);
}

void fp_setf(struct fp *fp, const char *key, const char *source, const char *fmt, ...)
{
    _cleanup_free_ char *value = NULL;
    va_list ap;

    va_start(ap, fmt);
    value = xvasprintf(fmt, ap);
    va_end(ap);
    fp_set(fp, key, value, source);
}

void fp_set_local(struct fp *fp, const char *key, const char *value, const char *source)
{
    if (str_empty(value))
        return;
    strmap_set(&fp->local, key, value);
    if (!str_empty(source))
        strmap_set(&fp->sources, key, source);
}

void fp_why(struct fp *fp, const char *id, const char *looked, enum why_result result,
            const char *found, const char *fix)
{
    why_add(&fp->whys, &fp->n_whys, id, looked, result, found, fix);
}

int fp_fail(struct fp *fp, int r, const char *fmt, ...)
{
    _cleanup_free_ char *what = NULL;
    va_list ap;

    va_start(ap, fmt);
    what = xvasprintf(fmt, ap);
    va_end(ap);
    fp->ok = false;
    free(fp->error);
    fp->error = xasprintf("%s: %s", what, strerror(-r));
    return r;
}

/* Both kinds of entry begin with char *key; vec_add puts the new one last, this moves it to its
 * place. */
#define SORT_LAST(v, n)                                                                            \
    for (size_t _i = (n)-1; _i > 0 && strcmp((v)[_i - 1].key, (v)[_i].key) > 0; _i--) {            \
        __typeof__(*(v)) _t = (v)[_i];                                                             \
        (v)[_i] = (v)[_i - 1];                                                                     \
        (v)[_i - 1] = _t;                                                                          \
    }

struct driver_info *fp_driver(struct fp *fp, const char *name)
{
    for (size_t i = 0; i < fp->n_drivers; i++)
        if (str_eq(fp->drivers[i].key, name))
            return &fp->drivers[i];
    vec_add(&fp->drivers, &fp->n_drivers)->key = xstrdup(name);
    SORT_LAST(fp->drivers, fp->n_drivers);
    return fp_driver(fp, name);
}

struct host_volume *fp_host_volume(struct fp *fp, const char *name)
{
    for (size_t i = 0; i < fp->n_host_volumes; i++)
        if (str_eq(fp->host_volumes[i].key, name))
            return &fp->host_volumes[i];
    vec_add(&fp->host_volumes, &fp->n_host_volumes)->key = xstrdup(name);
    SORT_LAST(fp->host_volumes, fp->n_host_volumes);
    return fp_host_volume(fp, name);
}

void fp_write_record(struct buf *b, const struct fp *fp)
{
    size_t at = b->len;
    uint32_t n;

    buf_add_be32(b, 0);
    mp_encode(b, &desc_fp, fp);
    if (b->failed)
        return;
    n = htonl((uint32_t)(b->len - at - RECORD_HEAD));
    memcpy(b->p + at, &n, sizeof(n));
}

int fp_read_record(const uint8_t *p, size_t n, struct fp **ret, size_t *ret_used, struct err *e)
{
    _cleanup_(fp_freep) struct fp *fp = NULL;
    uint32_t len;
    int r;

    if (n < RECORD_HEAD)
        return -EAGAIN;
    memcpy(&len, p, sizeof(len));
    len = ntohl(len);
    if (len > PROBE_RECORD_MAX)
        return err_set(e, -EMSGSIZE, "a record of %u bytes; at most %zu are allowed", (unsigned)len,
                       PROBE_RECORD_MAX);
    if (n - RECORD_HEAD < len)
        return -EAGAIN;
    fp = xnew0(struct fp);
    r = mp_decode(&desc_fp, p + RECORD_HEAD, len, fp, e);
    if (r < 0)
        return r == -EAGAIN ? -EBADMSG : r;
    if (str_empty(fp->probe))
        return err_set(e, -EBADMSG, "a record without the name of its probe");
    *ret = steal_ptr(&fp);
    *ret_used = RECORD_HEAD + len;
    return 0;
}
