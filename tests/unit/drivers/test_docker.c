/* The docker checks against a small daemon in a child process, in many bad moods. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "drivers/http_get.h"
#include "drivers/rows.h"
#include "tests/support/probe_ctx.h"

/* what the daemon sends for one path: head and body, or NULL for the default answer */
struct reply {
    const char *path, *text;
};

struct mood {
    bool no_accept;          /* the connection is made, nobody takes it */
    bool no_answer;          /* the request is read, nothing comes */
    bool drip;               /* a byte of the head each 100 ms */
    bool flood;              /* a body without end */
    struct reply replies[4]; /* by path; "" = any other */
};

#define OK_HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
#define VERSION OK_HEAD "{\"Version\":\"20.10.24\",\"ApiVersion\":\"1.41\",\"Os\":\"linux\"}\n"
#define NETWORKS                                                                                   \
    OK_HEAD "[{\"Name\":\"none\",\"IPAM\":{\"Config\":null}},"                                     \
            "{\"Name\":\"bridge\",\"Driver\":\"bridge\",\"IPAM\":{\"Driver\":\"default\","         \
            "\"Config\":[{\"Subnet\":\"172.17.0.0/16\",\"Gateway\":\"172.17.0.1\"}]}}]"
#define INFO                                                                                       \
    OK_HEAD "{\"OSType\":\"linux\",\"Runtimes\":{\"runc\":{\"path\":\"runc\"},"                    \
            "\"io.containerd.runc.v2\":{\"path\":\"runc\"}},\"NCPU\":2}"

struct daemon {
    char *folder, *path, *endpoint;
    pid_t pid;
};

/* --- the daemon --- */

static const char *reply_for(const struct mood *m, const char *path)
{
    static const struct reply defaults[] = {
        {"/_ping",    OK_HEAD "OK"},
        {"/version",  VERSION     },
        {"/networks", NETWORKS    },
        {"/info",     INFO        },
    };

    for (size_t i = 0; i < ARRAY_LEN(m->replies); i++)
        if (m->replies[i].path && (!*m->replies[i].path || strcmp(m->replies[i].path, path) == 0))
            return m->replies[i].text;
    for (size_t i = 0; i < ARRAY_LEN(defaults); i++)
        if (strcmp(defaults[i].path, path) == 0)
            return defaults[i].text;
    return "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}";
}

static void serve(const struct mood *m, int fd)
{
    char request[4096] = "", path[128] = "";
    const char *text;

    if (read(fd, request, sizeof(request) - 1) <= 0)
        return;
    if (m->no_answer)
        (void)pause();
    (void)sscanf(request, "GET %127s HTTP/1.1\r\n", path);
    text = reply_for(m, path);
    if (m->drip)
        for (; *text; text++) {
            (void)poll(NULL, 0, 100);
            if (write(fd, text, 1) < 0)
                return;
        }
    (void)!write(fd, text, strlen(text));
    while (m->flood && write(fd, request, sizeof(request)) > 0)
        ;
}

static _Noreturn void daemon_run(const struct mood *m, int fd)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        int c;

        if (m->no_accept)
            (void)pause();
        c = accept(fd, NULL, NULL);
        if (c < 0)
            _exit(1);
        serve(m, c);
        (void)close(c);
    }
}

static struct daemon *daemon_start(const struct mood *m)
{
    struct daemon *d = xnew0(struct daemon);
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    d->folder = probe_root();
    d->path = xasprintf("%s/docker.sock", d->folder);
    d->endpoint = xasprintf("unix://%s", d->path);
    (void)snprintf(un.sun_path, sizeof(un.sun_path), "%s", d->path);
    assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
    assert_int_equal(listen(fd, 8), 0);
    d->pid = fork();
    assert_true(d->pid >= 0);
    if (d->pid == 0)
        daemon_run(m, fd);
    (void)close(fd);
    return d;
}

static struct daemon *daemon_stop(struct daemon *d)
{
    if (!d)
        return NULL;
    (void)kill(d->pid, SIGKILL);
    (void)waitpid(d->pid, NULL, 0);
    free(d->folder);
    free(d->path);
    free(d->endpoint);
    free(d);
    return NULL;
}
DEFINE_CLEANUP(struct daemon, daemon_stop)

/* --- looking --- */

static struct fp *docker_with(const char *endpoint, struct probe_conf *c)
{
    if (endpoint)
        strmap_set(&c->options, "docker.endpoint", endpoint);
    return probe_once(&driver_docker.probe, "", c);
}

