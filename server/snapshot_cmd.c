#include "server/snapshot_cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/str.h"
#include "conf/conf.h"
#include "model/item.h"
#include "server/snapshot_http.h"
#include "state/archive.h"

enum { PIECE = 64 * KIB };

struct options {
    const char *config, *address, *token, *file, *verb;
    bool force, json;
};

/* what a file holds */
struct content {
    struct archive_info info;
    uint64_t by_status[STATUS_MAX];
    uint64_t file_bytes;
    char id[ARCHIVE_ID_MAX], release[ARCHIVE_ID_MAX];
};

static const char usage[] =
    "Usage: picket-server snapshot save [-force] FILE\n"
    "       picket-server snapshot inspect [-json] FILE\n"
    "       picket-server snapshot restore FILE\n\n"
    "  Saves the whole state of a running server to a file, shows what a file holds, and\n"
    "  replaces the state of a running server by a file. The server goes on serving.\n\n"
    "  -address=<address>\n      http://host:port, host:port or unix:/path of the server (default: "
    "from the\n"
    "      configuration, else 127.0.0.1:4646).\n"
    "  -config=<path>\n      Configuration of the server, for its address.\n"
    "  -token=<secret>\n      Sent along; reserved for access control.\n"
    "  -force\n      save: replace a file that is there.\n"
    "  -json\n      inspect: as JSON.\n";

static int on_node(void *arg, const uint8_t *packed, size_t n, struct err *e)
{
    struct content *c = arg;
    struct node_item *it = NULL;
    int r = node_item_new(packed, n, &it, e);

    if (r < 0)
        return r;
    c->by_status[it->status]++;
    (void)node_item_unref(it);
    return 0;
}

/* reads all of it: 0 only when nothing is wrong */
static int read_file(const char *path, struct content *ret, struct err *e)
{
    _cleanup_(archive_reader_freep) struct archive_reader *r = archive_reader_new(on_node, ret);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    char piece[PIECE];
    ssize_t n;
    int code;

    if (fd < 0)
        return err_errno(e, -errno, "cannot open %s", path);
    while ((n = read(fd, piece, sizeof(piece))) > 0) {
        ret->file_bytes += (uint64_t)n;
        code = archive_read(r, piece, (size_t)n, e);
        if (code < 0)
            return err_wrap(e, code, "%s", path);
    }
    if (n < 0)
        return err_errno(e, -errno, "cannot read %s", path);
    code = archive_read_end(r, &ret->info, e);
    if (code < 0)
        return err_wrap(e, code, "%s", path);
    (void)snprintf(ret->id, sizeof(ret->id), "%s", archive_id(r));
    (void)snprintf(ret->release, sizeof(ret->release), "%s", archive_release(r));
    return 0;
}

/* --- save --- */

static int fetch(const struct options *o, const char *temp, struct err *e)
{
    _cleanup_close_ int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int r;

    if (fd < 0)
        return err_errno(e, -errno, "cannot make %s", temp);
    r = snapshot_http(o->address, "GET", -1, fd, o->token, e);
    if (r == 0 && fsync(fd) < 0)
        r = err_errno(e, -errno, "cannot write %s", temp);
    return r;
}

static void sync_folder(const char *path)
{
    _cleanup_free_ char *dir = xstrdup(path);
    char *slash = strrchr(dir, '/');
    _cleanup_close_ int fd = -1;

    if (slash)
        slash[slash == dir] = 0;
    fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        (void)fsync(fd);
}

static int save(const struct options *o, struct err *e)
{
    _cleanup_free_ char *temp = xasprintf("%s.%ld.tmp", o->file, (long)getpid());
    struct content c = {0};
    int r;

    if (!o->force && access(o->file, F_OK) == 0)
        return err_set(e, -EEXIST, "%s exists; -force replaces it", o->file);
    r = fetch(o, temp, e);
    if (r == 0)
        r = read_file(temp, &c, e);
    if (r == 0 && rename(temp, o->file) < 0)
        r = err_errno(e, -errno, "cannot make %s", o->file);
    if (r < 0) {
        (void)unlink(temp);
        return r;
    }
    sync_folder(o->file);
    printf("Snapshot saved to %s: %" PRIu64 " nodes, index %" PRIu64 "\n", o->file, c.info.nodes,
           c.info.index);
    return 0;
}

/* --- inspect --- */

