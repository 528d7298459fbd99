/* fingerprint/look.h - reading the host's files below the root of a probe. */
#pragma once

#include "fingerprint/probe.h"

/* The path below ctx->root; owned by the caller. */
char *look_path(const struct probe_ctx *ctx, const char *fmt, ...) _printf_(2, 3) _must_check_;
/* a whole file of /proc, /sys or /etc (at most READ_CAP_PROC); the text is the caller's */
int look_text(const struct probe_ctx *ctx, char **ret, const char *fmt, ...)
    _printf_(3, 4) _must_check_;
/* its first line, trimmed */
int look_line(const struct probe_ctx *ctx, char **ret, const char *fmt, ...)
    _printf_(3, 4) _must_check_;
/* its first line as a number; -EINVAL when it is none */
int look_u64(const struct probe_ctx *ctx, uint64_t *ret, const char *fmt, ...)
    _printf_(3, 4) _must_check_;
/* "0-3,8" as a list; an empty line gives an empty one */
int look_cpulist(const struct probe_ctx *ctx, uint16_t **ret, size_t *ret_n, const char *fmt, ...)
    _printf_(4, 5) _must_check_;

/* The value of the first line "key<blanks>:<blanks>value" of a text like /proc/cpuinfo or
 * /proc/meminfo, owned by the caller; NULL when there is none. */
char *look_field(const char *text, const char *key);
/* The names in a folder, sorted, as keys; at most 4096, none when it cannot be read. */
void look_folder(const char *path, struct strmap *ret);
