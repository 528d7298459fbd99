#include "fingerprint/look.h"

#include <dirent.h>
#include <string.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/parse.h"
#include "base/str.h"

enum {
    CPULIST_MAX = 65536,
    FOLDER_MAX = 4096,
};

static char *look_vpath(const struct probe_ctx *ctx, const char *fmt, va_list ap) _printf_(2, 0);
static char *look_vpath(const struct probe_ctx *ctx, const char *fmt, va_list ap)
{
    _cleanup_free_ char *rest = xvasprintf(fmt, ap);

    return path_join(ctx->root, rest);
}

char *look_path(const struct probe_ctx *ctx, const char *fmt, ...)
{
    va_list ap;
    char *path;

    va_start(ap, fmt);
    path = look_vpath(ctx, fmt, ap);
    va_end(ap);
    return path;
}

int look_text(const struct probe_ctx *ctx, char **ret, const char *fmt, ...)
{
    _cleanup_free_ char *path = NULL;
    va_list ap;

    va_start(ap, fmt);
    path = look_vpath(ctx, fmt, ap);
    va_end(ap);
    return file_read(path, READ_CAP_PROC, ret, NULL);
}

int look_line(const struct probe_ctx *ctx, char **ret, const char *fmt, ...)
{
    _cleanup_free_ char *path = NULL;
    va_list ap;

    va_start(ap, fmt);
    path = look_vpath(ctx, fmt, ap);
    va_end(ap);
    return file_read_line(path, ret);
}

int look_u64(const struct probe_ctx *ctx, uint64_t *ret, const char *fmt, ...)
{
    _cleanup_free_ char *path = NULL;
    va_list ap;

    va_start(ap, fmt);
    path = look_vpath(ctx, fmt, ap);
    va_end(ap);
    return file_read_u64(path, ret);
}

int look_cpulist(const struct probe_ctx *ctx, uint16_t **ret, size_t *ret_n, const char *fmt, ...)
{
    _cleanup_free_ char *path = NULL, *line = NULL;
    va_list ap;
    int r;

    va_start(ap, fmt);
    path = look_vpath(ctx, fmt, ap);
    va_end(ap);
    r = file_read_line(path, &line);
    if (r < 0)
        return r;
    if (!*line) {
        *ret = NULL;
        *ret_n = 0;
        return 0;
    }
    return parse_cpulist(line, CPULIST_MAX, ret, ret_n);
}

char *look_field(const char *text, const char *key)
{
    size_t n = strlen(key);

    for (const char *line = text; line; line = strchr(line, '\n')) {
        const char *at;

        line += *line == '\n';
        if (strncmp(line, key, n) != 0)
            continue;
        at = line + n + strspn(line + n, " \t");
        if (*at != ':')
            continue;
        at++;
        at += strspn(at, " \t");
        return xstrndup(at, strcspn(at, "\n"));
    }
    return NULL;
}

void look_folder(const char *path, struct strmap *ret)
{
    DIR *d = opendir(path);
    const struct dirent *entry;

    if (!d)
        return;
    while (ret->n < FOLDER_MAX && (entry = readdir(d)))
        if (entry->d_name[0] != '.')
            strmap_set(ret, entry->d_name, "");
    (void)closedir(d);
}
