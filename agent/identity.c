#include "agent/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/str.h"

enum { ID_FILE_MAX = 4096 }; /* an id with blanks around it; anything longer is no id */

/* The process that holds a lock on the file, from /proc/locks; 0 when it is not to be seen (other
 * pid namespace). */
static pid_t lock_holder(int fd)
{
    _cleanup_free_ char *text = NULL;
    struct stat st;
    char want[64];

    if (fstat(fd, &st) < 0 || file_read("/proc/locks", READ_CAP_PROC, &text, NULL) < 0)
        return 0;
    (void)snprintf(want, sizeof(want), " %02x:%02x:%llu ", major(st.st_dev), minor(st.st_dev),
                   (unsigned long long)st.st_ino);
    for (char *line = text, *next; line && *line; line = next) {
        uint64_t pid;
        char *at, *start;

        next = strchr(line, '\n');
        if (next)
            *next++ = 0;
        at = strstr(line, want);
        if (!at || !strstr(line, "FLOCK"))
            continue;
        *at = 0;
        start = strrchr(line, ' ');
        if (start && parse_u64(start + 1, &pid) == 0)
            return (pid_t)pid;
    }
    return 0;
}

static int lock_failed(const char *path, int fd, int r, const char *who, struct err *e)
{
    _cleanup_free_ char *comm_path = NULL, *comm = NULL;
    pid_t pid;

    if (r != -EWOULDBLOCK)
        return err_errno(e, r, "cannot lock %s", path);
    pid = lock_holder(fd);
    if (pid == 0)
        return err_set(e, -EBUSY, "%s is in use by %s", path, who);
    comm_path = xasprintf("/proc/%d/comm", (int)pid);
    if (file_read_line(comm_path, &comm) < 0)
        comm = xstrdup("a process");
    return err_set(e, -EBUSY, "%s is in use by %s: %s (pid %d)", path, who, comm, (int)pid);
}

static int lock_state_dir(const char *dir, struct identity *id, struct err *e)
{
    _cleanup_free_ char *db = xasprintf("%s/state.db", dir);

    id->lock_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (id->lock_fd < 0)
        return err_errno(e, -errno, "cannot open %s", dir);
    if (flock(id->lock_fd, LOCK_EX | LOCK_NB) < 0)
        return lock_failed(dir, id->lock_fd, -errno, "another agent", e);
    id->nomad_fd = open(db, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (id->nomad_fd >= 0 && flock(id->nomad_fd, LOCK_EX | LOCK_NB) < 0)
        return lock_failed(db, id->nomad_fd, -errno, "a running Nomad agent", e);
    return 0;
}

/* 0 = an id was read; 1 = there is none yet (no file, or an empty one) */
static int read_id(const char *path, char ret[UUID_TEXT_LEN + 1], struct err *e)
{
    _cleanup_free_ char *text = NULL;
    struct uuid u;
    size_t n;
    char *s;
    int r = file_read(path, ID_FILE_MAX, &text, &n);

    if (r == -ENOENT)
        return 1;
    if (r < 0 && r != -EFBIG)
        return err_errno(e, r, "cannot read %s", path);
    if (r == 0 && strlen(text) == n) {
        s = str_trim(text);
        if (!*s)
            return 1;
        if (strlen(s) == UUID_TEXT_LEN && uuid_parse(s, &u) == 0) {
            uuid_format(&u, ret);
            return 0;
        }
    }
    return err_set(e, -EINVAL,
                   "%s holds no id: expected 36 characters like "
                   "f7476465-4d6e-c0de-26d0-e383c49be941; restore the file, or remove it to get a "
                   "new id",
                   path);
}

static void warn_if_open_to_others(const char *path)
{
    struct stat st;

    if (stat(path, &st) == 0 && (st.st_mode & 077))
        (void)log_warn(0, "identity file can be read by others", KV("path", path));
}

/* first line, lower-cased; "" when there is none */
static char *host_line(const char *root, const char *file)
{
    _cleanup_free_ char *path = path_join(root, file);
    char *line = NULL;

    if (file_read_line(path, &line) < 0)
        return xstrdup("");
    return str_lower(line);
}

static char *host_uuid(const char *root)
{
    _cleanup_free_ char *dmi = host_line(root, "/sys/class/dmi/id/product_uuid");
    _cleanup_free_ char *machine = host_line(root, "/etc/machine-id");

    if (*dmi)
        return steal_ptr(&dmi);
    if (strlen(machine) == 32)
        return xasprintf("%.8s-%.4s-%.4s-%.4s-%.12s", machine, machine + 8, machine + 12,
                         machine + 16, machine + 20);
    return host_line(root, "/proc/sys/kernel/random/boot_id");
}

int identity_from_host(const char *root, char ret[UUID_TEXT_LEN + 1])
{
    _cleanup_free_ char *text = host_uuid(root);
    struct uuid u;
    uint8_t digest[64];

    if (uuid_parse(text, &u) < 0)
        return -ENOENT;
    sha512(text, UUID_TEXT_LEN, digest);
    memcpy(u.b, digest, UUID_BYTES);
    uuid_format(&u, ret);
    return 0;
}

static void make_node_id(const struct identity_opts *o, char ret[UUID_TEXT_LEN + 1])
{
    if (!o->no_host_uuid) {
        if (identity_from_host(str_or_empty(o->root), ret) == 0)
            return;
        (void)log_warn(0, "the host has no unique id, the node gets a random one");
    }
    uuid_random(ret);
}

static int open_ids(const struct identity_opts *o, struct identity *id, struct err *e)
{
    _cleanup_free_ char *id_path = xasprintf("%s/client-id", o->state_dir);
    _cleanup_free_ char *secret_path = xasprintf("%s/secret-id", o->state_dir);
    int no_id, no_secret, r;

    /* both are read before any is written: a bad one leaves the folder as it is */
    no_id = read_id(id_path, id->node_id, e);
    if (no_id < 0)
        return no_id;
    no_secret = read_id(secret_path, id->secret_id, e);
    if (no_secret < 0)
        return no_secret;
    id->created = no_id;
    if (no_id)
        make_node_id(o, id->node_id);
    if (no_secret)
        uuid_random(id->secret_id);
    if (no_secret && !no_id)
        (void)log_warn(0, "the node's secret is lost: a server that knows the node will refuse it",
                       KV("path", secret_path), KV("node_id", id->node_id));
    /* the secret first: an id without a secret would look like a lost one */
    r = no_secret ? file_write_atomic(secret_path, id->secret_id, UUID_TEXT_LEN, 0600, e) : 0;
    if (r == 0 && no_id)
        r = file_write_atomic(id_path, id->node_id, UUID_TEXT_LEN, 0600, e);
    if (r < 0)
        return r;
    warn_if_open_to_others(id_path);
    warn_if_open_to_others(secret_path);
    return 0;
}

int identity_open(const struct identity_opts *o, struct identity *ret, struct err *e)
{
    struct identity id = {.lock_fd = -1, .nomad_fd = -1};
    int r;

    r = dir_make(o->state_dir, 0700, e);
    if (r == 0)
        r = lock_state_dir(o->state_dir, &id, e);
    if (r == 0)
        r = open_ids(o, &id, e);
    if (r < 0) {
        identity_done(&id);
        return r;
    }
    *ret = id;
    return 0;
}

void identity_done(struct identity *id)
{
    id->lock_fd = fd_close(id->lock_fd);
    id->nomad_fd = fd_close(id->nomad_fd);
}