static struct fp *docker_at(const char *endpoint)
{
    struct probe_conf c = {0};
    struct fp *fp = docker_with(endpoint, &c);

    ops_clear(&desc_probe_conf, &c);
    return fp;
}

static const char *attr(const struct fp *fp, const char *key)
{
    assert_int_equal(fp->n_drivers, 1);
    return str_or_empty(strmap_get(&fp->drivers[0].attributes, key));
}

/* undetected, with the check that failed first and what it found */
static void refused(const struct fp *fp, const char *description, const char *check,
                    const char *found)
{
    const struct why *w = why_first_failed(fp->whys, fp->n_whys);

    assert_true(fp->ok);
    assert_int_equal(fp->n_drivers, 1);
    assert_string_equal(fp->drivers[0].key, "docker");
    assert_false(fp->drivers[0].detected);
    assert_false(fp->drivers[0].healthy);
    assert_string_equal(fp->drivers[0].health_description, description);
    assert_int_equal(fp->drivers[0].attributes.n, 0);
    assert_non_null(w);
    assert_string_equal(w->id, check);
    if (!strstr(w->found, found))
        fail_msg("found \"%s\", expected \"%s\"", w->found, found);
}

/* --- a daemon that works --- */

static void test_docker_healthy(void **state)
{
    const struct mood m = {.no_accept = false};
    _cleanup_(daemon_stopp) struct daemon *d = daemon_start(&m);
    _cleanup_fp_ struct fp *fp = docker_at(d->endpoint);

    (void)state;
    assert_true(fp->drivers[0].detected);
    assert_true(fp->drivers[0].healthy);
    assert_string_equal(fp->drivers[0].health_description, "Healthy");
    assert_string_equal(attr(fp, "driver.docker"), "true");
    assert_string_equal(attr(fp, "driver.docker.version"), "20.10.24");
    assert_string_equal(attr(fp, "driver.docker.bridge_ip"), "172.17.0.1");
    assert_string_equal(attr(fp, "driver.docker.runtimes"), "io.containerd.runc.v2,runc");
    assert_string_equal(attr(fp, "driver.docker.os_type"), "linux");
    assert_int_equal(fp->drivers[0].attributes.n, 5);
    assert_null(why_first_failed(fp->whys, fp->n_whys));
}

static void test_docker_tells_its_configuration(void **state)
{
    const struct mood m = {.no_accept = false};
    _cleanup_(daemon_stopp) struct daemon *d = daemon_start(&m);
    struct probe_conf c = {0};
    _cleanup_free_ char *json =
        xasprintf("{\"endpoint\":\"%s\",\"allow_privileged\":true,\"pids_limit\":100,"
                  "\"volumes\":{\"enabled\":true},\"gc\":{\"image\":false}}",
                  d->endpoint);
    _cleanup_fp_ struct fp *fp = NULL;

    (void)state;
    strmap_set(&c.plugins, "docker", json);
    strmap_set(&c.options, "docker.endpoint", "unix:///nonexistent"); /* the block replaces it */
    fp = docker_with(NULL, &c);
    assert_string_equal(attr(fp, "driver.docker.volumes.enabled"), "true");
    assert_string_equal(attr(fp, "driver.docker.privileged.enabled"), "true");
    assert_string_equal(attr(fp, "driver.docker.pids.limit"), "100");
    ops_clear(&desc_probe_conf, &c);
}

static void test_docker_chunked_answers(void **state)
{
    const struct mood m = {
        .replies = {{"/version", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                 "11\r\n{\"Version\":\"1.2.3\r\n2\r\n\"}\r\n0\r\n\r\n"}}};
    _cleanup_(daemon_stopp) struct daemon *d = daemon_start(&m);
    _cleanup_fp_ struct fp *fp = docker_at(d->endpoint);

    (void)state;
    assert_string_equal(attr(fp, "driver.docker.version"), "1.2.3");
}

