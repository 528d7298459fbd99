/* base/spawn.h - fork and exec of one child, for base/proc only. */
#pragma once

#include <sys/types.h>

#include "base/proc.h"

struct spawned {
    pid_t pid;          /* also the number of its process group */
    int out_fd, err_fd; /* our ends of its stdout and stderr, non-blocking; the caller's */
};

/* Starts o->argv with what base/proc.h promises; uses nothing else of o but envp, input, cwd and
 * memory_max.  Returns what exec said; the child is the caller's to reap only on success. */
int spawn_child(const struct proc_opts *o, struct spawned *ret) _must_check_;
