/* fingerprint/probe.h - what a probe is, and the table of them.
 *
 * A probe reads the host through its ctx (ctx->root lets tests point it at a fixture tree), writes
 * only into the fp, keeps no state and knows neither agent nor loop.  It runs in a picket-probe
 * process, so it may block: the parent has the deadline.
 */
#pragma once

#include "fingerprint/fp.h"

struct probe_volume {
    char *name;
    char *path;
    bool read_only;
};
extern const struct desc desc_probe_volume;

struct probe_host_network {
    char *name;
    char *cidr;
    char *interface;
    char *reserved_ports;
};
extern const struct desc desc_probe_host_network;

/* the part of the client configuration that probes need; travels to picket-probe as msgpack on its
 * stdin (desc_probe_conf) */
struct probe_conf {
    char *alloc_dir;           /* storage is measured there */
    char *network_interface;   /* "" = the default route's */
    int64_t network_speed;     /* Mbit/s, 0 = detect */
    int64_t cpu_total_compute; /* MHz, 0 = detect */
    int64_t memory_total_mb;   /* 0 = detect */
    int64_t disk_total_mb;     /* 0 = detect */
    char *reservable_cores;    /* cpulist */
    char *reserved_cores;
    int64_t reserved_cpu_mhz;
    char *preferred_address_family;
    char *http_addr;     /* advertised */
    char *nomad_version; /* advertised as nomad.version */
    char *picket_version;
    bool service_discovery;
    struct strmap options; /* client.options */
    struct strmap plugins; /* plugin name -> its config as JSON text */
    struct probe_volume *volumes;
    size_t n_volumes;
    struct probe_host_network *host_networks;
    size_t n_host_networks;
};
extern const struct desc desc_probe_conf;

struct probe_ctx {
    const char *root; /* "" = the real file system; else a fixture tree with proc/ sys/ etc/ */
    const struct probe_conf *conf;
    unsigned euid;      /* whose rights count */
    bool trace;         /* probe_step() writes to stderr */
    const char *volume; /* PROBE_EACH: the host volume that is asked about; NULL = all of them */
};

enum probe_class {
    PROBE_FAST, /* reads /proc and /sys: all of them share one child */
    PROBE_SLOW, /* talks to a daemon or a file system that may hang: a child of its own */
    PROBE_EACH, /* may hang too, on each host volume by itself: a row for each, see fingerprint/run
                 */
};

/* Ceilings of a row that names none.  picket-probe gets along with 8 MB; the rest is room for what
 * the C library loads behind our back (name services, locales). */
enum { PROBE_MEMORY_MB = 128, PROBE_OUTPUT_KB = 2048 };

struct probe {
    const char *name;
    const char *summary; /* one line of help */
    enum probe_class class;
    unsigned deadline_ms;
    unsigned period_sec; /* 0 = once and on reload */
    unsigned memory_mb;  /* address space it may use; 0 = PROBE_MEMORY_MB */
    unsigned output_kb;  /* all that it may write; 0 = PROBE_OUTPUT_KB */
    uint64_t caps;       /* PROBE_CAP() bits it needs; every other capability is dropped */
    int (*run)(struct probe_ctx *ctx, struct fp *fp); /* 0, or what fp_fail() returned */
};

#define PROBE_CAP(cap) (UINT64_C(1) << (cap))

/* host probes, in the order they are merged */
extern const struct probe *const probes[];
extern const size_t n_probes;

/* "fast", "slow", "each"; of another word PROBE_SLOW */
const char *probe_class_name(enum probe_class c);
enum probe_class probe_class_parse(const char *name);
/* what stands between the name of a PROBE_EACH row and that of a volume */
#define PROBE_EACH_SEPARATOR ':'

/* Says what is done next that may take long or hang, so that the parent can tell. */
void probe_step(const struct probe_ctx *ctx, const char *fmt, ...) _printf_(2, 3);
/* Whether the lists <kind>.allowlist and <kind>.denylist of the options (or their old names
 * whitelist, blacklist) keep name from running; kind is "fingerprint" or "driver".  NULL when not,
 * else which option says so, owned by the caller (fact: fingerprints 1.2). */
char *probe_denied_by(const struct probe_conf *conf, const char *kind, const char *name);
/* fills the empty fields that have a default */
void probe_conf_defaults(struct probe_conf *conf);
/* ParseBool of an option; false when it is missing or not a boolean */
bool probe_option_bool(const struct probe_conf *conf, const char *name);
/* address space for a picket-probe that may use so much; 0 (no limit) in builds with sanitizers,
 * which need more of it than there is memory */
size_t probe_memory_max(size_t mb);
