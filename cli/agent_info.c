/* picket agent-info (fact: http-api.md section 10, agent/self). */
#include <stdio.h>

#include "base/limits.h"
#include "cli/commands.h"
#include "cli/remote.h"
#include "codec/ops.h"

struct info_opts {
    bool json;
};

/* what agents of either kind count, by name; nil when they do not */
struct stats {
    struct strmap client, nomad, picket, raft, runtime, serf, vault;
};
#define T struct stats
static const struct field stats_fields[] = {
    {"client",  MAP(client) },
    {"nomad",   MAP(nomad)  },
    {"picket",  MAP(picket) },
    {"raft",    MAP(raft)   },
    {"runtime", MAP(runtime)},
    {"serf",    MAP(serf)   },
    {"vault",   MAP(vault)  },
};
static DESC(desc_stats, T, stats_fields);
#undef T

struct info {
    struct stats stats;
};
#define T struct info
static const struct field info_fields[] = {
    {"stats", STRUCT(stats, desc_stats)},
};
static DESC(desc_info, T, info_fields);
#undef T

/* control characters of a peer's text must not reach the terminal */
static void add_text(struct buf *out, const char *s)
{
    for (; *s; s++)
        buf_add_byte(out, (uint8_t)((unsigned char)*s < ' ' || *s == 0x7f ? ' ' : *s));
}

static void show(const struct stats *stats, struct buf *out)
{
    for (size_t i = 0; i < ARRAY_LEN(stats_fields); i++) {
        const struct strmap *m = field_at(&stats_fields[i], stats);

        if (!m->items)
            continue;
        buf_printf(out, "%s\n", stats_fields[i].name);
        for (size_t k = 0; k < m->n; k++) {
            buf_add_str(out, "  ");
            add_text(out, m->items[k].key);
            buf_add_str(out, " = ");
            add_text(out, m->items[k].value);
            buf_add_byte(out, '\n');
        }
    }
}

static int query(struct client *c, const struct info_opts *o, struct err *e)
{
    struct buf out _cleanup_buf_ = BUF_INIT(HTTP_REPLY_MAX);
    struct info info = {0};
    int r;

    if (o->json)
        return remote_print(c, "/v1/agent/self", e);
    r = remote_get(c, "/v1/agent/self", &desc_info, &info, e);
    if (r < 0)
        return r;
    show(&info.stats, &out);
    (void)fwrite(buf_str(&out), 1, out.len, stdout);
    ops_clear(&desc_info, &info);
    return 0;
}

static int run(struct invocation *in)
{
    _cleanup_(client_freep) struct client *c = NULL;
    struct err e = {0};

    if (in->n_args > 0) {
        (void)fputs("This command takes no arguments\n"
                    "For additional help try 'picket agent-info -help'\n",
                    stderr);
        return EXIT_ERROR;
    }
    c = remote_open(&in->meta);
    if (!c)
        return EXIT_ERROR;
    if (query(c, in->opts, &e) < 0) {
        (void)fprintf(stderr, "Error querying agent info: failed querying self endpoint: %s\n",
                      e.text);
        return EXIT_ERROR;
    }
    return EXIT_DONE;
}

static const struct flag info_flags[] = {
    {"json", FLAG_BOOL, offsetof(struct info_opts, json), NULL,
     "Print the whole answer as JSON, with the configuration in force."},
};

const struct command command_agent_info = {
    .path = "agent-info",
    .summary = "Show what an agent says about itself",
    .synopsis = "[options]",
    .text = "  Shows the state of the agent at the address: its servers, its last heartbeat.",
    .flags = info_flags,
    .n_flags = ARRAY_LEN(info_flags),
    .opts_size = sizeof(struct info_opts),
    .remote = true,
    .run = run,
};
