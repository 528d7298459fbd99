#include "fingerprint/mounts.h"

#include <string.h>

#include "base/parse.h"
#include "base/str.h"
#include "base/vec.h"
#include "fingerprint/look.h"

enum { MOUNT_FIELDS_MIN = 9 }; /* six, "-", type, source */

/* \040 and the like, in place */
static void unescape(char *s)
{
    char *out = s;

    while (*s) {
        if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
            s[3] >= '0' && s[3] <= '7') {
            *out++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
            s += 4;
        } else {
            *out++ = *s++;
        }
    }
    *out = 0;
}

static char *field(const char *s)
{
    char *copy = xstrdup(s);

    unescape(copy);
    return copy;
}

/* "36 35 98:0 /root /point options optional* - type source options" */
static void parse_line(const char *line, struct mounts *ret)
{
    char **w = NULL;
    size_t n = 0, dash = 6;
    uint64_t id;

    strv_split(line, " ", &w, &n);
    while (dash < n && !str_eq(w[dash], "-"))
        dash++;
    if (n >= MOUNT_FIELDS_MIN && dash + 2 < n && parse_u64(w[0], &id) == 0) {
        struct mount *m = vec_add(&ret->v, &ret->n);

        m->id = id;
        m->point = field(w[4]);
        m->fstype = field(w[dash + 1]);
        m->source = field(w[dash + 2]);
    }
    strv_done(&w, &n);
}

void mounts_parse(const char *mountinfo, struct mounts *ret)
{
    while (*mountinfo) {
        size_t n = strcspn(mountinfo, "\n");
        _cleanup_free_ char *line = xstrndup(mountinfo, n);

        parse_line(line, ret);
        mountinfo += n + (mountinfo[n] == '\n');
    }
}

int mounts_read(const struct probe_ctx *ctx, struct mounts *ret)
{
    _cleanup_free_ char *text = NULL;
    int r = look_text(ctx, &text, "/proc/self/mountinfo");

    if (r == 0)
        mounts_parse(text, ret);
    return r;
}

void mounts_done(struct mounts *m)
{
    for (size_t i = 0; i < m->n; i++) {
        free(m->v[i].point);
        free(m->v[i].fstype);
        free(m->v[i].source);
    }
    free(m->v);
    *m = (struct mounts){0};
}

const struct mount *mounts_by_id(const struct mounts *m, uint64_t id)
{
    for (size_t i = 0; i < m->n; i++)
        if (m->v[i].id == id)
            return &m->v[i];
    return NULL;
}

const struct mount *mounts_by_path(const struct mounts *m, const char *path)
{
    const struct mount *best = NULL;
    size_t best_len = 0;

    for (size_t i = 0; i < m->n; i++) {
        const char *point = m->v[i].point;
        size_t n = strlen(point);

        if (n == 1) /* "/" is the parent of all */
            n = 0;
        if (strncmp(path, point, n) != 0 || (path[n] && path[n] != '/'))
            continue;
        if (!best || n >= best_len) {
            best = &m->v[i];
            best_len = n;
        }
    }
    return best;
}

char *mounts_describe(const struct mounts *m, const char *path)
{
    const struct mount *on = *path == '/' ? mounts_by_path(m, path) : NULL;

    if (!on)
        return xstrdup("");
    return xasprintf(", on the %s mount %s of %s", on->fstype, on->point, on->source);
}

bool mounts_is_remote(const char *fstype)
{
    static const char *const remote[] = {"9p",    "afs",   "autofs",    "beegfs", "ceph",
                                         "cifs",  "gfs2",  "glusterfs", "gpfs",   "lustre",
                                         "ncpfs", "nfs",   "nfs4",      "ocfs2",  "orangefs",
                                         "smb3",  "smbfs", "virtiofs"};

    if (str_starts(fstype, "fuse"))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(remote); i++)
        if (str_eq(fstype, remote[i]))
            return true;
    return false;
}
