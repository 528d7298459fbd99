/* conf/reload.h - the configuration read again under a running program.
 *
 *     struct conf_reloaded said = {0};
 *     if (conf_reload_begin(args, &running, CONF_CLIENT, &said) == 0)
 *         ... the parts of the program take what is theirs from running
 *     conf_reload_end(&said);
 *     conf_reloaded_json(&said, out);  conf_reloaded_done(&said);
 *
 * Everything is read and validated before anything changes: an invalid file leaves all as it was.
 * What changed then falls into two parts: rows marked KEY_HUP, whose members the running struct
 * takes over where it stands (who borrowed it sees the new values), and rows that need a restart,
 * whose members stay.
 *
 * Depends on: base/, codec/, conf/args.h.
 */
#pragma once

#include "base/buf.h"
#include "conf/args.h"

/* what came of it; lists of owned strings */
struct conf_reloaded {
    char **applied; /* paths of keys: "client.meta" */
    size_t n_applied;
    char **needs_restart;
    size_t n_needs_restart;
    char **warnings;
    size_t n_warnings;
    char **errors; /* "file:line:column: text"; then nothing was applied */
    size_t n_errors;
};
void conf_reloaded_done(struct conf_reloaded *r);
#define _cleanup_conf_reloaded_ _cleanup_(conf_reloaded_done)

/* Reads files and flags again, takes over what may be, the log's settings among it, and tells
 * systemd that a reload is on its way.  0, or -EINVAL with errors in said and run as it was. */
int conf_reload_begin(const struct conf_args *args, struct conf *run, unsigned role,
                      struct conf_reloaded *said) _must_check_;
/* The two parts of it, for a program whose files are read elsewhere meanwhile: telling systemd, and
 * all that follows the reading, which touches no file system. */
void conf_reload_announce(void);
int conf_reload_take(const struct conf_args *args, const struct conf_files *files, struct conf *run,
                     unsigned role, struct conf_reloaded *said) _must_check_;
/* Logs what came of it, one line per error, warning and key, and tells systemd that it is over. */
void conf_reload_end(const struct conf_reloaded *said);
/* Moves what a reload may change from take_now (released) into run; names each key that differs. */
void conf_take_over(struct conf *run, struct conf *take_now, unsigned role,
                    struct conf_reloaded *said);
/* level and form of the log as configured; at start and by every reload */
void conf_set_log(const struct conf *c);
/* {"Applied":[],"NeedsRestart":[],"Warnings":[],"Errors":[]}, appended */
void conf_reloaded_json(const struct conf_reloaded *r, struct buf *out);
