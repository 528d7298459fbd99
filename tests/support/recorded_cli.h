/* tests/support/recorded_cli.h - what Nomad's own command printed for recorded answers.
 *
 * A file has "paths" (target and body), "errors" (target, status and body) and "runs": arguments,
 * the time, both outputs and the exit status.  In them the name of the program is ours, and the
 * hint at the web interface is left out.
 */
#pragma once

#include "tests/support/canned_http.h"

struct recorded_cli {
    struct json_object *recorded;
    struct canned_answer *answers;
    size_t n_answers;
    struct canned_http http;
};

/* serves the answers; NOMAD_ADDR is where, the zone is UTC */
struct recorded_cli *recorded_cli_start(const char *file);
void recorded_cli_stop(struct recorded_cli *b);
/* Runs all and compares; words (ended by NULL) stand in front of each run's arguments.  Returns how
 * many there were. */
size_t recorded_cli_check(const struct recorded_cli *b, const char *const *words);
/* the body of a path */
const char *recorded_cli_answer(const struct recorded_cli *b, const char *path);