static int inspect(const struct options *o, struct err *e)
{
    struct content c = {0};
    char created[32] = "";
    time_t at;
    struct tm tm;
    int r = read_file(o->file, &c, e);

    if (r < 0)
        return r;
    at = (time_t)(c.info.created_ms / 1000);
    if (gmtime_r(&at, &tm))
        (void)strftime(created, sizeof(created), "%Y-%m-%dT%H:%M:%SZ", &tm);
    if (o->json) {
        printf("{\"Created\":\"%s\",\"ID\":\"%s\",\"Release\":\"%s\",\"Format\":%d,"
               "\"Index\":%" PRIu64 ",\"FileSize\":%" PRIu64 ",\"Size\":%" PRIu64
               ",\"Checksums\":\"ok\",\"Nodes\":%" PRIu64 ",\"ByStatus\":{",
               created, c.id, c.release, ARCHIVE_FORMAT, c.info.index, c.file_bytes,
               c.info.state_bytes, c.info.nodes);
        for (unsigned s = 0; s < STATUS_MAX; s++)
            printf("%s\"%s\":%" PRIu64, s ? "," : "", node_status_name((enum node_status)s),
                   c.by_status[s]);
        printf("}}\n");
        return 0;
    }
    printf(
        "Created    = %s\nID         = %s\nRelease    = %s\nFormat     = %d\nIndex      = %" PRIu64
        "\nFile size  = %" PRIu64 "\nState size = %" PRIu64 "\nChecksums  = ok\n\nType  Status"
        "         Count\n",
        created, c.id, c.release, ARCHIVE_FORMAT, c.info.index, c.file_bytes, c.info.state_bytes);
    for (unsigned s = 0; s < STATUS_MAX; s++)
        if (c.by_status[s] > 0)
            printf("node  %-13s  %" PRIu64 "\n", node_status_name((enum node_status)s),
                   c.by_status[s]);
    printf("node  %-13s  %" PRIu64 "\n", "total", c.info.nodes);
    return 0;
}

/* --- restore --- */

static int restore(const struct options *o, struct err *e)
{
    _cleanup_close_ int fd = open(o->file, O_RDONLY | O_CLOEXEC);
    int r;

    if (fd < 0)
        return err_errno(e, -errno, "cannot open %s", o->file);
    r = snapshot_http(o->address, "PUT", fd, -1, o->token, e);
    if (r == 0)
        printf("Snapshot restored\n");
    return r;
}

/* --- the command line --- */

static bool flag_value(const char *arg, const char *name, const char **ret)
{
    size_t n = strlen(name);

    if (strncmp(arg, name, n) != 0 || arg[n] != '=')
        return false;
    *ret = arg + n + 1;
    return true;
}

/* -1: an argument that nobody knows; 1: help */
struct verb {
    const char *name;
    int (*fn)(const struct options *o, struct err *e);
};

/* NULL when there is none of that name */
static const struct verb *find_verb(const char *name)
{
    static const struct verb verbs[] = {
        {"save",    save   },
        {"inspect", inspect},
        {"restore", restore},
    };

    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (str_eq(name, verbs[i].name))
            return &verbs[i];
    return NULL;
}

/* 1 = help was asked for */
static int parse(int argc, char **argv, struct options *o, struct err *e)
{
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i];

        if (*a != '-') {
            if (!o->verb)
                o->verb = a;
            else if (!o->file)
                o->file = a;
            else
                return (void)err_set(e, -EINVAL, "one FILE is enough, what is \"%s\"?", a), -EINVAL;
            continue;
        }
        a += a[1] == '-';
        if (str_eq(a, "-h") || str_eq(a, "-help"))
            return 1;
        if (str_eq(a, "-force"))
            o->force = true;
        else if (str_eq(a, "-json"))
            o->json = true;
        else if (!flag_value(a, "-address", &o->address) && !flag_value(a, "-token", &o->token) &&
                 !flag_value(a, "-config", &o->config))
            return (void)err_set(e, -EINVAL, "flag provided but not defined: %s", a), -EINVAL;
    }
    if (!o->verb)
        return (void)err_set(e, -EINVAL, "save, inspect or restore?"), -EINVAL;
    if (!find_verb(o->verb))
        return (void)err_set(e, -EINVAL, "\"%s\" is none of save, inspect, restore", o->verb),
               -EINVAL;
    if (o->file)
        return 0;
    return (void)err_set(e, -EINVAL, "FILE is missing"), -EINVAL;
}

/* the address that the configuration says; owned by the caller */
static char *configured_address(const struct options *o)
{
    struct conf_report report = {0};
    struct conf c = {0};
    char *bind = NULL, *advertise = NULL;
    struct err e;

    if (!o->config || conf_load(&o->config, 1, CONF_SERVER, &c, &report) < 0) {
        conf_report_done(&report);
        return xstrdup("127.0.0.1:4646");
    }
    if (conf_http_addresses(&c, &bind, &advertise, &e) < 0)
        bind = xstrdup("127.0.0.1:4646");
    if (str_starts(bind, "0.0.0.0:")) {
        char *local = xasprintf("127.0.0.1:%s", bind + strlen("0.0.0.0:"));

        free(bind);
        bind = local;
    }
    free(advertise);
    conf_done(&c);
    conf_report_done(&report);
    return bind;
}

int snapshot_command(int argc, char **argv)
{
    _cleanup_free_ char *address = NULL;
    struct options o = {0};
    struct err e = {0};
    int r = parse(argc, argv, &o, &e);

    if (r > 0) {
        (void)fputs(usage, stdout);
        return 0;
    }
    if (r < 0) {
        (void)fprintf(stderr, "Error: %s\n%s", e.text, usage);
        return 1;
    }
    (void)signal(SIGPIPE, SIG_IGN); /* banned-ok: a command without a loop */
    if (!o.address)
        address = configured_address(&o);
    if (address)
        o.address = address;
    if (find_verb(o.verb)->fn(&o, &e) == 0)
        return 0;
    (void)fprintf(stderr, "Error: %s\n", e.text);
    return 1;
}
