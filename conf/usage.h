/* conf/usage.h - texts made from the key table. */
#pragma once

#include "base/buf.h"
#include "conf/conf.h"

/* what -help prints for a daemon */
void conf_usage(unsigned role, struct buf *out);
/* docs/config.md: every key with type, default, release, what Picket does with it */
void conf_manual(struct buf *out);
/* one line per key: path, type, what Picket does with it */
void conf_key_list(struct buf *out);
const char *conf_program(unsigned role); /* "picketd", "picket-server" */
