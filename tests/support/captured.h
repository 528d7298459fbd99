/* tests/support/captured.h - a command run in this process with its outputs caught. */
#pragma once

#include "base/mem.h"

struct captured {
    int status;
    char *out, *err; /* owned */
};
void captured_done(struct captured *c);
#define _cleanup_captured_ _cleanup_(captured_done)

/* runs fn(argc, argv) with argv = {"program", args...}; releases what c held */
void captured_run(struct captured *c, int (*fn)(int argc, char **argv), const char *const *args,
                  size_t n);
/* the same with the arguments listed; NULL ends them */
#define captured_args(c, fn, ...) captured_list((c), (fn), (const char *const[]){__VA_ARGS__})
void captured_list(struct captured *c, int (*fn)(int argc, char **argv), const char *const *args);
