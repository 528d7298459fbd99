#include "sim/options.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/parse.h"
#include "base/str.h"
#include "sim/ident.h"

#define O struct sim_options

enum option_kind { OPT_FLAG, OPT_TEXT, OPT_NUMBER, OPT_TIME, OPT_RATE, OPT_LEVEL };

/* in the order of the usage text */
static const struct option {
    const char *name;
    enum option_kind kind;
    size_t off;
    const char *value; /* its name in the usage text */
    const char *text;
} options[] = {
  /* clang-format off */
    {"server", OPT_TEXT, offsetof(O, server), "address",
     "Servers to register with, ip[:port], several with commas. Default: 127.0.0.1:4647"},
    {"agents", OPT_NUMBER, offsetof(O, agents), "n", "So many agents join at the start; the same as the step \"0s join n\"."},
    {"over", OPT_TIME, offsetof(O, over_ns), "time", "They join evenly spread over so long. Default: as fast as it goes"},
    {"script", OPT_TEXT, offsetof(O, script), "file", "Steps of a scenario, one a line; - is the standard input, whose end is the end of the run."},
    {"for", OPT_TIME, offsetof(O, for_ns), "time", "End after so long. Default: at the step \"end\", or when interrupted"},
    {"profile", OPT_TEXT, offsetof(O, profile), "mix", "What the hosts are like: docker=3,vm=1. Names with a slash are files. Default: every profile alike"},
    {"profiles", OPT_TEXT, offsetof(O, profiles), "folder", "Where profiles are. Default: those that came with the program"},
    {"seed", OPT_NUMBER, offsetof(O, seed), "n", "Ids and secrets follow from it: the same seed is the same fleet. Default: 1"},
    {"name", OPT_TEXT, offsetof(O, name), "prefix", "Names of the nodes: prefix-00000 and so on. Default: sim"},
    {"source", OPT_TEXT, offsetof(O, source), "cidr", "Each agent connects from an address of its own in this range, or none. Default: 127.64.0.0/10 for servers on loopback, else none"},
    {"region", OPT_TEXT, offsetof(O, region), "name", "Default: global"},
    {"dc", OPT_TEXT, offsetof(O, datacenter), "name", "Datacenter of all nodes. Default: the profile's"},
    {"events", OPT_RATE, offsetof(O, events), "n", "Node events of each agent in an hour. Default: 1"},
    {"changes", OPT_RATE, offsetof(O, changes), "n", "How often in an hour a fact of each host changes, so that it registers again. Default: 0.2"},
    {"eligible", OPT_FLAG, offsetof(O, eligible), NULL, "Nodes are eligible for scheduling. What is placed on them never runs. Default: ineligible"},
    {"dev", OPT_FLAG, offsetof(O, dev), NULL, "Every retry after 1 to 2 seconds, as agents in dev mode."},
    {"expect", OPT_TEXT, offsetof(O, expect), "list", "Exit status 1 unless all of it holds at the end: ready=100,errors=0,late<=5. Operators: = < <= > >=; names: those of the JSON states, agents, errors, lost_calls, late, missed, connects, reconnects, refused, cut_by_server, and count, p99_ms, max_ms of register, beat, allocs, wait, events (beat.p99_ms)"},
    {"json", OPT_FLAG, offsetof(O, json), NULL, "The summary as one line of JSON."},
    {"q", OPT_FLAG, offsetof(O, quiet), NULL, "No line each second on standard error."},
    {"log-level", OPT_LEVEL, offsetof(O, log_level), "level", "Default: WARN"},
  /* clang-format on */
};

static int set_value(const struct option *o, const char *value, O *ret, struct err *e)
{
    void *at = (char *)ret + o->off;
    int64_t ns;
    int r = 0;

    switch (o->kind) {
    case OPT_FLAG:
        r = parse_bool(value, at);
        break;
    case OPT_TEXT:
        *(const char **)at = value;
        r = *value ? 0 : -EINVAL;
        break;
    case OPT_NUMBER:
        r = parse_u64(value, at);
        break;
    case OPT_TIME:
        r = parse_duration(value, &ns);
        if (r == 0 && ns < 0)
            r = -EINVAL;
        if (r == 0)
            *(uint64_t *)at = (uint64_t)ns;
        break;
    case OPT_RATE:
        r = parse_f64(value, at);
        if (r == 0 && (*(double *)at < 0 || *(double *)at > 3600))
            r = -EINVAL;
        break;
    case OPT_LEVEL:
        r = log_level_parse(value, at);
        break;
    }
    return r < 0 ? err_set(e, -EINVAL, "invalid value \"%s\" for flag -%s", value, o->name) : 0;
}

