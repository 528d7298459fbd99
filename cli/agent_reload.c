/* picket agent reload: the agent on this host reads its configuration again.  Asked over its unix
 * socket, because who may is decided by the user id. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/remote.h"
#include "codec/js.h"
#include "codec/ops.h"

#define SERVICE_SOCKET "/run/picketd/agent.sock"

struct reload_opts {
    const char *data_dir;
    bool json;
};

/* the answer of PUT /v1/agent/reload */
struct reloaded {
    char **applied, **needs_restart, **warnings, **errors;
    size_t n_applied, n_needs_restart, n_warnings, n_errors;
};
#define T struct reloaded
static const struct field reloaded_fields[] = {
    {"Applied",      STRVEC(applied,       n_applied)      },
    {"Errors",       STRVEC(errors,        n_errors)       },
    {"NeedsRestart", STRVEC(needs_restart, n_needs_restart)},
    {"Warnings",     STRVEC(warnings,      n_warnings)     },
};
static DESC(desc_reloaded, T, reloaded_fields);
#undef T

/* Where the agent listens: as told, in the data folder that was named, in the service's runtime
 * folder.  NULL: nowhere that we know. */
static char *find_address(const struct invocation *in)
{
    const struct reload_opts *o = in->opts;
    const char *runtime = str_or_empty(getenv("RUNTIME_DIRECTORY"));

    if (in->meta.address_given || str_starts(in->meta.address, "unix://"))
        return xstrdup(in->meta.address);
    if (!str_empty(o->data_dir))
        return xasprintf("unix://%s/agent.sock", o->data_dir);
    if (*runtime)
        return xasprintf("unix://%.*s/agent.sock", (int)strcspn(runtime, ":"), runtime);
    return access(SERVICE_SOCKET, F_OK) == 0 ? xstrdup("unix://" SERVICE_SOCKET) : NULL;
}

static void list_keys(const char *heading, char *const *v, size_t n)
{
    if (n > 0)
        (void)printf("%s\n", heading);
    for (size_t i = 0; i < n; i++)
        (void)printf("  %s\n", v[i]);
}

static int tell(const struct reloaded *r)
{
    for (size_t i = 0; i < r->n_errors; i++)
        (void)fprintf(stderr, "%s\n", r->errors[i]);
    for (size_t i = 0; i < r->n_warnings; i++)
        (void)fprintf(stderr, "WARNING: %s\n", r->warnings[i]);
    if (r->n_errors > 0) {
        (void)fputs("Configuration not reloaded, the old one stays in force\n", stderr);
        return EXIT_ERROR;
    }
    (void)printf("Configuration reloaded%s\n",
                 r->n_applied + r->n_needs_restart > 0 ? "" : ", nothing has changed");
    list_keys("Applied:", r->applied, r->n_applied);
    list_keys("Needs a restart:", r->needs_restart, r->n_needs_restart);
    return EXIT_DONE;
}

static int show(const struct client_reply *reply, bool json, struct err *e)
{
    struct buf pretty _cleanup_buf_ = BUF_INIT(4 * HTTP_REPLY_MAX);
    struct reloaded r = {0};
    int code;

    if (reply->body.len == 0) { /* Nomad's own agents say no more than that */
        (void)puts("Configuration reloaded");
        return EXIT_DONE;
    }
    if (js_decode(&desc_reloaded, buf_str(&reply->body), reply->body.len, &r, e) < 0) {
        ops_clear(&desc_reloaded, &r);
        return err_wrap(e, -EPROTO, "cannot read the answer");
    }
    code = r.n_errors > 0 ? EXIT_ERROR : EXIT_DONE;
    if (json) {
        js_pretty(&pretty, buf_str(&reply->body), reply->body.len);
        (void)fwrite(buf_str(&pretty), 1, pretty.len, stdout);
    } else {
        code = tell(&r);
    }
    ops_clear(&desc_reloaded, &r);
    return code;
}

/* exit code, or negative with the text */
static int reload(struct client *c, bool json, struct err *e)
{
    struct client_reply reply _cleanup_client_reply_ = {0};
    int r = client_call(c, "PUT", "/v1/agent/reload", NULL, 0, &reply, e);

    if (r < 0)
        return r;
    if (reply.status == 403)
        return err_set(e, -EPERM,
                       "%s: only root and the user that the agent runs as may do that, and only "
                       "over the agent's unix socket",
                       buf_str(&reply.body));
    if (reply.status != 200 && !str_starts(buf_str(&reply.body), "{"))
        return err_set(e, -EPROTO, "Unexpected response code: %d (%s)", reply.status,
                       buf_str(&reply.body));
    return show(&reply, json, e);
}

static int run(struct invocation *in)
{
    const struct reload_opts *o = in->opts;
    _cleanup_free_ char *address = find_address(in);
    _cleanup_(client_freep) struct client *c = NULL;
    struct err e = {0};
    int r;

    if (in->n_args > 0) {
        (void)fputs("This command takes no arguments\n"
                    "For additional help try 'picket agent reload -help'\n",
                    stderr);
        return EXIT_ERROR;
    }
    if (!address) {
        (void)fputs("Error reloading the agent: there is no socket " SERVICE_SOCKET
                    "; say where the agent is by -data-dir=<path> or -address=unix:///<path>\n",
                    stderr);
        return EXIT_ERROR;
    }
    in->meta.address = address;
    c = remote_open(&in->meta);
    if (!c)
        return EXIT_ERROR;
    r = reload(c, o->json, &e);
    if (r < 0)
        (void)fprintf(stderr, "Error reloading the agent: %s\n", e.text);
    return r < 0 ? EXIT_ERROR : r;
}

static const struct flag reload_flags[] = {
    {"data-dir", FLAG_STR,  offsetof(struct reload_opts, data_dir), "<path>",
     "The agent's data_dir, where its socket is when it is not a service."                               },
    {"json",     FLAG_BOOL, offsetof(struct reload_opts, json),     NULL,     "Print the answer as JSON."},
};

const struct command command_agent_reload = {
    .path = "agent reload",
    .summary = "Read the agent's configuration again",
    .synopsis = "[options]",
    .text =
        "  The agent on this host reads its configuration files again, as on SIGHUP. When they\n"
        "  are valid, what a running agent can take over is applied, and what needs a restart\n"
        "  is named; else nothing changes and every error is shown. Asked over the agent's\n"
        "  unix socket, " SERVICE_SOCKET " unless another is named, by root or the user\n"
        "  that the agent runs as.",
    .flags = reload_flags,
    .n_flags = ARRAY_LEN(reload_flags),
    .opts_size = sizeof(struct reload_opts),
    .remote = true,
    .run = run,
};
