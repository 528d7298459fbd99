/* cli/command.h - what a command is: a row of the table, flags that fill a struct, a function.
 *
 * Flags are written as Nomad's: one or two dashes, "-flag value" or "-flag=value", bools alone or
 * "=false"; they stand before the arguments.
 */
#pragma once

#include <stdio.h>

#include "base/err.h"

enum { EXIT_DONE = 0, EXIT_ERROR = 1, EXIT_UNKNOWN = 127 };

enum flag_type { FLAG_BOOL, FLAG_STR, FLAG_LIST };

struct flag_list {
    char **v; /* owned */
    size_t n;
};

struct flag {
    const char *name;
    enum flag_type type; /* bool, const char * (borrowed from argv), struct flag_list */
    size_t off;          /* in the command's options */
    const char *arg;     /* "<addr>", NULL for bools */
    const char *help;
};

/* what every command that talks to an API takes (fact: config.md section 7) */
struct meta {
    const char *address, *region, *namespace_, *token;
    const char *ca_cert, *ca_path, *client_cert, *client_key, *tls_server_name;
    bool tls_skip_verify;
    bool address_given;         /* by the flag */
    bool no_color, force_color; /* taken; nothing is coloured */
};
extern const struct flag meta_flags[];
extern const size_t n_meta_flags;
/* the environment under the flags that were given */
void meta_environment(struct meta *m);

struct invocation {
    const struct command *command;
    struct meta meta;
    void *opts;  /* zeroed struct of the command, filled from its flags */
    char **args; /* what stands behind the flags; borrowed from argv */
    size_t n_args;
};

struct command {
    const char *path;     /* "node status" */
    const char *summary;  /* one line */
    const char *synopsis; /* "[options] <node>" */
    const char *text;     /* help, indented by two blanks */
    const struct flag *flags;
    size_t n_flags;
    size_t opts_size;
    bool remote;                       /* takes the general options */
    bool hidden;                       /* not in the list */
    int (*run)(struct invocation *in); /* exit code */
};

extern const struct command *const commands[];
extern const size_t n_commands;

/* Takes the leading flags of argv.  Returns the index of the first argument; or -EINVAL with the
 * text of Go's flag package; *ret_help when -h or -help stood there. */
int flags_parse(const struct command *c, int argc, char **argv, struct meta *meta, void *opts,
                bool *ret_help, struct err *e) _must_check_;
void flags_done(const struct command *c, void *opts);
/* runs the command that argv names; argv[0] is the program.  Returns the exit code. */
int command_main(int argc, char **argv);
void command_help(const struct command *c, FILE *out);
