/* base/writer.h - the one extra thread of a daemon: runs jobs that wait for the disk, in order.
 *
 * A job's run() happens on the thread and may touch only the job itself and what it owns; its
 * done() happens later on the loop.  The queue is a mutex and a condition, the way back an eventfd;
 * nothing else in the program is shared between threads.
 */
#pragma once

#include "base/loop.h"

struct writer;

struct writer_job {
    struct writer_job *next;            /* the writer's */
    void (*run)(struct writer_job *j);  /* on the thread */
    void (*done)(struct writer_job *j); /* on the loop; frees the job */
};

int writer_new(struct loop *l, const char *thread_name, struct writer **ret) _must_check_;
/* waits until every queued job has run, calls their done(), ends the thread */
struct writer *writer_free(struct writer *w);
DEFINE_CLEANUP(struct writer, writer_free)
void writer_submit(struct writer *w, struct writer_job *j);
/* waits until every queued job has run and its done() was called; also right behind loop_quit() */
void writer_flush(struct writer *w);
/* the same for so long at most: -ETIMEDOUT when the thread still hangs in a job then */
int writer_flush_for(struct writer *w, uint64_t limit_ns) _must_check_;
/* jobs submitted whose done() has not been called yet */
size_t writer_pending(const struct writer *w);
