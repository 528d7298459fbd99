/* picket node config (fact: http-api.md section 10, agent/servers). */
#include <stdio.h>

#include "base/limits.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/remote.h"

struct config_opts {
    bool servers, update_servers;
};

static int usage(const char *text)
{
    (void)fprintf(stderr, "%s\nFor additional help try 'picket node config -help'\n", text);
    return EXIT_ERROR;
}

static int update(struct client *c, const struct invocation *in)
{
    struct client_reply reply _cleanup_client_reply_ = {0};
    struct buf target _cleanup_buf_ = BUF_INIT(HTTP_HEAD_MAX);
    struct err e = {0};

    buf_add_str(&target, "/v1/agent/servers");
    for (size_t i = 0; i < in->n_args; i++) {
        buf_add_str(&target, i ? "&address=" : "?address=");
        client_escape(&target, in->args[i]);
    }
    if (client_send(c, "PUT", buf_str(&target), NULL, 0, &reply, &e) < 0) {
        (void)fprintf(stderr, "Error updating server list: %s\n", e.text);
        return EXIT_ERROR;
    }
    (void)puts("Updated server list");
    return EXIT_DONE;
}

static int list(struct client *c)
{
    struct err e = {0};
    char **v = NULL;
    size_t n = 0;

    if (remote_strings(c, "/v1/agent/servers", &v, &n, &e) < 0) {
        (void)fprintf(stderr, "Error querying server list: %s\n", e.text);
        return EXIT_ERROR;
    }
    for (size_t i = 0; i < n; i++)
        (void)puts(v[i]);
    strv_done(&v, &n);
    return EXIT_DONE;
}

static int run(struct invocation *in)
{
    const struct config_opts *o = in->opts;
    _cleanup_(client_freep) struct client *c = NULL;

    if (!o->servers && !o->update_servers)
        return usage("The '-servers' or '-update-servers' flag(s) must be set");
    if (o->update_servers && in->n_args == 0)
        return usage("If the '-update-servers' flag is set, at least one server argument must be "
                     "provided");
    c = remote_open(&in->meta);
    if (!c)
        return EXIT_ERROR;
    return o->update_servers ? update(c, in) : list(c);
}

static const struct flag config_flags[] = {
    {"servers",        FLAG_BOOL, offsetof(struct config_opts, servers),        NULL,
     "List the servers that the agent knows."                      },
    {"update-servers", FLAG_BOOL, offsetof(struct config_opts, update_servers), NULL,
     "Use the servers that are given as arguments, and only those."},
};

const struct command command_node_config = {
    .path = "node config",
    .summary = "Show or change an agent's servers",
    .synopsis = "[options] [<server>...]",
    .text = "  Lists the servers of the agent at the address, or gives it others until a server\n"
            "  names more or the agent starts again.",
    .flags = config_flags,
    .n_flags = ARRAY_LEN(config_flags),
    .opts_size = sizeof(struct config_opts),
    .remote = true,
    .run = run,
};
