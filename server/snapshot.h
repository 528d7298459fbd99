/* server/snapshot.h - the whole state as a file, and replaced by one, while the server goes on.
 *
 * Saving: an image is pinned (state/image), written by the writer's thread piece by piece to a file
 * without a name in the data folder, because its digest stands in the head of the answer, and sent
 * from there.  Restoring: the body goes to such a file, is read and decoded as a whole there
 * (state/restore), and only then replaces the state in one transaction.  The file is gone with the
 * process, however that ends; a name that a crash left is removed at the start.
 *
 * After a restore each node that is not down gets the grace of a start; deadlines of nodes that
 * are not there any more go.
 *
 * Answers as nomad v1.10.5 command/agent/operator_endpoint.go: 200 with a Digest header, and 500
 * with "failed to restore from snapshot: ...".
 *
 * Owns: itself and what is under way.
 */
#pragma once

#include "server/server.h"

struct snapshots;

/* dir: borrowed for the call; both others outlive it */
struct snapshots *snapshots_new(struct server *s, struct writer *w, const char *dir) _must_check_;
/* before the store closes, behind the API: what is under way ends as soon as it can */
void snapshots_stop(struct snapshots *o); /* NULL-safe */
/* when the store is closed */
struct snapshots *snapshots_free(struct snapshots *o);

/* the view's (api/view.h); o NULL: 501 */
int snapshots_save(struct snapshots *o, struct view_stream *ret, struct err *e);
int snapshots_restore(struct snapshots *o, struct view_stream *ret, struct err *e);
