/* conf/args.h - the command line of picketd and picket-server.
 *
 * Flags are Nomad's (one or two dashes, "-flag value" or "-flag=value", bools alone or "=false")
 * and come from the same key table as the files; usage text is printed from it.  Order of merging
 * as in Nomad: defaults, each -config in order, flags.
 *
 *     struct conf_args *args;  struct conf conf;  struct conf_report report;
 *     r = conf_start(argc, argv, CONF_CLIENT, &args, &conf, &report);
 *     if (r != CONF_START_RUN)
 *         return r == CONF_START_ANSWERED ? 0 : 1;       (everything has been printed)
 *     ... report.warnings may be logged; conf/reload.h on SIGHUP
 *
 * Flags of both programs besides those of keys: -config PATH (repeatable), -check (load, validate,
 * print the verdict, exit), -version, -help, -h.
 *
 * Depends on: base/, conf/conf.h, conf/files.h.
 */
#pragma once

#include "conf/conf.h"
#include "conf/files.h"

struct conf_args; /* the parsed command line; kept for reloads */

enum conf_start {
    CONF_START_RUN = 0,      /* go on with the configuration */
    CONF_START_ANSWERED = 1, /* -help, -version, -check with a good result: leave with 0 */
};

/* All that main() does before its loop.  Prints help, version and the verdict of -check on stdout;
 * every error of flags and files on stderr ("==> " in front, then file:line:column), and the usage
 * hint when a flag is wrong.  Warnings are only put into the report: the caller logs them.
 * Returns CONF_START_RUN with *ret_args, *ret and *report filled (release with conf_args_free,
 * conf_done, conf_report_done), CONF_START_ANSWERED, or -EINVAL with everything said and nothing to
 * release. */
int conf_start(int argc, char **argv, unsigned role, struct conf_args **ret_args, struct conf *ret,
               struct conf_report *report) _must_check_;

/* The parts of conf_start(), silent, for tests and reloads.  conf_args_parse: -EINVAL with Nomad's
 * text for a bad flag.  conf_args_load: reads the files again and puts the flags over them; 0 or
 * -EINVAL with all errors in the report (release it either way). */
int conf_args_parse(int argc, char *const *argv, unsigned role, struct conf_args **ret,
                    struct err *e) _must_check_;
int conf_args_load(const struct conf_args *args, struct conf *ret,
                   struct conf_report *report) _must_check_;
/* the same of files that have been read already (conf/files.h, with these paths): no file system is
 * touched */
int conf_args_load_files(const struct conf_args *args, const struct conf_files *files,
                         struct conf *ret, struct conf_report *report) _must_check_;
const char *const *conf_args_paths(const struct conf_args *args, size_t *ret_n); /* borrowed */
struct conf_args *conf_args_free(struct conf_args *args);
DEFINE_CLEANUP(struct conf_args, conf_args_free)