/* the later questions only add attributes */
static void test_docker_is_healthy_without_networks_and_info(void **state)
{
    const struct mood m = {
        .replies = {
                    {"/networks", OK_HEAD "not json"},
                    {"/info", "HTTP/1.1 500 Internal Server Error\r\n"
                      "Content-Length: 6\r\n\r\nbroken"},
                    }
    };
    _cleanup_(daemon_stopp) struct daemon *d = daemon_start(&m);
    _cleanup_fp_ struct fp *fp = docker_at(d->endpoint);

    (void)state;
    assert_true(fp->drivers[0].healthy);
    assert_string_equal(attr(fp, "driver.docker.bridge_ip"), "");
    assert_string_equal(attr(fp, "driver.docker.runtimes"), "");
    assert_int_equal(probe_why(fp, "networks")->result, WHY_FAILED);
    assert_string_equal(probe_why(fp, "info")->found, "HTTP status 500: broken");
}

static void test_docker_without_a_bridge(void **state)
{
    const struct mood m = {.replies = {{"/networks", OK_HEAD "[]"}}};
    _cleanup_(daemon_stopp) struct daemon *d = daemon_start(&m);
    _cleanup_fp_ struct fp *fp = docker_at(d->endpoint);

    (void)state;
    assert_true(fp->drivers[0].healthy);
    assert_string_equal(attr(fp, "driver.docker.bridge_ip"), "");
    assert_int_equal(probe_why(fp, "networks")->result, WHY_SKIPPED);
}

/* --- daemons that do not --- */

static void test_docker_socket_is_not_there(void **state)
{
    _cleanup_fp_ struct fp *fp = docker_at("unix:///nonexistent/docker.sock");

    (void)state;
    refused(fp, "Failed to connect to docker daemon", "socket", "No such file or directory");
    assert_non_null(strstr(probe_why(fp, "socket")->fix, "systemctl start docker"));
}

static void test_docker_socket_is_a_file(void **state)
{
    _cleanup_fp_ struct fp *fp = docker_at("unix:///etc/passwd");

    (void)state;
    refused(fp, "Failed to connect to docker daemon", "socket", "not a socket");
}

static void test_docker_permission_denied(void **state)
{
    const struct mood m = {.no_accept = false};
    _cleanup_(daemon_stopp) struct daemon *d = daemon_start(&m);
    uid_t me = geteuid();

    (void)state;
    assert_int_equal(chmod(d->path, 0600), 0);
    if (me != 0) {
        assert_int_equal(chmod(d->path, 0), 0);
    } else {
        for (char *p = d->folder + 1; (p = strchr(p, '/')); p++) {
            *p = 0;
            (void)chmod(d->folder, 0755);
            *p = '/';
        }
        assert_int_equal(chmod(d->folder, 0755), 0);
        assert_int_equal(seteuid(65534), 0);
    }
    {
        _cleanup_fp_ struct fp *fp = docker_at(d->endpoint);

        assert_int_equal(seteuid(me), 0);
        refused(fp, "Failed to connect to docker daemon", "permission", "Permission denied");
        assert_non_null(strstr(probe_why(fp, "permission")->fix, "usermod -aG docker"));
    }
}

static void test_docker_connection_refused(void **state)
{
    const struct mood m = {.no_accept = false};
    struct daemon *d = daemon_start(&m);
    _cleanup_free_ char *endpoint = xstrdup(d->endpoint);
    _cleanup_fp_ struct fp *fp = NULL;

    (void)state;
    (void)daemon_stop(d); /* leaves its socket */
    fp = docker_at(endpoint);
    refused(fp, "Failed to connect to docker daemon", "connect", "Connection refused");
}

static void hangs(const struct mood *m)
{
    _cleanup_(daemon_stopp) struct daemon *d = daemon_start(m);
    _cleanup_free_ char *want =
        xasprintf("Failed to connect to docker daemon: no answer in time from %s", d->endpoint);
    uint64_t from = clock_boot_ns();
    _cleanup_fp_ struct fp *fp = docker_at(d->endpoint);

    refused(fp, want, "ping", "no answer in time");
    assert_non_null(strstr(probe_why(fp, "ping")->fix, "hangs"));
    /* before the row's own deadline, so that the reason is seen */
    assert_true(clock_boot_ns() - from < driver_docker.probe.deadline_ms * NSEC_PER_MSEC);
}

static void test_docker_accepts_but_does_not_answer(void **state)
{
    (void)state;
    hangs(&(struct mood){.no_answer = true});
}

static void test_docker_does_not_accept(void **state)
{
    (void)state;
    hangs(&(struct mood){.no_accept = true});
}

static void test_docker_drips(void **state)
{
    (void)state;
    hangs(&(struct mood){.drip = true});
}

