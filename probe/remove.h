/* probe/remove.h - deletes a tree, for daemons that must not block on a file system.
 *
 * Whoever could write into the tree must not be able to lead it elsewhere: it goes by descriptors
 * of folders only, follows no symbolic link below the given folder, and stays on its mount. Folders
 * that lie too deep for a descriptor each are moved up inside the tree first.
 */
#pragma once

#include "fingerprint/answer.h"

#include "base/err.h"

/* Deletes path, which must lie below the folder of that name; symbolic links on the way to that
 * folder itself are followed.  A path that is not there is deleted already.  What could not be
 * deleted is told in ret (clear it with ops_clear); errors are refusals, with nothing deleted. */
int remove_tree(const char *below, const char *path, struct answer_delete *ret,
                struct err *e) _must_check_;
/* the same, printing the answer as JSON */
int remove_print(const char *below, const char *path, struct err *e) _must_check_;
