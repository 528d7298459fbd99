#include "cli/commands.h"

#include <stdio.h>

static int run(struct invocation *in)
{
    (void)in;
    (void)printf("Picket v%s\n", PICKET_VERSION);
    return EXIT_DONE;
}

const struct command command_version = {
    .path = "version",
    .summary = "Print the version",
    .synopsis = "",
    .text = "  Prints the version of Picket.",
    .run = run,
};
