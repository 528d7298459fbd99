/* fingerprint/fp.h - what one probe found: attributes, links, resources, checks.
 *
 * Filled by a probe in the picket-probe process, sent as msgpack on its pipe (desc_fp), merged by
 * the agent.  Plain data.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "model/node.h"
#include "model/why.h"

struct fp {
    char *probe; /* name of the row that ran */
    bool ok;     /* false: error says why there is no result */
    char *error;
    int64_t took_us;          /* wall time the probe needed */
    struct strmap attributes; /* for Node.Attributes */
    struct strmap local;      /* facts for the local API only (design decision 7) */
    struct strmap links;
    struct strmap sources; /* attribute or fact name -> where it was read */
    struct why *whys;      /* named checks, in the order made */
    size_t n_whys;
    /* parts of NodeResources; absent = not this probe's */
    struct node_cpu *cpu;
    struct topology *topology;
    struct node_memory *memory;
    struct node_disk *disk;
    struct network_resource *networks;
    size_t n_networks;
    struct node_network_resource *node_networks;
    size_t n_node_networks;
    struct driver_info *drivers; /* of driver probes */
    size_t n_drivers;
    struct host_volume *host_volumes;
    size_t n_host_volumes;
    struct node_device *devices;
    size_t n_devices;
};
extern const struct desc desc_fp;

struct fp *fp_new(const char *probe);
struct fp *fp_free(struct fp *fp);
DEFINE_CLEANUP(struct fp, fp_free)

/* attribute with its source; an empty value is not set */
void fp_set(struct fp *fp, const char *key, const char *value, const char *source);
void fp_setf(struct fp *fp, const char *key, const char *source, const char *fmt, ...)
    _printf_(4, 5);
/* fact for the local API */
void fp_set_local(struct fp *fp, const char *key, const char *value, const char *source);
/* a named check */
void fp_why(struct fp *fp, const char *id, const char *looked, enum why_result result,
            const char *found, const char *fix);
/* the probe failed as a whole: ok = false, "what: strerror"; returns r */
int fp_fail(struct fp *fp, int r, const char *fmt, ...) _printf_(3, 4);
/* the entry of a driver or volume, made when missing, kept in key order; borrowed until the next */
struct driver_info *fp_driver(struct fp *fp, const char *name);
struct host_volume *fp_host_volume(struct fp *fp, const char *name);

/* On the pipe a result is a u32 length in network order and so many bytes of msgpack. */
void fp_write_record(struct buf *b, const struct fp *fp);
/* Takes the first record from p.  0 and its length on the pipe; -EAGAIN when more bytes are needed;
 * -EMSGSIZE when it claims more than PROBE_RECORD_MAX; -EBADMSG.  The result is the caller's. */
int fp_read_record(const uint8_t *p, size_t n, struct fp **ret, size_t *ret_used,
                   struct err *e) _must_check_;