static const struct option *find(const char *name, size_t n)
{
    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        if (strlen(options[i].name) == n && strncmp(options[i].name, name, n) == 0)
            return &options[i];
    return NULL;
}

/* one flag at argv[*i]; moves *i over its value */
static int parse_flag(int argc, const char *const *argv, int *i, O *ret, struct err *e)
{
    const char *name = argv[*i] + (str_starts(argv[*i], "--") ? 2 : 1), *value;
    size_t n = strcspn(name, "=");
    const struct option *o = find(name, n);

    if (!o)
        return err_set(e, -EINVAL, "flag provided but not defined: -%.*s", (int)n, name);
    if (name[n] == '=')
        value = name + n + 1;
    else if (o->kind == OPT_FLAG)
        value = "true";
    else if (*i + 1 < argc)
        value = argv[++*i];
    else
        return err_set(e, -EINVAL, "flag needs an argument: -%s", o->name);
    return set_value(o, value, ret, e);
}

static int check(const O *o, struct err *e)
{
    if (o->agents > SIM_AGENTS_MAX)
        return err_set(e, -EINVAL, "-agents: %d at most", SIM_AGENTS_MAX);
    if (strlen(o->name) > IDENT_PREFIX_MAX)
        return err_set(e, -EINVAL, "-name: %d bytes at most", IDENT_PREFIX_MAX);
    if (o->agents == 0 && !o->script)
        return err_set(e, -EINVAL, "nothing is to happen: -agents or -script is missing");
    return 0;
}

int sim_options_parse(int argc, const char *const *argv, struct sim_options *ret, struct err *e)
{
    O o = {.server = "127.0.0.1:4647",
           .region = "global",
           .name = "sim",
           .seed = 1,
           .events = 1,
           .changes = 0.2,
           .log_level = LOG_LEVEL_WARN};
    int r = 0;

    if (argc == 3 && str_eq(argv[1], "profile")) {
        o.record = argv[2];
        *ret = o;
        return SIM_OPTIONS_RUN;
    }
    for (int i = 1; r == 0 && i < argc; i++) {
        if (str_eq(argv[i], "-help") || str_eq(argv[i], "--help") || str_eq(argv[i], "-h"))
            return SIM_OPTIONS_HELP;
        if (str_eq(argv[i], "-version") || str_eq(argv[i], "--version"))
            return SIM_OPTIONS_VERSION;
        if (argv[i][0] != '-' || !argv[i][1])
            r = err_set(e, -EINVAL, "unexpected argument \"%s\"", argv[i]);
        else
            r = parse_flag(argc, argv, &i, &o, e);
    }
    if (r == 0)
        r = check(&o, e);
    if (r == 0)
        *ret = o;
    return r;
}

/* words of a text in lines of 72 behind six blanks */
static void put_wrapped(struct buf *b, const char *text)
{
    size_t column = 0;

    while (*text) {
        size_t n = strcspn(text, " ");

        if (column && column + 1 + n > 72) {
            buf_add_str(b, "\n");
            column = 0;
        }
        buf_add_str(b, column ? " " : "      ");
        buf_add(b, text, n);
        column += n + (column > 0);
        text += n + (text[n] == ' ');
    }
    buf_add_str(b, "\n");
}

char *sim_options_usage(void)
{
    struct buf b = BUF_INIT(SIM_TEXT_MAX);
    size_t n;

    buf_add_str(&b, "Usage: picket-sim [options]\n"
                    "       picket-sim profile FILE|-\n\n"
                    "  A fleet of simulated agents for any server that speaks Nomad's\n"
                    "  protocol, or a profile from the JSON of a node, which\n"
                    "  \"nomad node status -json ID\" prints.\n\n"
                    "Options:\n");
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        const struct option *o = &options[i];

        buf_printf(&b, o->value ? "\n  -%s=<%s>\n" : "\n  -%s\n", o->name, o->value);
        put_wrapped(&b, o->text);
    }
    return (char *)buf_take(&b, &n);
}
