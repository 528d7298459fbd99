/* agent/audit.h - who changed what over the local API: one line of the log for each write.
 *
 * Over the unix socket the kernel says which user it was; the user's name is looked up by a child
 * (agent/jobs), because user data bases may hang.  The line waits for it, but never long, and is
 * written without the name when there are too many or none comes.
 */
#pragma once

#include "api/server.h"
#include "base/loop.h"

struct audit;

struct audit *audit_new(struct loop *l, const char *probe_path);
struct audit *audit_free(struct audit *a); /* what waits is written without names; after the API */
DEFINE_CLEANUP(struct audit, audit_free)
void audit_write(void *arg, const struct api_write *w); /* api_opts.on_write */
