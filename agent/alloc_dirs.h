/* agent/alloc_dirs.h - deletes the folders of allocations that the servers have collected.
 *
 * By a child each, one after the other (agent/jobs): a disk that hangs holds up nothing but this.
 */
#pragma once

#include "base/loop.h"

struct alloc_dirs;

/* Both texts are copied; folders are alloc_dir/<id>.  Makes alloc_dir itself, in a child as well:
 * as often as it takes, with a line on the log when it cannot be made. */
struct alloc_dirs *alloc_dirs_new(struct loop *l, const char *probe_path, const char *alloc_dir);
struct alloc_dirs *alloc_dirs_free(struct alloc_dirs *d);
DEFINE_CLEANUP(struct alloc_dirs, alloc_dirs_free)

/* Deletes the folder of that allocation, should there be one; soon.  An id that is none is left
 * alone: it becomes a path. */
void alloc_dirs_delete(struct alloc_dirs *d, const char *id);
