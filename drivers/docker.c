#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/str.h"
#include "codec/js.h"
#include "codec/ops.h"
#include "drivers/docker_api.h"
#include "drivers/http_get.h"
#include "drivers/rows.h"
#include "fingerprint/look.h"
#include "model/attrs.h"

/* Asks the daemon what Nomad's driver asks it (fact: fingerprints 7.3), but with seconds of
 * patience rather than minutes, and one named check for each step.  What the probe finds is final:
 * a daemon that has been seen before and is gone is made "unhealthy" by the agent (stays_detected).
 */

enum {
    DOCKER_TCP_PORT = 2375,
    CALL_MS = 3000, /* patience with one request */
    ALL_MS = 6000,  /* and with all of them */
    DOCKER_DEADLINE_MS = 8000,
    DOCKER_PERIOD_SEC = 30,
};

#define DOCKER_DEFAULT_ENDPOINT "unix:///var/run/docker.sock"

/* --- the checks, in order; each returns whether to go on --- */

struct docker {
    struct probe_ctx *ctx;
    struct fp *fp;
    struct driver_info *d;
    struct docker_conf conf;
    const char *named_by; /* who named the endpoint */
    struct http_endpoint endpoint;
    uint64_t end_ns; /* when patience with all requests ends */
};

static bool no(struct docker *k, const char *state, const char *id, const char *looked,
               const char *found, const char *fix)
{
    fp_why(k->fp, id, looked, WHY_FAILED, found, fix);
    driver_state(k->d, false, false, state);
    return false;
}

static bool read_conf(struct docker *k)
{
    const struct probe_conf *c = k->ctx->conf;
    const char *json = strmap_get(&c->plugins, "docker");
    struct err e = {0};

    k->named_by = json ? "plugin \"docker\"" : "client.options";
    if (json && js_decode(&desc_docker_conf, json, strlen(json), &k->conf, &e) < 0)
        return no(k, DRIVER_DOCKER_NO_CLIENT, "config", k->named_by, e.text,
                  "correct the config block");
    if (!json) {
        str_set(&k->conf.endpoint, strmap_get(&c->options, "docker.endpoint"));
        k->conf.volumes.enabled = probe_option_bool(c, "docker.volumes.enabled");
        k->conf.allow_privileged = probe_option_bool(c, "docker.privileged.enabled");
    }
    return true;
}

static bool check_endpoint(struct docker *k)
{
    const char *env = getenv("DOCKER_HOST");
    struct err e = {0};

    if (str_empty(k->conf.endpoint) && !str_empty(env)) {
        k->named_by = "DOCKER_HOST";
        str_set(&k->conf.endpoint, env);
        if (!str_empty(getenv("DOCKER_TLS_VERIFY")))
            return no(k, DRIVER_DOCKER_NO_CLIENT, "endpoint", env,
                      "DOCKER_TLS_VERIFY is set; TLS is not spoken with the daemon",
                      "let the daemon listen on a unix socket and name that");
    } else if (str_empty(k->conf.endpoint)) {
        k->named_by = "the default";
        str_set(&k->conf.endpoint, DOCKER_DEFAULT_ENDPOINT);
    }
    if (http_endpoint_parse(k->conf.endpoint, DOCKER_TCP_PORT, &k->endpoint, &e) < 0)
        return no(k, DRIVER_DOCKER_NO_CLIENT, "endpoint", k->conf.endpoint, e.text,
                  "unix:///var/run/docker.sock is what a packaged docker uses");
    fp_why(k->fp, "endpoint", k->conf.endpoint, WHY_OK, k->named_by, "");
    return true;
}

static bool check_socket(struct docker *k)
{
    const char *path = k->endpoint.unix_path;
    _cleanup_free_ char *below = NULL;
    struct stat st;

    if (!path)
        return true;
    below = look_path(k->ctx, "%s", path);
    probe_step(k->ctx, "stat %s", path);
    if (stat(below, &st) < 0) {
        bool absent = errno == ENOENT || errno == ENOTDIR;

        return no(k, DRIVER_DOCKER_NO_DAEMON, "socket", path, strerror(errno),
                  absent ? "install docker (apt install docker.io) and start it: systemctl start "
                           "docker"
                         : "");
    }
    if (!S_ISSOCK(st.st_mode))
        return no(k, DRIVER_DOCKER_NO_DAEMON, "socket", path, "not a socket",
                  "correct the endpoint");
    fp_why(k->fp, "socket", path, WHY_OK, "is there", "");
    if (faccessat(AT_FDCWD, below, W_OK, AT_EACCESS) < 0)
        return no(k, DRIVER_DOCKER_NO_DAEMON, "permission", path, strerror(errno),
                  "run the agent as root, or put its user into the group of the socket "
                  "(usermod -aG docker USER)");
    fp_why(k->fp, "permission", path, WHY_OK, "may be written to", "");
    str_set(&k->endpoint.unix_path, below);
    return true;
}

