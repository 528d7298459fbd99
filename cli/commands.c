#include "cli/commands.h"

#include <string.h>

#include "base/str.h"

const struct command *const commands[] = {
    &command_config_keys, &command_config_validate, &command_fingerprint,
    &command_node_status, &command_version,
};
const size_t n_commands = ARRAY_LEN(commands);

static const struct {
    const char *name;
    const char *summary;
} groups[] = {
    {"config", "Check configuration files"},
    {"node",   "Look at nodes"            },
};

static void list_flags(const struct flag *flags, size_t n, FILE *out)
{
    for (size_t i = 0; i < n; i++)
        if (flags[i].help)
            (void)fprintf(out, "\n  -%s%s%s\n    %s\n", flags[i].name, flags[i].arg ? "=" : "",
                          str_or_empty(flags[i].arg), flags[i].help);
}

void command_help(const struct command *c, FILE *out)
{
    (void)fprintf(out, "Usage: picket %s%s%s\n\n%s\n", c->path, *c->synopsis ? " " : "",
                  c->synopsis, c->text);
    if (c->remote) {
        (void)fprintf(out, "\nGeneral Options:\n");
        list_flags(meta_flags, n_meta_flags, out);
    }
    if (c->n_flags > 0) {
        (void)fprintf(out, "\nOptions:\n");
        list_flags(c->flags, c->n_flags, out);
    }
}

/* the commands and groups, or with a group what is in it */
static void list_commands(const char *group, FILE *out)
{
    size_t skip = group ? strlen(group) + 1 : 0;

    if (group)
        (void)fprintf(out, "Usage: picket %s <subcommand> [options] [args]\n\nSubcommands:\n",
                      group);
    else
        (void)fprintf(out, "Usage: picket [-version] [-help] <command> [args]\n\nCommands:\n");
    for (size_t i = 0; !group && i < ARRAY_LEN(groups); i++)
        (void)fprintf(out, "    %-12s%s\n", groups[i].name, groups[i].summary);
    for (size_t i = 0; i < n_commands; i++) {
        const char *path = commands[i]->path;
        bool inside = group ? str_starts(path, group) && path[skip - 1] == ' ' : !strchr(path, ' ');

        if (inside && !commands[i]->hidden)
            (void)fprintf(out, "    %-12s%s\n", path + skip, commands[i]->summary);
    }
}

static bool is_group(const char *word)
{
    for (size_t i = 0; i < ARRAY_LEN(groups); i++)
        if (strcmp(groups[i].name, word) == 0)
            return true;
    return false;
}

/* the command of argv[0] or argv[0] and argv[1]; *ret_words = how many words it took */
static const struct command *find_command(int argc, char **argv, int *ret_words)
{
    for (size_t i = 0; i < n_commands; i++) {
        const char *path = commands[i]->path, *blank = strchr(path, ' ');
        size_t n = blank ? (size_t)(blank - path) : strlen(path);

        if (strlen(argv[0]) != n || strncmp(argv[0], path, n) != 0)
            continue;
        if (blank && (argc < 2 || strcmp(argv[1], blank + 1) != 0))
            continue;
        *ret_words = blank ? 2 : 1;
        return commands[i];
    }
    return NULL;
}

static int run_command(const struct command *c, int argc, char **argv)
{
    struct invocation in = {.command = c};
    struct err e = {0};
    bool help = false;
    int r, code;

    in.opts = xcalloc(1, MAX(c->opts_size, sizeof(int)));
    r = flags_parse(c, argc, argv, &in.meta, in.opts, &help, &e);
    if (help) {
        command_help(c, stdout);
        code = EXIT_DONE;
    } else if (r < 0) {
        (void)fprintf(stderr, "%s\nFor additional help try 'picket %s -help'\n", e.text, c->path);
        code = EXIT_ERROR;
    } else {
        meta_environment(&in.meta);
        in.args = argv + r;
        in.n_args = (size_t)(argc - r);
        code = c->run(&in);
    }
    flags_done(c, in.opts);
    free(in.opts);
    return code;
}

static const char *without_dashes(const char *word)
{
    return word[0] == '-' ? word + 1 + (word[1] == '-') : "";
}

/* "picket help node status" */
static int run_help(int argc, char **argv)
{
    const struct command *c;
    int words;

    if (argc > 0) {
        c = find_command(argc, argv, &words);
        if (c) {
            command_help(c, stdout);
            return EXIT_DONE;
        }
        if (is_group(argv[0])) {
            list_commands(argv[0], stdout);
            return EXIT_DONE;
        }
    }
    list_commands(NULL, stdout);
    return argc > 0 ? EXIT_UNKNOWN : EXIT_DONE;
}

static const char *near_command(const char *word)
{
    const char *names[32];
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_LEN(groups); i++)
        names[n++] = groups[i].name;
    for (size_t i = 0; i < n_commands && n < ARRAY_LEN(names); i++)
        if (!strchr(commands[i]->path, ' '))
            names[n++] = commands[i]->path;
    return str_nearest(word, names, n);
}

static int unknown_command(const char *word)
{
    const char *near = near_command(word);

    list_commands(NULL, stdout);
    (void)fprintf(stderr, "There is no command \"%.60s\"%s%s%s\n", word,
                  near ? ", did you mean \"" : ".", str_or_empty(near), near ? "\"?" : "");
    return EXIT_UNKNOWN;
}

int command_main(int argc, char **argv)
{
    const struct command *c;
    const char *flag;
    int words;

    if (argc < 2) {
        list_commands(NULL, stdout);
        return EXIT_UNKNOWN;
    }
    flag = without_dashes(argv[1]);
    if (strcmp(flag, "help") == 0 || strcmp(flag, "h") == 0) {
        list_commands(NULL, stdout);
        return EXIT_DONE;
    }
    if (strcmp(flag, "version") == 0 || strcmp(flag, "v") == 0)
        return run_command(&command_version, 0, argv);
    if (strcmp(argv[1], "help") == 0)
        return run_help(argc - 2, argv + 2);
    c = find_command(argc - 1, argv + 1, &words);
    if (c)
        return run_command(c, argc - 1 - words, argv + 1 + words);
    if (!is_group(argv[1]))
        return unknown_command(argv[1]);
    flag = argc > 2 ? without_dashes(argv[2]) : "";
    list_commands(argv[1], stdout);
    return strcmp(flag, "help") == 0 || strcmp(flag, "h") == 0 ? EXIT_DONE : EXIT_ERROR;
}
