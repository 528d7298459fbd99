#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/parse.h"
#include "base/str.h"

int file_read_fd(int fd, size_t cap, char **ret, size_t *ret_len)
{
    _cleanup_buf_ struct buf b = BUF_INIT(cap);
    char chunk[16384];
    size_t len;

    for (;;) {
        ssize_t n = read(fd, chunk, sizeof(chunk));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        buf_add(&b, chunk, (size_t)n);
        if (buf_ok(&b) < 0)
            return -EFBIG;
    }
    *ret = (char *)buf_take(&b, &len);
    if (ret_len)
        *ret_len = len;
    return 0;
}

int file_read(const char *path, size_t cap, char **ret, size_t *ret_len)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

    return fd < 0 ? -errno : file_read_fd(fd, cap, ret, ret_len);
}

int file_read_line(const char *path, char **ret)
{
    _cleanup_free_ char *text = NULL;
    int r = file_read(path, 1024 * 1024, &text, NULL);

    if (r < 0)
        return r;
    text[strcspn(text, "\n")] = 0;
    *ret = xstrdup(str_trim(text));
    return 0;
}

int file_read_u64(const char *path, uint64_t *ret)
{
    _cleanup_free_ char *line = NULL;
    int r = file_read_line(path, &line);

    return r < 0 ? r : parse_u64(line, ret);
}

int file_write_all(int fd, const void *p, size_t n)
{
    const char *at = p;

    while (n > 0) {
        ssize_t done = write(fd, at, n);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -errno;
        at += done;
        n -= (size_t)done;
    }
    return 0;
}

static int sync_folder_of(const char *path)
{
    _cleanup_free_ char *folder = xstrdup(path);
    char *slash = strrchr(folder, '/');
    _cleanup_close_ int fd = -1;

    if (slash)
        slash[slash == folder] = 0;
    fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return -errno;
    return 0;
}

static int write_temporary(const char *tmp, const void *p, size_t n, unsigned mode)
{
    _cleanup_close_ int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
    int r;

    if (fd < 0 || fchmod(fd, mode) < 0)
        return -errno;
    r = file_write_all(fd, p, n);
    if (r < 0)
        return r;
    return fsync(fd) < 0 ? -errno : 0;
}

int file_write_atomic(const char *path, const void *p, size_t n, unsigned mode, struct err *e)
{
    _cleanup_free_ char *tmp = xasprintf("%s.tmp", path);
    int r = write_temporary(tmp, p, n, mode);

    if (r == 0 && rename(tmp, path) < 0)
        r = -errno;
    if (r == 0)
        r = sync_folder_of(path);
    if (r < 0) {
        (void)unlink(tmp);
        return err_errno(e, r, "cannot write %s", path);
    }
    return 0;
}

int dir_make(const char *path, unsigned mode, struct err *e)
{
    _cleanup_free_ char *copy = xstrdup(path);
    struct stat st;

    if (!*path)
        return err_set(e, -EINVAL, "a folder without a name cannot be made");
    for (char *p = copy + 1;; p++) {
        char c = *p;

        if (c && c != '/')
            continue;
        *p = 0;
        if (mkdir(copy, mode) == 0)
            (void)sync_folder_of(copy); /* what is in it is not more durable than its name */
        else if (errno != EEXIST)
            return err_errno(e, -errno, "cannot make the folder %s", copy);
        *p = c;
        if (!c)
            break;
    }
    if (stat(path, &st) < 0)
        return err_errno(e, -errno, "cannot look at %s", path);
    if (!S_ISDIR(st.st_mode))
        return err_set(e, -ENOTDIR, "%s is there but is not a folder", path);
    return 0;
}

char *path_join(const char *root, const char *rest)
{
    if (str_empty(root) || str_eq(root, "/"))
        return xstrdup(rest);
    return xasprintf("%s%s%s", root, rest[0] == '/' ? "" : "/", rest);
}

char *file_find_helper(const char *name)
{
    static const char *const places[] = {"", "../libexec/picket/"};
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    char *slash;

    if (n <= 0)
        return NULL;
    self[n] = 0;
    slash = strrchr(self, '/');
    for (size_t i = 0; slash && i < ARRAY_LEN(places); i++) {
        _cleanup_free_ char *path =
            xasprintf("%.*s/%s%s", (int)(slash - self), self, places[i], name);

        if (access(path, X_OK) == 0)
            return steal_ptr(&path);
    }
    return NULL;
}
