#include "tests/support/conf_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/str.h"

char *conf_file_path(const char *name)
{
    const char *tmp = getenv("TMPDIR");

    return xasprintf("%s/%s", tmp ? tmp : "/tmp", name);
}

char *conf_file_write(const char *name, const char *text)
{
    char *path = conf_file_path(name);
    _cleanup_free_ char *folder = xstrdup(path);

    *strrchr(folder, '/') = 0;
    if (dir_make(folder, 0755, NULL) < 0 ||
        file_write_atomic(path, text, strlen(text), 0644, NULL) < 0) {
        (void)fprintf(stderr, "cannot write %s\n", path);
        abort();
    }
    return path;
}

static void shorten(char **lines, size_t n)
{
    _cleanup_free_ char *folder = conf_file_path("");

    for (size_t i = 0; i < n; i++)
        for (char *at; (at = strstr(lines[i], folder));)
            memmove(at, at + strlen(folder), strlen(at + strlen(folder)) + 1);
}

void conf_report_shorten(struct conf_report *r)
{
    shorten(r->errors, r->n_errors);
    shorten(r->warnings, r->n_warnings);
}

int conf_texts_of(unsigned role, struct conf *c, struct conf_report *r, const char *const *texts)
{
    char **paths = NULL;
    size_t n = 0;
    int code;

    conf_done(c);
    conf_report_done(r);
    while (texts[n]) {
        char name[32];

        (void)snprintf(name, sizeof(name), "f%zu.hcl", n);
        strv_add(&paths, &n, "");
        free(paths[n - 1]);
        paths[n - 1] = conf_file_write(name, texts[n - 1]);
    }
    code = conf_load((const char *const *)paths, n, role, c, r);
    conf_report_shorten(r);
    strv_done(&paths, &n);
    return code;
}

char *conf_lines(char *const *lines, size_t n)
{
    struct buf b = BUF_INIT((size_t)1 << 20);
    size_t len;

    for (size_t i = 0; i < n; i++)
        buf_printf(&b, "%s\n", lines[i]);
    return (char *)buf_take(&b, &len);
}
