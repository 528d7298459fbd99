/* base/file.h - small files: read whole with a ceiling, replaced whole or not at all. */
#pragma once

#include "base/err.h"

/* Reads a whole file (also from /proc and /sys, whose sizes lie).  The text is NUL-terminated and
 * owned by the caller.  -EFBIG when it is longer than cap. */
int file_read(const char *path, size_t cap, char **ret, size_t *ret_len) _must_check_;
/* the same from where an open descriptor stands to its end, a pipe too */
int file_read_fd(int fd, size_t cap, char **ret, size_t *ret_len) _must_check_;
/* all of it, to a descriptor that blocks; 0 or negative errno */
int file_write_all(int fd, const void *p, size_t n) _must_check_;
/* first line without its end, trimmed */
int file_read_line(const char *path, char **ret) _must_check_;
int file_read_u64(const char *path, uint64_t *ret) _must_check_;
/* Replaces a file: temporary file in the same folder, fsync, rename, fsync of the folder.  A reader
 * sees the old or the new content, also after a crash. */
int file_write_atomic(const char *path, const void *p, size_t n, unsigned mode,
                      struct err *e) _must_check_;
/* makes a folder and what is missing above it; 0 also when it is there */
int dir_make(const char *path, unsigned mode, struct err *e) _must_check_;
/* "root/rest" where root "" or "/" means the real root; for fixture trees.  Owned by the caller. */
char *path_join(const char *root, const char *rest) _must_check_;
/* A helper program that came with this one: beside it (a build folder), else in ../libexec/picket
 * (an installation, below whatever prefix).  NULL when neither can be executed.  Owned by the
 * caller. */
char *file_find_helper(const char *name) _must_check_;
