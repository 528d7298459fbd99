/* conf/load.h - files into a draft, a draft into struct conf.  Internal to conf/. */
#pragma once

#include "conf/draft.h"
#include "conf/files.h"

/* what has been read, in order, into the draft; errors go into its report.  No I/O. */
void load_files(struct draft *d, const struct conf_files *files);
/* the same, reading them first */
void load_paths(struct draft *d, const char *const *paths, size_t n_paths);
enum load_flags {
    LOAD_DEV = 1 << 0,  /* -dev was given */
    LOAD_HERE = 1 << 1, /* for this host: interface templates are evaluated */
};
/* defaults, answers of rows, checks.  Releases the draft.  0 or -EINVAL (errors are in the report,
 * *ret is not filled). */
int load_finish(struct draft *d, unsigned role, unsigned flags, struct conf *ret) _must_check_;
