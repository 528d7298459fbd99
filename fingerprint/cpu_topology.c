#include <string.h>
#include <unistd.h>

#include "base/parse.h"
#include "base/str.h"
#include "base/vec.h"
#include "fingerprint/cpu.h"
#include "fingerprint/look.h"

enum { NODE_ID_MAX = UINT8_MAX }; /* a node's number is one byte on the wire */

struct core_ids {
    uint16_t *v; /* owned, ascending */
    size_t n;
};

static struct cpu_core *find_core(struct topology *t, uint64_t id)
{
    for (size_t i = 0; i < t->n_cores; i++)
        if (t->cores[i].id == id)
            return &t->cores[i];
    return NULL;
}

/* --- which cores --- */

/* the "processor : N" lines */
static void ids_from_cpuinfo(struct probe_ctx *ctx, struct core_ids *ids)
{
    _cleanup_free_ char *text = NULL;
    char **lines = NULL;
    size_t n = 0;

    if (look_text(ctx, &text, "/proc/cpuinfo") < 0)
        return;
    strv_split(text, "\n", &lines, &n);
    for (size_t i = 0; i < n; i++) {
        _cleanup_free_ char *value = look_field(lines[i], "processor");
        uint64_t id;

        if (value && parse_u64(value, &id) == 0 && id <= UINT16_MAX)
            *vec_add(&ids->v, &ids->n) = (uint16_t)id;
    }
    strv_done(&lines, &n);
}

static void read_core_ids(struct probe_ctx *ctx, struct fp *fp, struct core_ids *ids)
{
    const char *looked = "/sys/devices/system/cpu/online";
    int r = look_cpulist(ctx, &ids->v, &ids->n, "%s", looked);

    if (r == 0 && ids->n > 0)
        return;
    fp_why(fp, "cores", looked, WHY_SKIPPED, r < 0 ? strerror(-r) : "empty", "");
    ids_from_cpuinfo(ctx, ids);
    if (ids->n > 0) {
        fp_why(fp, "cores", "/proc/cpuinfo", WHY_OK, "one per processor line", "");
        return;
    }
    fp_why(fp, "cores", "/proc/cpuinfo", WHY_FAILED, "no processor line; one core is assumed", "");
    *vec_add(&ids->v, &ids->n) = 0;
}

/* --- NUMA nodes --- */

static void add_node_id(struct topology *t, uint8_t id)
{
    t->nodes.p = xrealloc(t->nodes.p, t->nodes.n + 1, 1);
    t->nodes.p[t->nodes.n++] = id;
}

static void read_node_cores(struct probe_ctx *ctx, struct topology *t, uint8_t node)
{
    struct core_ids ids = {0};

    if (look_cpulist(ctx, &ids.v, &ids.n, "/sys/devices/system/node/node%u/cpulist", node) == 0) {
        for (size_t i = 0; i < ids.n; i++) {
            struct cpu_core *c = find_core(t, ids.v[i]);

            if (c)
                c->node_id = node;
        }
    }
    free(ids.v);
}

/* a row of the distance matrix; what the kernel does not tell is 10 to itself and 20 to others */
static void add_distances(struct probe_ctx *ctx, struct topology *t, size_t at)
{
    struct int_row *row = vec_add(&t->distances, &t->n_distances);
    _cleanup_free_ char *line = NULL;
    char **words = NULL;
    size_t n = 0;
    uint64_t d;

    if (look_line(ctx, &line, "/sys/devices/system/node/node%u/distance", t->nodes.p[at]) == 0)
        strv_split(line, " \t", &words, &n);
    for (size_t i = 0; i < t->nodes.n; i++) {
        bool known = i < n && parse_u64(words[i], &d) == 0 && d <= UINT8_MAX;

        *vec_add(&row->v, &row->n) = known ? (int64_t)d : i == at ? 10 : 20;
    }
    strv_done(&words, &n);
}

static void read_nodes(struct probe_ctx *ctx, struct fp *fp, struct topology *t)
{
    const char *looked = "/sys/devices/system/node/online";
    struct core_ids ids = {0};
    int r = look_cpulist(ctx, &ids.v, &ids.n, "%s", looked);

    if (r < 0)
        fp_why(fp, "numa", looked, WHY_SKIPPED, strerror(-r), "");
    for (size_t i = 0; i < ids.n; i++) {
        if (ids.v[i] > NODE_ID_MAX) {
            fp_why(fp, "numa", looked, WHY_FAILED, "a node number above 255 cannot be told", "");
            continue;
        }
        add_node_id(t, (uint8_t)ids.v[i]);
        read_node_cores(ctx, t, (uint8_t)ids.v[i]);
    }
    if (t->nodes.n == 0)
        add_node_id(t, 0);
    for (size_t i = 0; i < t->nodes.n; i++)
        add_distances(ctx, t, i);
    free(ids.v);
}

