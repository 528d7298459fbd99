/* sim/input.h - steps from where they come: the command line, a file at its times, or a standard
 * input as it says them.
 *
 * Depends on: sim/script.
 */
#pragma once

#include "base/buf.h"
#include "base/loop.h"
#include "sim/script.h"

struct input;

struct input_opts {
    struct loop *loop;
    /* a step is to be done now */
    void (*on_step)(void *arg, const struct step *s);
    /* a line of the standard input is none; may be told many times */
    void (*on_error)(void *arg, const struct err *e);
    /* the standard input has ended */
    void (*on_eof)(void *arg);
    void *arg;
};
struct input *input_new(const struct input_opts *o);
struct input *input_free(struct input *in);
DEFINE_CLEANUP(struct input, input_free)
/* the steps of a file, from now on; reads it */
int input_file(struct input *in, const char *path, struct err *e) _must_check_;
/* lines of a descriptor, which stays the caller's; not for regular files */
int input_lines(struct input *in, int fd, struct err *e) _must_check_;
