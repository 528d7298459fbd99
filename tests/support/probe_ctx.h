/* tests/support/probe_ctx.h - running one probe inside a test. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "codec/ops.h"
#include "fingerprint/probe.h"

#define _cleanup_fp_ _cleanup_(fp_freep)

/* the result of a row below a root ("" = the real host), as root; never NULL */
static inline struct fp *probe_once(const struct probe *row, const char *root,
                                    const struct probe_conf *conf)
{
    static const struct probe_conf none;
    struct probe_ctx ctx = {.root = root, .conf = conf ? conf : &none};
    struct fp *fp = fp_new(row->name);
    int r = row->run(&ctx, fp);

    assert_int_equal(r == 0, fp->ok);
    return fp;
}

/* the first check of that id, or NULL; several may have the same */
static inline const struct why *probe_why(const struct fp *fp, const char *id)
{
    for (size_t i = 0; i < fp->n_whys; i++)
        if (str_eq(fp->whys[i].id, id))
            return &fp->whys[i];
    return NULL;
}

/* a new empty folder below TMPDIR; owned by the caller, who may leave it there */
static inline char *probe_root(void)
{
    const char *tmp = getenv("TMPDIR");
    char *path = xasprintf("%s/rootXXXXXX", tmp ? tmp : "/tmp");

    assert_non_null(mkdtemp(path));
    return path;
}

/* writes a file below a root, with the folders above it */
static inline void probe_put(const char *root, const char *path, const char *text)
{
    _cleanup_free_ char *full = xasprintf("%s/%s", root, path);
    char *slash = strrchr(full, '/');
    struct err e = {0};

    *slash = 0;
    assert_int_equal(dir_make(full, 0755, &e), 0);
    *slash = '/';
    assert_int_equal(file_write_atomic(full, text, strlen(text), 0644, &e), 0);
}
