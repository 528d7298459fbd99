#include "cli/commands.h"

#include <string.h>

#include "base/str.h"

const struct command *const commands[] = {
    &command_agent_reload,   &command_agent_info,  &command_config_keys, &command_config_validate,
    &command_fingerprint,    &command_monitor,     &command_node_config, &command_node_meta_apply,
    &command_node_meta_read, &command_node_status, &command_version,
};
const size_t n_commands = ARRAY_LEN(commands);

static const struct {
    const char *name;
    const char *summary;
} groups[] = {
    {"agent",     "Command the agent on this host"      },
    {"config",    "Check configuration files"           },
    {"node",      "Look at nodes"                       },
    {"node meta", "Look at and change a node's metadata"},
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

/* whether path is one word below the group ("" = the top) */
static bool is_inside(const char *path, const char *group)
{
    size_t n = strlen(group);

    if (n > 0 && (!str_starts(path, group) || path[n] != ' '))
        return false;
    return !strchr(path + n + (n > 0), ' ');
}

static void list_inside(const char *group, FILE *out)
{
    size_t skip = *group ? strlen(group) + 1 : 0;

    for (size_t i = 0; i < ARRAY_LEN(groups); i++)
        if (is_inside(groups[i].name, group))
            (void)fprintf(out, "    %-12s%s\n", groups[i].name + skip, groups[i].summary);
    for (size_t i = 0; i < n_commands; i++)
        if (is_inside(commands[i]->path, group) && !commands[i]->hidden)
            (void)fprintf(out, "    %-12s%s\n", commands[i]->path + skip, commands[i]->summary);
}

/* the commands and groups, or with a group what is in it */
static void list_commands(const char *group, FILE *out)
{
    if (group)
        (void)fprintf(out, "Usage: picket %s <subcommand> [options] [args]\n\nSubcommands:\n",
                      group);
    else
        (void)fprintf(out, "Usage: picket [-version] [-help] <command> [args]\n\nCommands:\n");
    list_inside(str_or_empty(group), out);
}

/* how many words of argv a path is made of; 0 = argv does not begin with it */
static int match_path(const char *path, int argc, char **argv)
{
    int words = 0;

    while (*path) {
        size_t n = strcspn(path, " ");

        if (words >= argc || strlen(argv[words]) != n || strncmp(argv[words], path, n) != 0)
            return 0;
        words++;
        path += n + (path[n] == ' ');
    }
    return words;
}

/* the group with the most words that argv begins with; NULL when there is none */
static const char *find_group(int argc, char **argv, int *ret_words)
{
    const char *found = NULL;

    *ret_words = 0;
    for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
        int words = match_path(groups[i].name, argc, argv);

        if (words > *ret_words) {
            *ret_words = words;
            found = groups[i].name;
        }
    }
    return found;
}

/* the command whose words argv begins with; *ret_words = how many they are */
static const struct command *find_command(int argc, char **argv, int *ret_words)
{
    for (size_t i = 0; i < n_commands; i++) {
        *ret_words = match_path(commands[i]->path, argc, argv);
        if (*ret_words > 0)
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
    const char *group;
    int words;

    if (argc > 0) {
        c = find_command(argc, argv, &words);
        if (c) {
            command_help(c, stdout);
            return EXIT_DONE;
        }
        group = find_group(argc, argv, &words);
        if (group) {
            list_commands(group, stdout);
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
        if (!strchr(groups[i].name, ' '))
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
    const char *flag, *group;
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
    group = find_group(argc - 1, argv + 1, &words);
    if (!group)
        return unknown_command(argv[1]);
    flag = argc > words + 1 ? without_dashes(argv[words + 1]) : "";
    list_commands(group, stdout);
    return strcmp(flag, "help") == 0 || strcmp(flag, "h") == 0 ? EXIT_DONE : EXIT_ERROR;
}