static uint64_t call_deadline(const struct docker *k)
{
    return MIN(clock_boot_ns() + CALL_MS * NSEC_PER_MSEC, k->end_ns);
}

static bool check_connect(struct docker *k)
{
    _cleanup_close_ int fd = -1;
    int r;

    probe_step(k->ctx, "connect %s", k->conf.endpoint);
    r = http_connect(&k->endpoint, call_deadline(k), &fd);
    if (r == -ECONNREFUSED)
        return no(k, DRIVER_DOCKER_NO_DAEMON, "connect", k->conf.endpoint, strerror(-r),
                  "the daemon does not run: systemctl start docker");
    if (r < 0)
        return no(k, DRIVER_DOCKER_NO_DAEMON, "connect", k->conf.endpoint,
                  r == -ETIMEDOUT ? "the connection is not accepted" : strerror(-r),
                  r == -ETIMEDOUT ? "the daemon hangs: systemctl restart docker" : "");
    fp_why(k->fp, "connect", k->conf.endpoint, WHY_OK, "accepted", "");
    return true;
}

/* One request.  A reply other than 200 is -EREMOTEIO with the beginning of its text in e. */
static int ask(struct docker *k, const char *path, struct http_answer *ret, struct err *e)
{
    uint64_t deadline = call_deadline(k);
    _cleanup_close_ int fd = -1;
    int r;

    probe_step(k->ctx, "GET %s from %s", path, k->conf.endpoint);
    r = http_connect(&k->endpoint, deadline, &fd);
    if (r < 0)
        return err_errno(e, r, "connect");
    r = http_get(fd, path, deadline, ret, e);
    if (r < 0)
        return r;
    if (ret->status != 200) {
        r = err_set(e, -EREMOTEIO, "HTTP status %d: %.120s", ret->status, ret->body);
        http_answer_done(ret);
    }
    return r;
}

/* the same, and its JSON into obj; an answer that is a list is read as {"List": answer} */
static int ask_json(struct docker *k, const char *path, bool list, const struct desc *d, void *obj,
                    struct err *e)
{
    struct http_answer a = {0};
    _cleanup_free_ char *text = NULL;
    int r = ask(k, path, &a, e);

    if (r < 0)
        return r;
    text = list ? xasprintf("{\"List\":%s}", a.body) : xstrdup(a.body);
    http_answer_done(&a);
    return js_decode(d, text, strlen(text), obj, e);
}

static const char *fix_for(int r)
{
    return r == -ETIMEDOUT   ? "the daemon hangs: systemctl restart docker, journalctl -u docker"
           : r == -EREMOTEIO ? "journalctl -u docker tells more"
                             : "check that it is a docker daemon that listens there";
}

/* Nomad's words; of a daemon that hangs, why as well: it costs no look at the checks then */
static bool no_daemon(struct docker *k, const char *id, const char *looked, const struct err *e,
                      int r)
{
    _cleanup_free_ char *hangs =
        xasprintf("%s: %s from %s", DRIVER_DOCKER_NO_DAEMON, e->text, k->conf.endpoint);

    return no(k, r == -ETIMEDOUT ? hangs : DRIVER_DOCKER_NO_DAEMON, id, looked, e->text,
              fix_for(r));
}

/* /_ping is only a check: whether the driver works is decided by /version, as in Nomad.  A daemon
 * that does not answer this need not be asked more. */
static bool check_ping(struct docker *k)
{
    struct http_answer a = {0};
    struct err e = {0};
    int r = ask(k, "/_ping", &a, &e);

    http_answer_done(&a);
    if (r < 0 && r != -EREMOTEIO)
        return no_daemon(k, "ping", "GET /_ping", &e, r);
    fp_why(k->fp, "ping", "GET /_ping", r < 0 ? WHY_FAILED : WHY_OK, r < 0 ? e.text : "answered",
           r < 0 ? fix_for(r) : "");
    return true;
}