/* --- sockets --- */

static void read_sockets(struct probe_ctx *ctx, struct topology *t)
{
    for (size_t i = 0; i < t->n_cores; i++) {
        uint64_t id;

        /* -1 where the firmware does not tell: stays 0 */
        if (look_u64(ctx, &id, "/sys/devices/system/cpu/cpu%u/topology/physical_package_id",
                     (unsigned)t->cores[i].id) == 0 &&
            id <= UINT8_MAX)
            t->cores[i].socket_id = id;
    }
}

/* --- grades --- */

/* Intel hybrids: the kernel has one counter unit for each kind of core */
static bool grade_by_pmu(struct probe_ctx *ctx, struct fp *fp, struct topology *t)
{
    static const char *const small[] = {"cpu_atom", "cpu_lowpower"};
    struct core_ids big = {0};
    bool found = false;

    if (look_cpulist(ctx, &big.v, &big.n, "/sys/devices/cpu_core/cpus") < 0 || big.n == 0)
        return false;
    free(big.v);
    for (size_t k = 0; k < ARRAY_LEN(small); k++) {
        struct core_ids ids = {0};

        if (look_cpulist(ctx, &ids.v, &ids.n, "/sys/devices/%s/cpus", small[k]) < 0)
            continue;
        for (size_t i = 0; i < ids.n; i++) {
            struct cpu_core *c = find_core(t, ids.v[i]);

            if (c) {
                c->grade = false;
                found = true;
            }
        }
        free(ids.v);
    }
    if (found)
        fp_why(fp, "grade", "/sys/devices/cpu_core, cpu_atom", WHY_OK, "hybrid", "");
    return found;
}

/* Others (big.LITTLE): a core with less than two thirds of the largest capacity is a small one. */
static void grade_by_capacity(struct probe_ctx *ctx, struct fp *fp, struct topology *t)
{
    _cleanup_free_ uint64_t *capacity = xnew0_n(uint64_t, t->n_cores);
    uint64_t largest = 0;
    bool found = false;

    for (size_t i = 0; i < t->n_cores; i++) {
        if (look_u64(ctx, &capacity[i], "/sys/devices/system/cpu/cpu%u/cpu_capacity",
                     (unsigned)t->cores[i].id) < 0)
            return;
        largest = MAX(largest, capacity[i]);
    }
    for (size_t i = 0; i < t->n_cores && largest <= UINT32_MAX; i++) {
        t->cores[i].grade = capacity[i] * 3 >= largest * 2;
        found = found || !t->cores[i].grade;
    }
    if (found)
        fp_why(fp, "grade", "cpu_capacity", WHY_OK, "cores of different size", "");
}

/* --- devices --- */

/* Which NUMA node each PCI device hangs on; kernels tell -1 where there is only one. */
static void read_bus(struct probe_ctx *ctx, struct topology *t)
{
    _cleanup_free_ char *path = look_path(ctx, "/sys/bus/pci/devices");
    struct strmap found = {0};

    look_folder(path, &found);
    for (size_t i = 0; i < found.n; i++) {
        uint64_t node;
        struct i64pair *p;

        if (look_u64(ctx, &node, "/sys/bus/pci/devices/%s/numa_node", found.items[i].key) < 0 ||
            node > NODE_ID_MAX)
            continue;
        p = vec_add(&t->bus_associativity.items, &t->bus_associativity.n);
        p->key = xstrdup(found.items[i].key);
        p->value = (int64_t)node;
    }
    strmap_done(&found);
}

void cpu_topology_read(struct probe_ctx *ctx, struct fp *fp, struct topology *t)
{
    struct core_ids ids = {0};

    read_core_ids(ctx, fp, &ids);
    for (size_t i = 0; i < ids.n; i++)
        *vec_add(&t->cores, &t->n_cores) = (struct cpu_core){.id = ids.v[i], .grade = true};
    free(ids.v);
    read_nodes(ctx, fp, t);
    read_sockets(ctx, t);
    if (!grade_by_pmu(ctx, fp, t))
        grade_by_capacity(ctx, fp, t);
    read_bus(ctx, t);
}
