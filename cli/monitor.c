/* picket monitor: the log of an agent as it is written (fact: http-api.md section 10,
 * agent/monitor).
 *
 * The answer is a row of JSON objects without anything between them: {} now and then, else
 * {"Data":"<base64>","FileEvent":"log"}.  The command ends with 0 when it is interrupted and when
 * the answer ends, as Nomad's does. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/lookup.h"
#include "cli/remote.h"
#include "codec/js.h"
#include "codec/ops.h"

struct monitor_opts {
    const char *log_level, *node_id, *server_id;
    bool json, location;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int signo)
{
    (void)signo;
    interrupted = 1;
}

/* --- frames --- */

struct frame {
    struct bytes data;
};
#define T struct frame
static const struct field frame_fields[] = {
    {"Data", BYTES(data)},
};
static DESC(desc_frame, T, frame_fields);
#undef T

/* the length of the JSON object that a text begins with; 0 while it is not complete.  Braces inside
 * strings do not count. */
static size_t object_length(const char *p, size_t n)
{
    bool quoted = false;
    size_t depth = 0;

    for (size_t i = 0; i < n; i++) {
        if (quoted && p[i] == '\\')
            i++;
        else if (p[i] == '"')
            quoted = !quoted;
        else if (!quoted && p[i] == '{')
            depth++;
        else if (!quoted && p[i] == '}' && depth > 0 && --depth == 0)
            return i + 1;
    }
    return 0;
}

/* false: this is no frame, and nothing behind it can be read */
static bool show_frame(const char *p, size_t n)
{
    struct frame f = {0};
    struct err e = {0};
    bool good = js_decode(&desc_frame, p, n, &f, &e) == 0;

    if (good && f.data.n > 0)
        good = fwrite(f.data.p, 1, f.data.n, stdout) == f.data.n && fflush(stdout) == 0;
    ops_clear(&desc_frame, &f);
    return good;
}

static bool on_data(void *arg, const char *p, size_t n)
{
    struct buf *pending = arg;
    size_t len;

    buf_add(pending, p, n);
    if (buf_ok(pending) < 0)
        return false;
    while ((len = object_length(buf_str(pending), pending->len)) > 0) {
        if (!show_frame(buf_str(pending), len))
            return false;
        buf_drop(pending, len);
    }
    return true;
}

static bool is_over(void *arg)
{
    (void)arg;
    return interrupted || ferror(stdout);
}

/* --- the command --- */

static int fail(const char *what, const char *text, bool usage)
{
    (void)fprintf(stderr, "==> %s%s\n", what, text);
    if (usage)
        (void)fputs("==> For additional help try 'picket monitor -help'\n", stderr);
    return EXIT_ERROR;
}

static void put_query(const struct monitor_opts *o, const char *node_id, struct buf *target)
{
    buf_printf(target, "/v1/agent/monitor?log_include_location=%s&log_json=%s&log_level=",
               o->location ? "true" : "false", o->json ? "true" : "false");
    client_escape(target, str_or_empty(o->log_level));
    buf_add_str(target, "&node_id=");
    client_escape(target, str_or_empty(node_id));
    buf_add_str(target, "&server_id=");
    client_escape(target, str_or_empty(o->server_id));
}

static int follow(struct client *c, const struct monitor_opts *o, const char *node_id)
{
    struct buf target _cleanup_buf_ = BUF_INIT(HTTP_HEAD_MAX);
    struct buf pending _cleanup_buf_ = BUF_INIT(LOG_FRAME_MAX);
    struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART: libcurl wakes */
    struct client_stream s = {on_data, is_over, &pending};
    struct err e = {0};

    put_query(o, node_id, &target);
    interrupted = 0;
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    if (client_stream(c, buf_str(&target), &s, &e) < 0)
        return fail("Error starting monitor: ", e.text, true);
    return EXIT_DONE;
}

static int run(struct invocation *in)
{
    const struct monitor_opts *o = in->opts;
    struct buf complaint _cleanup_buf_ = BUF_INIT(HTTP_REPLY_MAX);
    _cleanup_(client_freep) struct client *c = NULL;
    _cleanup_free_ char *id = NULL;

    if (in->n_args > 0)
        return fail("This command takes no arguments", "", true);
    c = remote_open(&in->meta);
    if (!c)
        return EXIT_ERROR;
    if (!str_empty(o->node_id) &&
        !lookup_node(c, o->node_id, &lookup_words_agent, true, &complaint, &id))
        return fail(buf_str(&complaint), "", false);
    return follow(c, o, id);
}

#define T struct monitor_opts
/* clang-format off */
static const struct flag monitor_flags[] = {
    {"log-level", FLAG_STR, offsetof(T, log_level), "<level>",
     "The lowest level that is shown. Default: INFO."},
    {"node-id", FLAG_STR, offsetof(T, node_id), "<id>",
     "The node whose agent's log to show; its ID or the beginning of it."},
    {"server-id", FLAG_STR, offsetof(T, server_id), "<name>", "The server whose log to show."},
    {"json", FLAG_BOOL, offsetof(T, json), NULL, "Show each line as JSON."},
    {"log-include-location", FLAG_BOOL, offsetof(T, location), NULL,
     "Show file and line of each log line, where the agent can."},
};
/* clang-format on */
#undef T

const struct command command_monitor = {
    .path = "monitor",
    .summary = "Show the log of an agent as it is written",
    .synopsis = "[options]",
    .text =
        "  Shows what an agent logs from now on, also at levels that it does not write itself,\n"
        "  until it is interrupted or the agent goes away.",
    .flags = monitor_flags,
    .n_flags = ARRAY_LEN(monitor_flags),
    .opts_size = sizeof(struct monitor_opts),
    .remote = true,
    .run = run,
};