static bool check_version(struct docker *k)
{
    struct docker_version v = {0};
    struct err e = {0};
    int r = ask_json(k, "/version", false, &desc_docker_version, &v, &e);

    if (r == 0 && str_empty(v.version))
        r = err_set(&e, -EBADMSG, "the answer has no Version");
    if (r == 0) {
        fp_why(k->fp, "version", "GET /version", WHY_OK, v.version, "");
        strmap_set(&k->d->attributes, ATTR_DRIVER_DOCKER_VERSION, v.version);
        driver_state(k->d, true, true, DRIVER_HEALTHY);
    } else {
        (void)no_daemon(k, "version", "GET /version", &e, r);
    }
    ops_clear(&desc_docker_version, &v);
    return r == 0;
}

/* --- what else there is to know; a failure only leaves it out --- */

static void look_networks(struct docker *k)
{
    struct docker_networks nets = {0};
    const char *gateway = NULL;
    struct err e = {0};
    int r = ask_json(k, "/networks", true, &desc_docker_networks, &nets, &e);

    for (size_t i = 0; r == 0 && i < nets.n; i++)
        if (str_eq(nets.v[i].name, "bridge") && nets.v[i].ipam.n_config > 0)
            gateway = nets.v[i].ipam.config[0].gateway;
    if (r < 0)
        fp_why(k->fp, "networks", "GET /networks", WHY_FAILED, e.text, fix_for(r));
    else if (str_empty(gateway))
        fp_why(k->fp, "networks", "GET /networks", WHY_SKIPPED, "no bridge with a gateway", "");
    else
        fp_why(k->fp, "networks", "GET /networks", WHY_OK, gateway, "");
    if (!str_empty(gateway))
        strmap_set(&k->d->attributes, ATTR_DRIVER_DOCKER_BRIDGE_IP, gateway);
    ops_clear(&desc_docker_networks, &nets);
}

static void look_info(struct docker *k)
{
    _cleanup_buf_ struct buf names = BUF_INIT(4096);
    struct docker_info info = {0};
    struct err e = {0};
    int r = ask_json(k, "/info", false, &desc_docker_info, &info, &e);

    if (r < 0) {
        fp_why(k->fp, "info", "GET /info", WHY_FAILED, e.text, fix_for(r));
    } else {
        for (size_t i = 0; i < info.n_runtimes; i++)
            buf_printf(&names, "%s%s", i ? "," : "", info.runtimes[i].key);
        fp_why(k->fp, "info", "GET /info", WHY_OK, buf_str(&names), "");
        if (names.len > 0)
            strmap_set(&k->d->attributes, ATTR_DRIVER_DOCKER_RUNTIMES, buf_str(&names));
        if (!str_empty(info.os_type))
            strmap_set(&k->d->attributes, ATTR_DRIVER_DOCKER_OS_TYPE, info.os_type);
    }
    ops_clear(&desc_docker_info, &info);
}

static void tell_conf(struct docker *k)
{
    struct strmap *a = &k->d->attributes;

    if (k->conf.volumes.enabled)
        strmap_set(a, ATTR_DRIVER_DOCKER_VOLUMES, "true");
    if (k->conf.allow_privileged)
        strmap_set(a, ATTR_DRIVER_DOCKER_PRIVILEGED, "true");
    if (k->conf.pids_limit > 0)
        strmap_setf(a, ATTR_DRIVER_DOCKER_PIDS_LIMIT, "%lld", (long long)k->conf.pids_limit);
    if (k->ctx->euid != 0)
        strmap_set(a, ATTR_DRIVER_DOCKER_CPUSET_DISABLED, "true");
}

static int docker_run(struct probe_ctx *ctx, struct fp *fp)
{
    static bool (*const checks[])(struct docker * k) = {
        read_conf, check_endpoint, check_socket, check_connect, check_ping, check_version};
    struct docker k = {.ctx = ctx, .fp = fp, .d = driver_begin(ctx, fp, "docker")};
    size_t done = 0;

    if (!k.d)
        return 0;
    k.end_ns = clock_boot_ns() + ALL_MS * NSEC_PER_MSEC;
    while (done < ARRAY_LEN(checks) && checks[done](&k))
        done++;
    if (done == ARRAY_LEN(checks)) {
        look_networks(&k);
        look_info(&k);
        tell_conf(&k);
    }
    ops_clear(&desc_docker_conf, &k.conf);
    http_endpoint_done(&k.endpoint);
    return 0;
}

const struct driver driver_docker = {
    .name = "docker",
    .probe =
        {
                .name = "driver.docker",
                .summary = "docker daemon",
                .class = PROBE_SLOW,
                .deadline_ms = DOCKER_DEADLINE_MS,
                .period_sec = DOCKER_PERIOD_SEC,
                .caps = PROBE_CAP(CAP_DAC_OVERRIDE),
                .run = docker_run,
                },
    .stays_detected = true,
};
