/* picket config validate, picket config keys. */
#include <stdio.h>

#include "base/str.h"
#include "cli/commands.h"
#include "conf/conf.h"
#include "conf/usage.h"

struct validate_opts {
    bool quiet;
};

static int run_validate(struct invocation *in)
{
    const struct validate_opts *o = in->opts;
    struct conf_report report;
    int r;

    if (in->n_args == 0) {
        (void)fputs("Must specify at least one config file or directory\n", stderr);
        return EXIT_ERROR;
    }
    r = conf_check((const char *const *)in->args, in->n_args, &report);
    for (size_t i = 0; i < report.n_errors; i++)
        (void)fprintf(stderr, "%s\n", report.errors[i]);
    for (size_t i = 0; i < report.n_warnings && !o->quiet; i++)
        (void)fprintf(stderr, "WARNING: %s\n", report.warnings[i]);
    (void)puts(r < 0 ? "Configuration is invalid" : "Configuration is valid!");
    conf_report_done(&report);
    return r < 0 ? EXIT_ERROR : EXIT_DONE;
}

static const struct flag validate_flags[] = {
    {"quiet", FLAG_BOOL, offsetof(struct validate_opts, quiet), NULL, "Do not print warnings."},
};

const struct command command_config_validate = {
    .path = "config validate",
    .summary = "Check configuration files",
    .synopsis = "[options] <path> [<path>...]",
    .text =
        "  Reads files, and the *.hcl and *.json files of folders, as the daemons do and says\n"
        "  everything that is wrong with them, with file, line and column. Checks for the roles\n"
        "  that the files enable, for both when they enable none. Addresses are not looked up\n"
        "  and paths need not exist here.",
    .flags = validate_flags,
    .n_flags = ARRAY_LEN(validate_flags),
    .opts_size = sizeof(struct validate_opts),
    .run = run_validate,
};

struct keys_opts {
    bool markdown;
};

static int run_keys(struct invocation *in)
{
    const struct keys_opts *o = in->opts;
    struct buf out _cleanup_buf_ = BUF_INIT((size_t)1 << 20);

    if (in->n_args > 0) {
        (void)fputs("This command takes no arguments\n", stderr);
        return EXIT_ERROR;
    }
    if (o->markdown)
        conf_manual(&out);
    else
        conf_key_list(&out);
    (void)fputs(buf_str(&out), stdout);
    return EXIT_DONE;
}

static const struct flag keys_flags[] = {
    {"markdown", FLAG_BOOL, offsetof(struct keys_opts, markdown), NULL,
     "Print the manual page docs/config.md."},
};

const struct command command_config_keys = {
    .path = "config keys",
    .summary = "List every configuration key",
    .synopsis = "[options]",
    .text = "  Lists every configuration key of Nomad with its type and what Picket does with it.",
    .flags = keys_flags,
    .n_flags = ARRAY_LEN(keys_flags),
    .opts_size = sizeof(struct keys_opts),
    .run = run_keys,
};