static void test_docker_queue_is_full(void **state)
{
    const struct mood m = {.no_accept = true};
    _cleanup_(daemon_stopp) struct daemon *d = daemon_start(&m);
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fds[64];
    size_t n = 0;

    (void)state;
    (void)snprintf(un.sun_path, sizeof(un.sun_path), "%s", d->path);
    for (; n < ARRAY_LEN(fds); n++) {
        fds[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (connect(fds[n], (struct sockaddr *)&un, sizeof(un)) < 0)
            break;
    }
    assert_true(n < ARRAY_LEN(fds));
    {
        _cleanup_fp_ struct fp *fp = docker_at(d->endpoint);

        refused(fp, "Failed to connect to docker daemon", "connect",
                "the connection is not accepted");
    }
    for (size_t i = 0; i <= n; i++)
        (void)close(fds[i]);
}

static void bad_ping(const struct mood *m, const char *found)
{
    _cleanup_(daemon_stopp) struct daemon *d = daemon_start(m);
    _cleanup_fp_ struct fp *fp = docker_at(d->endpoint);

    refused(fp, "Failed to connect to docker daemon", "ping", found);
}

static void test_docker_sends_garbage(void **state)
{
    (void)state;
    bad_ping(&(struct mood){.replies = {{"", "\x16\x03\x01 not HTTP at all\r\n\r\n"}}},
             "the reply is not HTTP");
}

static void test_docker_closes_at_once(void **state)
{
    (void)state;
    bad_ping(&(struct mood){.replies = {{"", ""}}}, "ended before the reply did");
    bad_ping(&(struct mood){.replies = {{"", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"}}},
             "ended before the reply did");
}

static void test_docker_floods(void **state)
{
    (void)state;
    bad_ping(&(struct mood){.flood = true}, "longer than 4194304 bytes");
}

static void bad_version(const char *reply, const char *found)
{
    const struct mood m = {.replies = {{"/version", reply}}};
    _cleanup_(daemon_stopp) struct daemon *d = daemon_start(&m);
    _cleanup_fp_ struct fp *fp = docker_at(d->endpoint);

    refused(fp, "Failed to connect to docker daemon", "version", found);
}

static void test_docker_bad_version_answers(void **state)
{
    (void)state;
    bad_version("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\noops",
                "HTTP status 500: oops");
    bad_version(OK_HEAD "{}", "the answer has no Version");
    bad_version(OK_HEAD "{\"Version\":7}", "");
    bad_version(OK_HEAD "<html>", "");
}

/* as with podman's socket: no ping is no reason not to ask further */
static void test_docker_failed_ping_alone_is_healthy(void **state)
{
    const struct mood m = {
        .replies = {{"/_ping", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"}}};
    _cleanup_(daemon_stopp) struct daemon *d = daemon_start(&m);
    _cleanup_fp_ struct fp *fp = docker_at(d->endpoint);

    (void)state;
    assert_true(fp->drivers[0].healthy);
    assert_int_equal(probe_why(fp, "ping")->result, WHY_FAILED);
}

/* --- configuration --- */

static void test_docker_bad_endpoints(void **state)
{
    static const struct {
        const char *endpoint, *found;
    } cases[] = {
        {"ssh://host",       "only unix:// and tcp:// can be used"},
        {"unix://relative",  "must be absolute"                   },
        {"tcp://host:2375",  "an IP address"                      },
        {"tcp://10.0.0.1:0", "an IP address"                      },
        {"tcp://[::1",       "an IP address"                      },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_fp_ struct fp *fp = docker_at(cases[i].endpoint);

        refused(fp, "Failed to initialize docker client", "endpoint", cases[i].found);
    }
}

static void test_docker_bad_plugin_block(void **state)
{
    struct probe_conf c = {0};
    _cleanup_fp_ struct fp *fp = NULL;

    (void)state;
    strmap_set(&c.plugins, "docker", "{\"allow_privileged\":\"maybe\"}");
    fp = docker_with(NULL, &c);
    refused(fp, "Failed to initialize docker client", "config", "allow_privileged");
    ops_clear(&desc_probe_conf, &c);
}

static void test_docker_endpoint_of_the_environment(void **state)
{
    const struct mood m = {.no_accept = false};
    _cleanup_(daemon_stopp) struct daemon *d = daemon_start(&m);

    (void)state;
    assert_int_equal(setenv("DOCKER_HOST", d->endpoint, 1), 0);
    {
        _cleanup_fp_ struct fp *fp = docker_at(NULL);

        assert_true(fp->drivers[0].healthy);
        assert_string_equal(probe_why(fp, "endpoint")->found, "DOCKER_HOST");
    }
    assert_int_equal(setenv("DOCKER_TLS_VERIFY", "1", 1), 0);
    {
        _cleanup_fp_ struct fp *fp = docker_at(NULL);

        refused(fp, "Failed to initialize docker client", "endpoint", "DOCKER_TLS_VERIFY is set");
    }
    (void)unsetenv("DOCKER_HOST");
    (void)unsetenv("DOCKER_TLS_VERIFY");
}

static void test_docker_denied_has_no_entry(void **state)
{
    struct probe_conf c = {0};
    _cleanup_fp_ struct fp *fp = NULL;

    (void)state;
    strmap_set(&c.options, "driver.denylist", "docker");
    fp = docker_with("unix:///nonexistent", &c);
    assert_int_equal(fp->n_drivers, 0);
    assert_int_equal(probe_why(fp, "allowed")->result, WHY_SKIPPED);
    ops_clear(&desc_probe_conf, &c);
}

static void test_docker_over_tcp(void **state)
{
    const struct mood m = {.no_accept = false};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(in);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    _cleanup_free_ char *endpoint = NULL;
    pid_t pid;

    (void)state;
    assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    pid = fork();
    if (pid == 0)
        daemon_run(&m, fd);
    (void)close(fd);
    endpoint = xasprintf("tcp://localhost:%u", ntohs(in.sin_port));
    {
        _cleanup_fp_ struct fp *fp = docker_at(endpoint);

        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        assert_true(fp->drivers[0].healthy);
    }
}

/* --- endpoints --- */

static void endpoint_is(const char *text, const char *path, const char *host, uint16_t port)
{
    struct http_endpoint ep;
    struct err e;

    assert_int_equal(http_endpoint_parse(text, 2375, &ep, &e), 0);
    assert_true(str_eq(ep.unix_path, path));
    assert_true(str_eq(ep.host, host));
    assert_int_equal(ep.port, port);
    http_endpoint_done(&ep);
}

static void test_http_endpoints(void **state)
{
    _cleanup_free_ char *too_long = xasprintf("unix:///%0200d", 0);
    struct http_endpoint ep;
    struct err e;

    (void)state;
    endpoint_is("unix:///run/docker.sock", "/run/docker.sock", NULL, 0);
    endpoint_is("tcp://127.0.0.1", NULL, "127.0.0.1", 2375);
    endpoint_is("tcp://192.0.2.1:4000/", NULL, "192.0.2.1", 4000);
    endpoint_is("http://[::1]:99", NULL, "::1", 99);
    endpoint_is("tcp://localhost:1", NULL, "127.0.0.1", 1);
    assert_int_equal(http_endpoint_parse(too_long, 1, &ep, &e), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_docker_healthy),
        cmocka_unit_test(test_docker_tells_its_configuration),
        cmocka_unit_test(test_docker_chunked_answers),
        cmocka_unit_test(test_docker_is_healthy_without_networks_and_info),
        cmocka_unit_test(test_docker_without_a_bridge),
        cmocka_unit_test(test_docker_socket_is_not_there),
        cmocka_unit_test(test_docker_socket_is_a_file),
        cmocka_unit_test(test_docker_permission_denied),
        cmocka_unit_test(test_docker_connection_refused),
        cmocka_unit_test(test_docker_accepts_but_does_not_answer),
        cmocka_unit_test(test_docker_does_not_accept),
        cmocka_unit_test(test_docker_drips),
        cmocka_unit_test(test_docker_queue_is_full),
        cmocka_unit_test(test_docker_sends_garbage),
        cmocka_unit_test(test_docker_closes_at_once),
        cmocka_unit_test(test_docker_floods),
        cmocka_unit_test(test_docker_bad_version_answers),
        cmocka_unit_test(test_docker_failed_ping_alone_is_healthy),
        cmocka_unit_test(test_docker_bad_endpoints),
        cmocka_unit_test(test_docker_bad_plugin_block),
        cmocka_unit_test(test_docker_endpoint_of_the_environment),
        cmocka_unit_test(test_docker_denied_has_no_entry),
        cmocka_unit_test(test_docker_over_tcp),
        cmocka_unit_test(test_http_endpoints),
    };

    (void)unsetenv("DOCKER_HOST");
    return cmocka_run_group_tests_name("drivers/docker", tests, NULL, NULL);
}
