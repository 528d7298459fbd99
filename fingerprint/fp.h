/* fingerprint/fp.h - what one probe found: attributes, links, resources, checks.
 *
 * Filled by a probe in the picket-probe process, sent as msgpack on its pipe (desc_fp), merged by
 * the agent.  Plain data.
 */
#pragma once

#include "base/err.h"
#include "model/node.h"
#include "model/why.h"

struct fp {
    char *probe;              /* name of the row that ran */
    bool ok;                  /* false: error says why there is no result */
    char *error;
    int64_t took_us;          /* wall time the probe needed */
    struct strmap attributes; /* for Node.Attributes */
    struct strmap local;      /* facts for the local API only (design decision 7) */
    struct strmap links;
    struct strmap sources;    /* attribute or fact name -> where it was read */
    struct why *whys;         /* named checks, in the order made */
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
