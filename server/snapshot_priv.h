/* server/snapshot_priv.h - what saving and restoring have in common. */
#pragma once

#include "base/writer.h"
#include "server/snapshot.h"

struct restorer;

struct snapshots {
    struct server *srv;
    struct writer *writer;
    char *dir; /* owned */
    size_t saving;
    struct restorer *restorer; /* under way; NULL */
    bool stopping;
};

/* A file without a name, readable by us alone.  A disk may not answer: both are for the writer's
 * thread, the second goes there by itself; negative: there is none. */
int snapshot_file(const struct snapshots *o, int *ret_fd, struct err *e) _must_check_;
void snapshot_file_close(const struct snapshots *o, int take_fd);
/* the server stops: what waits for a turn of the loop that will not come */
void snapshot_restore_stop(struct snapshots *o);
void snapshot_answer(struct http_exchange *take_x, int status, const char *text);
