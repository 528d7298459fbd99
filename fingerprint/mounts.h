/* fingerprint/mounts.h - the mount table as /proc/self/mountinfo has it. */
#pragma once

#include "fingerprint/probe.h"

struct mount {
    uint64_t id;
    char *point; /* escapes decoded */
    char *fstype;
    char *source; /* device, server:/path, or a word such as tmpfs */
};

struct mounts {
    struct mount *v; /* owned, in the order of the file */
    size_t n;
};

#define _cleanup_mounts_ _cleanup_(mounts_done)

/* lines that are not of the form are skipped; *ret is zeroed before */
void mounts_parse(const char *mountinfo, struct mounts *ret);
int mounts_read(const struct probe_ctx *ctx, struct mounts *ret) _must_check_;
void mounts_done(struct mounts *m);
/* borrowed, or NULL */
const struct mount *mounts_by_id(const struct mounts *m, uint64_t id);
/* The one an absolute path is on, judged by the text alone (symbolic links are not followed,
 * nothing is touched): the longest mount point that is a parent, the last of equals.  Borrowed, or
 * NULL. */
const struct mount *mounts_by_path(const struct mounts *m, const char *path);
/* ", on the nfs4 mount /srv of server:/export" for a step that may hang there; "" when the mount is
 * not known.  Owned by the caller. */
char *mounts_describe(const struct mounts *m, const char *path) _must_check_;
/* whether a file system of that type may stop answering because something outside the host does */
bool mounts_is_remote(const char *fstype);
