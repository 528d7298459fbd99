/* base/log_journal.h - records to the journal in its own protocol, without ever waiting.
 *
 * For base/log only.  libsystemd's sender blocks when journald does not read, which takes a few
 * hundred records of the whole host: a stuck journal would stop the daemon.
 * Source: systemd.io/JOURNAL_NATIVE_PROTOCOL.
 */
#pragma once

#include "base/buf.h"

/* Adds one field: prefix and key in capitals, what cannot stand in a name as an underscore. */
void journal_add(struct buf *record, const char *prefix, const char *key, const char *value);
/* Sends what was added as one record.  -EAGAIN when the journal takes no more now, another error
 * when it is not there; never waits. */
int journal_send(const struct buf *record) _must_check_;
