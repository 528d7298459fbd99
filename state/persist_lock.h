/* state/persist_lock.h - one process per data folder: flock on DIR/lock, which names the holder. */
#pragma once

#include "base/err.h"

/* Makes the folder when it is missing.  The lock lasts until the descriptor is closed. */
int persist_lock(const char *dir, int *ret_fd, struct err *e) _must_check_;
