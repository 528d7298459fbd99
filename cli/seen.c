#include "cli/seen.h"

#define T struct seen_client_stats
static const struct field client_stats_fields[] = {
    {"node_id", STR(node_id)}
};
static DESC(desc_client_stats, T, client_stats_fields);
#undef T

#define T struct seen_stats
static const struct field stats_fields[] = {
    {"client", PTR(client, desc_client_stats)}
};
static DESC(desc_stats, T, stats_fields);
#undef T

#define T struct seen_self
static const struct field self_fields[] = {
    {"stats", STRUCT(stats, desc_stats)}
};
DESC(desc_seen_self, T, self_fields);
#undef T

/* The structs without a name have one number each. */
struct one_number {
    int64_t v;
};
#define T struct one_number
static const struct field cpu_fields[] = {
    {"CpuShares", I64(v)}
};
static const struct field memory_fields[] = {
    {"MemoryMB", I64(v)}
};
static const struct field shared_fields[] = {
    {"DiskMB", I64(v)}
};
static const struct field version_fields[] = {
    {"Version", I64(v)}
};
static DESC(desc_cpu, T, cpu_fields);
static DESC(desc_memory, T, memory_fields);
static DESC(desc_shared, T, shared_fields);
static DESC(desc_job, T, version_fields);
#undef T

#define T struct seen_task
static const struct field task_fields[] = {
    {"Cpu",    STRUCT(cpu,    desc_cpu)   },
    {"Memory", STRUCT(memory, desc_memory)},
};
static DESC(desc_task, T, task_fields);
#undef T

#define T struct seen_resources
static const struct field resources_fields[] = {
    {"Shared",      STRUCT(shared, desc_shared)},
    { "Tasks", MAPVEC(tasks,       n_tasks,   desc_task)},
};
static DESC(desc_resources, T, resources_fields);
#undef T

#define T struct seen_alloc
static const struct field alloc_fields[] = {
    {"AllocatedResources", PTR(allocated_resources, desc_resources)},
    {"ClientStatus",                    STR(client_status)                             },
    {"CreateTime",                    I64(create_time)  },
    {"DesiredStatus",                    STR(desired_status)                          },
    {"EvalID",                    STR(eval_id)         },
    {"ID",                    STR(id)                              },
    {"Job",                    STRUCT(job,         desc_job)},
    {"ModifyTime",           I64(modify_time)                         },
    {"NodeID",STR(node_id)},
    {"TaskGroup",               STR(task_group)                                              },
};
DESC(desc_seen_alloc, T, alloc_fields);
#undef T

struct ticks {
    double total;
};
#define T struct ticks
static const struct field ticks_fields[] = {
    {"TotalTicks", F64(total)}
};
static DESC(desc_ticks, T, ticks_fields);
#undef T

struct memory_use {
    uint64_t rss, usage;
};
#define T struct memory_use
static const struct field memory_use_fields[] = {
    {"RSS",   U64(rss)  },
    {"Usage", U64(usage)}
};
static DESC(desc_memory_use, T, memory_use_fields);
#undef T

struct resource_use {
    struct ticks cpu;
    struct memory_use memory;
};
#define T struct resource_use
static const struct field resource_use_fields[] = {
    {"CpuStats",    STRUCT(cpu,    desc_ticks)     },
    {"MemoryStats", STRUCT(memory, desc_memory_use)},
};
static DESC(desc_resource_use, T, resource_use_fields);
#undef T

#define T struct seen_usage
static const struct field usage_fields[] = {
    {"ResourceUsage", STRUCT(used, desc_resource_use)}
};
DESC(desc_seen_usage, T, usage_fields);
#undef T
