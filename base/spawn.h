/* base/spawn.h - fork and exec of one child, for base/proc only. */
#pragma once

#include <sys/types.h>

#include "base/proc.h"

enum { SPAWN_EXIT_NOT_RUN = 127 }; /* of a child that could not exec */

struct spawned {
    pid_t pid;          /* also the number of its process group */
    int out_fd, err_fd; /* our ends of its stdout and stderr, non-blocking; the caller's */
    int exec_fd;        /* for spawn_error(); the caller's */
};

/* Starts o->argv with what base/proc.h promises; uses nothing else of o but envp, input, cwd,
 * memory_max and procs_max.  Fails when there can be no child at all; does not wait for its exec,
 * which may hang.  The child is the caller's to reap. */
int spawn_child(const struct proc_opts *o, struct spawned *ret) _must_check_;
/* Why a child that ended with SPAWN_EXIT_NOT_RUN did not get as far as the program: what exec (or
 * a step before it) said, negative errno; 0 when it did run. */
int spawn_error(int exec_fd) _must_check_;
