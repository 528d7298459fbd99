#include "probe/remove.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/str.h"
#include "codec/js.h"
#include "codec/ops.h"

enum {
    DEPTH_MAX = 256,     /* one descriptor for each level */
    PATH_TEXT_MAX = 300, /* bytes of a path that are told: JSON makes six of one */
};

struct removal {
    struct answer_delete *answer;
    uint64_t mount; /* everything happens on this one */
    unsigned depth;
    int top;      /* the outermost folder; borrowed */
    size_t moved; /* folders that lay too deep and lie in it now */
};

/* the mount that a file is on; its device where an old kernel does not tell */
static int mount_of(int fd, uint64_t *ret)
{
    struct statx sx = {0};

    if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &sx) < 0)
        return -errno;
    *ret = sx.stx_mask & STATX_MNT_ID ? sx.stx_mnt_id
                                      : ((uint64_t)sx.stx_dev_major << 32 | sx.stx_dev_minor);
    return 0;
}

static void keep(struct removal *rm, const char *path, const char *why)
{
    _cleanup_free_ char *text = NULL;

    rm->answer->n_kept++;
    if (rm->answer->n_kept > ANSWER_KEPT_MAX)
        return;
    text = xasprintf("%.*s%s: %s", PATH_TEXT_MAX, path, strlen(path) > PATH_TEXT_MAX ? "..." : "",
                     why);
    strv_add(&rm->answer->kept, &rm->answer->n_kept_texts, text);
}

/* A folder that lies too deep: up into the outermost one, where the next round finds it.  Whatever
 * it meets there is to be deleted as well.  Whether it is gone from here. */
static bool move_up(struct removal *rm, int dir_fd, const char *name, const char *path)
{
    int r;

    do {
        _cleanup_free_ char *to = xasprintf(".removing-%zu", rm->moved++);

        r = renameat(dir_fd, name, rm->top, to) < 0 ? errno : 0;
    } while (r == EEXIST || r == ENOTEMPTY || r == ENOTDIR || r == EISDIR);
    if (r == 0 || r == ENOENT)
        return true;
    rm->moved--;
    keep(rm, path, strerror(r));
    return false;
}

static bool remove_entry(struct removal *rm, int dir_fd, const char *name, const char *path);

/* takes fd; whether the folder is empty now */
static bool empty_folder(struct removal *rm, int take_fd, const char *path)
{
    DIR *d = fdopendir(take_fd);
    const struct dirent *de;
    bool empty = true;

    if (!d) {
        keep(rm, path, strerror(errno));
        (void)close(take_fd);
        return false;
    }
    while ((de = readdir(d))) {
        _cleanup_free_ char *below = NULL;

        if (str_eq(de->d_name, ".") || str_eq(de->d_name, ".."))
            continue;
        below = xasprintf("%s/%s", path, de->d_name);
        empty = remove_entry(rm, dirfd(d), de->d_name, below) && empty;
    }
    (void)closedir(d);
    return empty;
}

static bool remove_folder(struct removal *rm, int take_fd, int dir_fd, const char *name,
                          const char *path)
{
    uint64_t mount;
    bool empty;
    int r = mount_of(take_fd, &mount);

    if (r < 0 || mount != rm->mount) {
        keep(rm, path, r < 0 ? strerror(-r) : "something is mounted there");
        (void)close(take_fd);
        return false;
    }
    if (rm->depth == DEPTH_MAX) {
        (void)close(take_fd);
        return move_up(rm, dir_fd, name, path);
    }
    if (rm->depth++ == 0)
        rm->top = take_fd;
    empty = empty_folder(rm, take_fd, path);
    rm->depth--;
    if (!empty)
        return false;
    if (unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT) {
        keep(rm, path, strerror(errno));
        return false;
    }
    rm->answer->deleted++;
    return true;
}

