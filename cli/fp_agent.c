#include "cli/fp_agent.h"

#include <string.h>

#include "base/str.h"
#include "cli/remote.h"
#include "codec/ops.h"

/* --- the answer --- */

struct seen_check {
    char *id, *looked, *result, *found, *fix;
};
#define T struct seen_check
static const struct field check_fields[] = {
    {"Fix",    STR(fix)   },
    {"Found",  STR(found) },
    {"ID",     STR(id)    },
    {"Looked", STR(looked)},
    {"Result", STR(result)},
};
static DESC(desc_check, T, check_fields);
#undef T

struct seen_probe {
    char *name, *class, *state, *reason;
    bool stale;
    int64_t took_us;
    int64_t *age_ms; /* NULL: no values */
    struct strmap attributes, local, links, sources;
    struct seen_check *checks;
    size_t n_checks;
    struct driver_info *drivers;
    size_t n_drivers;
    struct host_volume *volumes;
    size_t n_volumes;
};
#define T struct seen_probe
static const struct field probe_fields[] = {
    {"AgeMs",         OPT_I64(age_ms) },
    {"Attributes",    MAP(attributes) },
    {"Checks",        VEC(checks,       n_checks, desc_check)},
    {"Class",    STR(class)                   },
    {"Drivers",  MAPVEC(drivers,n_drivers, desc_driver_info)},
    {"HostVolumes",MAPVEC(volumes,         n_volumes, desc_host_volume)},
    {"Links",               MAP(links)                  },
    {"Local",      MAP(local)},
    {"Name",         STR(name)},
    {"Reason",         STR(reason)         },
    {"Sources",          MAP(sources)        },
    {"Stale",        BOOL(stale)    },
    {"State",       STR(state) },
    {"TookUs",         I64(took_us)      },
};
static DESC(desc_probe, T, probe_fields);
#undef T

#define T struct fp_beat
static const struct field beat_fields[] = {
    {"Due",    STR(due)    },
    {"LateMs", I64(late_ms)},
    {"Server", STR(server) },
    {"Steps",  STRVEC(steps, n_steps)},
    {"TookMs",        I64(took_ms)            },
};
static DESC(desc_beat, T, beat_fields);
#undef T

struct seen_fingerprint {
    struct fp_beat *beats;
    size_t n_beats;
    char *node_id;
    struct seen_probe *probes;
    size_t n_probes;
    char **flapping;
    size_t n_flapping;
};
#define T struct seen_fingerprint
static const struct field fingerprint_fields[] = {
    {"Beats",       VEC(beats,       n_beats,     desc_beat)},
    {"Flapping",    STRVEC(flapping, n_flapping)},
    {"NodeID", STR(node_id)               },
    {"Probes",  VEC(probes,                 n_probes,     desc_probe)          },
};
static DESC(desc_fingerprint, T, fingerprint_fields);
#undef T

/* --- the same as if it had been found here --- */

static enum probe_state state_of(const char *name)
{
    for (unsigned s = PROBE_NEVER; s <= PROBE_HUNG; s++)
        if (str_eq(probe_state_name((enum probe_state)s), name))
            return (enum probe_state)s;
    return PROBE_NEVER;
}

static enum why_result result_of(const char *name)
{
    for (unsigned r = 0; r < WHY_MAX; r++)
        if (str_eq(why_result_name(r), name))
            return (enum why_result)r;
    return WHY_SKIPPED;
}

static struct fp *move_result(struct seen_probe *p)
{
    struct fp *fp = fp_new(str_or_empty(p->name));

    fp->ok = true;
    fp->took_us = p->took_us;
    for (size_t i = 0; i < p->n_checks; i++) {
        const struct seen_check *c = &p->checks[i];

        why_add(&fp->whys, &fp->n_whys, str_or_empty(c->id), str_or_empty(c->looked),
                result_of(c->result), str_or_empty(c->found), str_or_empty(c->fix));
    }
    strmap_copy(&fp->attributes, &p->attributes);
    strmap_copy(&fp->local, &p->local);
    strmap_copy(&fp->links, &p->links);
    strmap_copy(&fp->sources, &p->sources);
    fp->drivers = steal_ptr(&p->drivers);
    fp->n_drivers = p->n_drivers;
    fp->host_volumes = steal_ptr(&p->volumes);
    fp->n_host_volumes = p->n_volumes;
    p->n_drivers = p->n_volumes = 0;
    return fp;
}

static struct probe_status move_probe(struct seen_probe *p, uint64_t now_ns)
{
    const char *name = xstrdup(str_or_empty(p->name));
    enum probe_class class = probe_class_parse(str_or_empty(p->class));
    const char *separator = class == PROBE_EACH ? strchr(name, PROBE_EACH_SEPARATOR) : NULL;
    uint64_t age_ns = p->age_ms && *p->age_ms > 0 ? (uint64_t)*p->age_ms * NSEC_PER_MSEC : 0;

    return (struct probe_status){
        .name = name,
        .volume = separator ? separator + 1 : NULL,
        .reason = xstrdup(str_or_empty(p->reason)),
        .class = class,
        .state = state_of(p->state),
        .stale = p->stale,
        .took_us = p->took_us,
        .fp_at_ns = now_ns > age_ns ? now_ns - age_ns : 0,
        .fp = p->age_ms ? move_result(p) : NULL,
    };
}

void fp_agent_done(struct fp_agent *a)
{
    for (size_t i = 0; i < a->n_probes; i++) {
        free((void *)(uintptr_t)a->probes[i].name);
        free((void *)(uintptr_t)a->probes[i].reason);
        (void)fp_free((struct fp *)(uintptr_t)a->probes[i].fp);
    }
    free(a->probes);
    free(a->node_id);
    strv_done(&a->flapping, &a->n_flapping);
    for (size_t i = 0; i < a->n_beats; i++)
        ops_clear(&desc_beat, &a->beats[i]);
    free(a->beats);
    *a = (struct fp_agent){0};
}

int fp_agent_get(struct client *c, uint64_t now_ns, struct fp_agent *ret, struct err *e)
{
    struct seen_fingerprint seen = {0};
    int r;

    r = remote_get(c, "/v1/agent/fingerprint", &desc_fingerprint, &seen, e);
    if (r < 0)
        return r;
    ret->probes = xnew0_n(struct probe_status, seen.n_probes);
    for (size_t i = 0; i < seen.n_probes; i++)
        ret->probes[ret->n_probes++] = move_probe(&seen.probes[i], now_ns);
    ret->node_id = steal_ptr(&seen.node_id);
    ret->flapping = steal_ptr(&seen.flapping);
    ret->n_flapping = seen.n_flapping;
    seen.n_flapping = 0;
    ret->beats = steal_ptr(&seen.beats);
    ret->n_beats = seen.n_beats;
    seen.n_beats = 0;
    ops_clear(&desc_fingerprint, &seen);
    return 0;
}