/* whether it is gone */
static bool remove_entry(struct removal *rm, int dir_fd, const char *name, const char *path)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd >= 0)
        return remove_folder(rm, fd, dir_fd, name, path);
    if (errno == ENOENT)
        return true;
    if (errno != ENOTDIR && errno != ELOOP) {
        keep(rm, path, strerror(errno));
        return false;
    }
    if (unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT) {
        keep(rm, path, strerror(errno));
        return false;
    }
    rm->answer->deleted++;
    return true;
}

/* again while folders came up from below; what the last round kept is what counts */
static void remove_all(struct removal *rm, int dir_fd, const char *name, const char *path)
{
    size_t moved;

    do {
        moved = rm->moved;
        rm->answer->n_kept = 0;
        strv_done(&rm->answer->kept, &rm->answer->n_kept_texts);
        (void)remove_entry(rm, dir_fd, name, path);
    } while (rm->moved > moved);
}

/* --- the way there --- */

/* the part of path behind the folder, as names; -EINVAL when it does not lie below it */
static int split_below(const char *below, const char *path, char ***ret, size_t *ret_n,
                       struct err *e)
{
    size_t n = strlen(below);

    while (n > 1 && below[n - 1] == '/')
        n--;
    if (below[0] != '/' || n < 2 || strncmp(path, below, n) != 0 || path[n] != '/')
        return err_set(e, -EINVAL, "%.200s does not lie below %.200s", path, below);
    strv_split(path + n, "/", ret, ret_n);
    if (*ret_n > 0 && !strv_has(*ret, *ret_n, "..") && !strv_has(*ret, *ret_n, "."))
        return 0;
    strv_done(ret, ret_n);
    return err_set(e, -EINVAL, "%.200s does not name a file below %.200s", path, below);
}

/* takes fd; the folder that holds the last of the names.  1 when it is not there. */
static int walk(struct removal *rm, int take_fd, char *const *names, size_t n, int *ret,
                struct err *e)
{
    _cleanup_close_ int fd = take_fd;

    for (size_t i = 0; i + 1 < n; i++) {
        int next = openat(fd, names[i], O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        uint64_t mount = 0;

        if (next < 0 && errno == ENOENT)
            return 1;
        if (next < 0)
            return err_errno(e, -errno, "folder %.200s on the way", names[i]);
        (void)close(fd);
        fd = next;
        if (mount_of(fd, &mount) < 0 || mount != rm->mount)
            return err_set(e, -EXDEV, "something is mounted on the way, at %.200s", names[i]);
    }
    *ret = steal_fd(&fd);
    return 0;
}

int remove_tree(const char *below, const char *path, struct answer_delete *ret, struct err *e)
{
    struct removal rm = {.answer = ret};
    char **names = NULL;
    size_t n = 0;
    int fd, dir_fd = -1, r;

    r = split_below(below, path, &names, &n, e);
    if (r < 0)
        return r;
    fd = open(below, O_PATH | O_DIRECTORY | O_CLOEXEC);
    r = fd < 0 ? -errno : mount_of(fd, &rm.mount);
    if (r < 0) {
        (void)fd_close(fd);
        r = err_errno(e, r, "%.200s", below);
    } else {
        r = walk(&rm, fd, names, n, &dir_fd, e);
    }
    if (r == 0 && names)
        remove_all(&rm, dir_fd, names[n - 1], path);
    (void)fd_close(dir_fd);
    strv_done(&names, &n);
    return r < 0 ? r : 0;
}

int remove_print(const char *below, const char *path, struct err *e)
{
    _cleanup_buf_ struct buf b = BUF_INIT(READ_CAP_STATE);
    struct answer_delete a = {0};
    int r = remove_tree(below, path, &a, e);

    if (r == 0) {
        js_encode(&b, &desc_answer_delete, &a, 0);
        (void)printf("%s\n", buf_str(&b));
    }
    ops_clear(&desc_answer_delete, &a);
    return r;
}
